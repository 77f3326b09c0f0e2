"""Neighbours, authors and repeated texts, whatever came and went before."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.models.ids import ThreadId
from storage.memory.surroundings import NONE, Stand, Surroundings, identity
from storage.memory.words import asked

threads = st.sampled_from([ThreadId("a"), ThreadId("b"), ThreadId("c")])
stands = st.builds(
    Stand,
    thread_id=threads,
    place=st.integers(0, 12),
    author=st.sampled_from(["", "Ines", "Olu Ade"]),
    content=st.sampled_from(["yes", "Yes!", "no"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20), stands), max_size=50))
def test_every_row_knows_its_neighbours_after_any_history(
    history: list[tuple[bool, int, Stand]],
) -> None:
    surroundings = Surroundings()
    rows: list[Stand] = []
    for is_put, number, stand in history:
        if is_put:
            row = min(number, len(rows))
            rows[row : row + 1] = [stand]
            surroundings.put(row, stand)
        elif rows:
            row = number % len(rows)
            surroundings.take_out(row)
            rows[row] = rows[-1]
            rows.pop()
    for thread_id in {stand.thread_id for stand in rows}:
        inside = [
            (stand.place, row) for row, stand in enumerate(rows) if stand.thread_id == thread_id
        ]
        order = [NONE, *(row for _, row in sorted(inside)), NONE]
        for before, row, after in zip(order, order[1:], order[2:], strict=False):
            assert (surroundings.before[row], surroundings.after[row]) == (before, after)
    scope = [row for row in range(len(rows)) if row % 3]
    within = surroundings.within(np.array(scope, np.intp))
    for place, row in enumerate(scope):
        for near, of_row in (
            (within.before, surroundings.before),
            (within.after, surroundings.after),
        ):
            there = int(of_row[row])
            expected_place = scope.index(there) if there in scope else NONE
            assert near[place] == expected_place
    in_scope = [rows[row].thread_id for row in scope]
    assert within.threads == len(set(in_scope))
    assert {*zip(in_scope, within.thread.tolist(), strict=True)} == {
        (thread_id, int(within.thread[in_scope.index(thread_id)])) for thread_id in in_scope
    }
    for word, author in (("ines", "Ines"), ("ade", "Olu Ade")):
        named = surroundings.authors_named([word])
        expected = [stand.author == author for stand in rows]
        assert (named.tolist() if named is not None else [False] * len(rows)) == expected
    assert surroundings.identity[: len(rows)].tolist() == [identity(row.content) for row in rows]


def test_a_name_that_is_a_function_word_is_not_taken_for_a_name() -> None:
    surroundings = Surroundings()
    surroundings.put(0, Stand(ThreadId("a"), 0, "Will", "I go."))
    assert surroundings.authors_named(asked("What will the weather be?")) is None


def test_texts_of_the_same_words_are_the_same_text_and_marks_alone_are_not() -> None:
    assert identity("Where is it?") == identity("where is it")
    assert identity("Where is it?") != identity("Where was it?")
    assert identity("!!!") != identity("???")
