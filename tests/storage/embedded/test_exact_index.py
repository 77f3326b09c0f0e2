"""The exact index against the plainest search there is: score all, sort, cut."""

import math
from collections.abc import Iterable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.models.ids import MessageId, PointId, ThreadId
from machines.models.outputs import Prior
from machines.models.thread import Visibility
from storage.embedded.rows import StoredPoint
from storage.memory.points import message_point_id
from storage.memory.values import SearchScope
from tests.support.point_index import PointIndex

DIMENSIONS = 5
THREADS = tuple(ThreadId(f"thread-{number}") for number in range(4))
_DICE = Random(11)
# Few directions, so that many messages tie; of any length, since only the direction counts.
DIRECTIONS = [
    tuple(_DICE.uniform(-1, 1) * length for _ in range(DIMENSIONS))
    for length in (1.0, 1.0, 1e-3, 1e3, 1e15)
]
QUERIES = [tuple(_DICE.uniform(-1, 1) for _ in range(DIMENSIONS)) for _ in range(4)]


def stored(
    number: int,
    vector: Sequence[float],
    thread: ThreadId = THREADS[0],
    visibility: Visibility = Visibility.PUBLIC,
) -> StoredPoint:
    return StoredPoint(
        message_point_id(MessageId(f"message-{number}")),
        vector,
        {
            "thread_id": thread,
            "message_id": f"message-{number}",
            "author": None,
            "role": "chorus",
            "visibility": visibility.value,
            "content": f"content {number}",
            "created_at": "2026-01-02T03:04:05Z",
            "seq": 1,
            "fingerprint": "test",
        },
    )


def plainly(
    points: Iterable[StoredPoint], query: Sequence[float], scope: SearchScope, limit: int
) -> list[tuple[str, float]]:
    """(message id, cosine) of the best `limit`, best first, then by id."""
    scored: list[tuple[str, float]] = []
    for point in points:
        assert point.payload is not None
        assert point.vector is not None
        thread, visibility = point.payload["thread_id"], point.payload["visibility"]
        readable = thread in scope.private_thread_ids or (
            scope.include_public and visibility == "public"
        )
        if (
            readable
            and scope.thread_id in (None, thread)
            and point.payload["message_id"] not in scope.exclude
        ):
            lengths = math.hypot(*point.vector) * math.hypot(*query)
            cosine = sum(a * b for a, b in zip(point.vector, query, strict=True)) / lengths
            scored.append((point.payload["message_id"], cosine))
    # Directions differ by far more than the rounding of the same one at another length.
    return sorted(scored, key=lambda item: (-round(item[1], 6), item[0]))[:limit]


def assert_same(found: Sequence[Prior], expected: Sequence[tuple[str, float]]) -> None:
    assert [each.message_id for each in found] == [id_ for id_, _ in expected]
    assert [each.score for each in found] == pytest.approx([c for _, c in expected], abs=1e-6)


scopes = st.builds(
    SearchScope,
    private_thread_ids=st.frozensets(st.sampled_from([*THREADS, ThreadId("unknown")])),
    include_public=st.booleans(),
    thread_id=st.sampled_from([None, None, *THREADS, ThreadId("unknown")]),
    exclude=st.frozensets(
        st.integers(0, 40).map(lambda number: MessageId(f"message-{number}")), max_size=12
    ),
)
puts = st.builds(
    stored,
    st.integers(0, 30),
    st.sampled_from(DIRECTIONS),
    st.sampled_from(THREADS),
    st.sampled_from(Visibility),
)
removals = st.integers(0, 35).map(lambda number: message_point_id(MessageId(f"message-{number}")))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(puts, max_size=12) | removals, max_size=12),
    st.sampled_from(QUERIES),
    scopes,
    st.integers(1, 25),
)
def test_whatever_was_put_in_and_removed_a_search_finds_what_the_plain_one_finds(
    changes: list[list[StoredPoint] | PointId],
    query: tuple[float, ...],
    scope: SearchScope,
    limit: int,
) -> None:
    index = PointIndex(DIMENSIONS)
    known: dict[PointId, StoredPoint] = {}
    for change in changes:
        if isinstance(change, list):
            index.put(change)
            known.update({point.id: point for point in change})
        else:
            index.remove([change])
            known.pop(change, None)
        assert len(index) == len(known)
    assert_same(index.search(query, scope, limit), plainly(known.values(), query, scope, limit))


def test_a_large_index_grows_and_finds_the_same_in_wide_and_in_narrow_scopes() -> None:
    """More rows than one product takes, and several times as many as there was room for."""
    dice = Random(3)
    points = [
        stored(
            number,
            dice.choice(DIRECTIONS)
            if number % 3 == 0
            else tuple(dice.uniform(-1, 1) for _ in range(DIMENSIONS)),
            THREADS[number % 101 % 4],
            Visibility.PUBLIC if number % 101 % 4 == 1 else Visibility.PRIVATE,
        )
        for number in range(9_000)
    ]
    index = PointIndex(DIMENSIONS)
    for start in range(0, len(points), 700):
        index.put(points[start : start + 700])
    index.remove(point.id for point in points[:100])
    left = points[100:]
    everywhere = frozenset(THREADS)
    for scope in (
        SearchScope(private_thread_ids=everywhere, include_public=True),
        SearchScope(private_thread_ids=frozenset({THREADS[2], THREADS[3]})),
        SearchScope(include_public=True),
        SearchScope(private_thread_ids=everywhere, thread_id=THREADS[3]),
    ):
        for query in (*QUERIES, DIRECTIONS[0]):
            assert_same(index.search(query, scope, 80), plainly(left, query, scope, 80))


def test_equal_vectors_score_the_same_wherever_they_stand() -> None:
    dice = Random(4)
    same = tuple(dice.uniform(-1, 1) for _ in range(DIMENSIONS))
    index = PointIndex(DIMENSIONS)
    index.put([stored(number, same) for number in range(5_003)])
    found = index.search(QUERIES[0], SearchScope(include_public=True), 80)
    assert len({each.score for each in found}) == 1
    names = sorted(f"message-{number}" for number in range(5_003))
    assert [each.message_id for each in found] == names[:80]


@pytest.mark.parametrize(
    "damaged",
    [
        stored(1, ()),
        stored(1, (1.0,) * (DIMENSIONS + 1)),
        stored(1, (math.nan,) * DIMENSIONS),
        stored(1, (math.inf, *(1.0,) * (DIMENSIONS - 1))),
        stored(1, (1e200,) * DIMENSIONS),
        StoredPoint(stored(1, ()).id, None, stored(1, ()).payload),
        StoredPoint(stored(1, ()).id, DIRECTIONS[0], None),
        StoredPoint(stored(1, ()).id, DIRECTIONS[0], {"message_id": "message-1"}),
    ],
)
def test_a_damaged_point_is_not_found_and_hides_no_other(damaged: StoredPoint) -> None:
    index = PointIndex(DIMENSIONS)
    index.put([stored(1, DIRECTIONS[0]), stored(2, DIRECTIONS[1])])
    index.put([damaged, stored(3, DIRECTIONS[2])])
    found = index.search(DIRECTIONS[0], SearchScope(include_public=True), 80)
    assert {each.message_id for each in found} == {"message-2", "message-3"}


def test_an_empty_index_finds_nothing() -> None:
    index = PointIndex(DIMENSIONS)
    index.put([])
    assert index.search(QUERIES[0], SearchScope(include_public=True), 80) == ()
