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
    identity=st.sampled_from(["yes", "Yes!", "no"]).map(identity),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(stands, max_size=20) | st.integers(0, 20), max_size=20))
def test_every_row_knows_its_neighbours_after_any_history(
    history: list[list[Stand] | int],
) -> None:
    surroundings = Surroundings()
    rows: dict[int, Stand] = {}
    end = 0
    for change in history:
        if isinstance(change, list):
            surroundings.put(range(end, end + len(change)), change)
            surroundings.link()
            rows.update(enumerate(change, end))
            end += len(change)
        elif rows:
            row = sorted(rows)[change % len(rows)]
            surroundings.take_out(row)
            del rows[row]
    for thread_id in {stand.thread_id for stand in rows.values()}:
        inside = [(stand.place, row) for row, stand in rows.items() if stand.thread_id == thread_id]
        order = [NONE, *(row for _, row in sorted(inside)), NONE]
        for before, row, after in zip(order, order[1:], order[2:], strict=False):
            assert (surroundings.before[row], surroundings.after[row]) == (before, after)
    scope = [row for row in sorted(rows) if row % 3]
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
        expected = {row: stand.author == author for row, stand in rows.items()}
        assert {row: named is not None and bool(named[row]) for row in rows} == expected
    assert {row: surroundings.identity[row] for row in rows} == {
        row: stand.identity for row, stand in rows.items()
    }


def test_a_name_that_is_a_function_word_is_not_taken_for_a_name() -> None:
    surroundings = Surroundings()
    surroundings.put([0], [Stand(ThreadId("a"), 0, "Will", identity("I go."))])
    assert surroundings.authors_named(asked("What will the weather be?")) is None


def test_texts_of_the_same_words_are_the_same_text_and_marks_alone_are_not() -> None:
    assert identity("Where is it?") == identity("where is it")
    assert identity("Where is it?") != identity("Where was it?")
    assert identity("!!!") != identity("???")
