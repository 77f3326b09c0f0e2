"""Where two texts differ is told word by word, in bounded time, and makes up both texts again."""

import random
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.models.wire.comparison import Span
from server.wire import differences as module
from server.wire.differences import MOST_SPANS, differences

words: Final = st.lists(
    st.sampled_from(["sea", "salt,", "tide", "\n", "  ", "é", "a"]), max_size=30
)
texts: Final = words.map(" ".join) | st.text(max_size=60)


def spans_of(one: str, other: str) -> tuple[Span, ...]:
    """Those of one pair of texts alone."""
    return differences([(one, other)])[one, other]


def pieces(spans: tuple[Span, ...], one: str, other: str) -> list[tuple[str, str]]:
    """Each span with its text. Raises AssertionError where they do not make up both texts."""
    found: list[tuple[str, str]] = []
    at, beside = 0, 0
    for span in spans:
        if span.kind == "added":
            text, beside = other[beside : beside + span.length], beside + span.length
        else:
            text = one[at : at + span.length]
            if span.kind == "same":
                assert text == other[beside : beside + span.length]
                beside += span.length
            at += span.length
        found.append((span.kind, text))
    assert (at, beside) == (len(one), len(other))
    return found


@given(texts, texts)
def test_spans_make_up_both_texts(one: str, other: str) -> None:
    found = pieces(spans_of(one, other), one, other)
    kinds = [kind for kind, _ in found]
    assert all(before != after for before, after in pairwise(kinds))
    assert (set(kinds) <= {"same"}) is (one == other)


def test_what_is_changed_is_told_by_words() -> None:
    one = "The keeper lights the lamp at dusk, and it burns until the morning comes."
    other = "The keeper lights the lamp at dawn, and it burns until the evening comes."
    assert pieces(spans_of(one, other), one, other) == [
        ("same", "The keeper lights the lamp at "),
        ("removed", "dusk, "),
        ("added", "dawn, "),
        ("same", "and it burns until the "),
        ("removed", "morning "),
        ("added", "evening "),
        ("same", "comes."),
    ]


def test_a_few_common_words_of_other_texts_are_no_common_text() -> None:
    one, other = "one two the three four", "five six the seven eight"
    assert [span.kind for span in spans_of(one, other)] == ["removed", "added"]


@pytest.mark.parametrize("line", [80, 3])
def test_very_long_texts_are_compared_by_lines_or_told_as_other_altogether(
    line: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 10_000)
    dice = random.Random(5)
    lines = [" ".join(dice.choices("ab", k=line)) for _ in range(4_000 // line + 1)]
    one = "\n".join(lines)
    other = "\n".join([lines[0], *("c d" * len(each) for each in lines[1:])])
    kinds = [kind for kind, _ in pieces(spans_of(one, other), one, other)]
    assert kinds == (["removed", "added"] if line == 3 else ["same", "removed", "added"])


def test_however_many_texts_differ_the_spans_of_all_are_bounded() -> None:
    def text(name: str, words: int) -> str:
        return " ".join(f"a b {name}{number}" for number in range(words))

    pairs = [
        (text(f"x{place}", words), text(f"y{place}", words))
        for place, words in enumerate([900] * 3 + [20] * 6)
    ]
    found = differences(pairs)
    assert all(pieces(found[pair], *pair) for pair in pairs)
    assert sum(map(len, found.values())) <= MOST_SPANS
    kinds = [len(found[pair]) for pair in pairs]
    assert kinds[:3] == [2] * 3, "what is too much is told as other altogether"
    assert min(kinds[3:]) > 40, "and the others word by word"
