"""A text that goes in a circle is noticed, and no other is."""

from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.llm.repetition import LONGEST_PASSAGE, TIMES, RepetitionWatch, repeats_itself

passages = st.text("ab \n.", min_size=1, max_size=60)


@given(st.text(max_size=50), passages, st.data())
def test_a_passage_over_and_over_is_noticed_wherever_it_is_cut(
    before: str, passage: str, data: st.DataObject
) -> None:
    text = before + passage * (2 * TIMES * 50 // len(passage) + TIMES)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    watch = RepetitionWatch()
    pieces = [text[begin:end] for begin, end in pairwise(cuts)]
    stuck = [watch.is_stuck_after(piece) for piece in [*pieces, passage * 64]]
    assert any(stuck)


@pytest.mark.parametrize("length", [1, 7, 39, 40, 41, 200, LONGEST_PASSAGE])
def test_eight_times_are_enough_and_seven_are_not(length: int) -> None:
    numbers = "".join(f"{number}," for number, _ in zip(count(100), range(200), strict=False))
    passage = numbers[:length]
    times = max(TIMES, -(-TIMES * 40 // length))
    assert repeats_itself("So: " + passage * times)
    assert not repeats_itself("So: " + passage * (times - 1))


def test_lists_tables_and_code_are_no_circle() -> None:
    table = "\n".join(f"| row {number} | no | no | yes |" for number in range(400))
    code = "\n".join(f"    assert read({number}) == {number}" for number in range(400))
    for text in (table, code):
        assert not any(repeats_itself(text[:end]) for end in range(0, len(text), 50))
