"""Labels in an answer: what was supplied is cited, and nothing else looks like a citation."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.prompting.citing import CitationReader, only_supplied

SUPPLIED = frozenset({"P1", "P3"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Green [P1].", "Green [P1].", id="supplied"),
        pytest.param("Green [P9].", "Green.", id="not supplied"),
        pytest.param("Green [p3] or blue[P2].", "Green [P3] or blue.", id="in small letters"),
        pytest.param("Green [P1, P9; P3].", "Green [P1][P3].", id="several in a bracket"),
        pytest.param("Green [P8, P9] it is.", "Green it is.", id="none of several"),
        pytest.param("[P2] outage\n- [P9] ask", "(P2) outage\n- (P9) ask", id="begins a line"),
        pytest.param("**[P2]** outage", "**(P2)** outage", id="begins a line in bold"),
        pytest.param("Take `x[P9]` and [P9].", "Take `x[P9]` and.", id="in code"),
        pytest.param("```\na [P9]\n```\nb [P9]", "```\na [P9]\n```\nb", id="in a block of code"),
        pytest.param("See [P9](https://a.example).", "See [P9](https://a.example).", id="a link"),
        pytest.param("A list [1, 2] and [P].", "A list [1, 2] and [P].", id="other brackets"),
        pytest.param("An end [P", "An end [P", id="a bracket that never ends"),
        pytest.param("An end [P9]", "An end", id="at the end"),
    ],
)
def test_only_what_was_supplied_stands_in_brackets(text: str, shown: str) -> None:
    assert only_supplied(text, SUPPLIED) == shown


@given(
    st.lists(
        st.sampled_from(["[P1]", "[", "P9", "]", " ", "`", "(", "\n", "[P9]", ", ", "word", "-"]),
        max_size=24,
    ),
    st.data(),
)
def test_a_text_in_pieces_is_shown_as_the_whole_one(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    ends = sorted([0, *cuts, len(text)])
    pieces = [text[begin:end] for begin, end in pairwise(ends)]
    reader = CitationReader(SUPPLIED)
    shown = "".join([*map(reader.take, pieces), reader.rest()])
    assert shown == only_supplied(text, SUPPLIED)


def test_what_was_shown_stays_as_it_is() -> None:
    for text in ("Green [P9] and [P1, P9].", "[P9] x\n[P2]", "`[P9]` [P9]"):
        once = only_supplied(text, SUPPLIED)
        assert only_supplied(once, SUPPLIED) == once
