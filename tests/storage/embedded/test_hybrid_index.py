"""Search by vector, words and surroundings: what is found, what is left out, and for whom."""

from collections.abc import Sequence
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.models.ids import MessageId, PointId, ThreadId
from machines.models.thread import Visibility
from storage.embedded.rows import StoredPoint
from storage.memory.points import message_point_id
from storage.memory.values import QueryPoints, SearchScope
from tests.support.point_index import PointIndex

DIMENSIONS = 16
EVERYTHING = SearchScope(include_public=True)
_DICE = Random(5)


def direction() -> list[float]:
    return [_DICE.gauss(0, 1) for _ in range(DIMENSIONS)]


QUERY = direction()


def near(likeness: float) -> list[float]:
    """A direction whose cosine to `QUERY` is about so much."""
    query = np.array(QUERY) / np.linalg.norm(QUERY)
    other = np.array(direction())
    other -= other @ query * query
    other /= np.linalg.norm(other)
    made: list[float] = (likeness * query + np.sqrt(1 - likeness**2) * other).tolist()
    return made


def said(
    number: int,
    content: str,
    *,
    vector: Sequence[float] | None = None,
    speaker: str = "",
    thread: str = "thread",
    visibility: Visibility = Visibility.PUBLIC,
    repeats: bool = False,
    at: str = "2026-01-02T03:04:05Z",
) -> StoredPoint:
    return StoredPoint(
        message_point_id(MessageId(f"message-{number}")),
        near(_DICE.uniform(-0.1, 0.3)) if vector is None else vector,
        {
            "thread_id": thread,
            "message_id": f"message-{number}",
            "author": None,
            "role": "chorus",
            "visibility": visibility.value,
            "content": content,
            "created_at": at,
            "seq": 1,
            "fingerprint": "test",
            "index": number,
            "repeats": repeats,
            "speaker": speaker,
        },
    )


def index_of(*points: StoredPoint) -> PointIndex:
    index = PointIndex(DIMENSIONS)
    index.put(points)
    return index


def found(
    index: PointIndex,
    text: str,
    scope: SearchScope = EVERYTHING,
    *,
    limit: int = 10,
    floor: float = 0.0,
) -> list[int]:
    query = QueryPoints(vector=tuple(QUERY), scope=scope, limit=limit, text=text, floor=floor)
    return [int(prior.message_id.removeprefix("message-")) for prior in index.find(query)]


def chatter(count: int, start: int = 100) -> list[StoredPoint]:
    """Messages of threads of their own about nothing that is asked."""
    return [
        said(start + number, f"remark number {number}", thread=f"chatter-{number}")
        for number in range(count)
    ]


def test_a_word_that_few_messages_have_finds_what_no_vector_does() -> None:
    index = index_of(said(1, "The keel bolts are sound.", vector=near(0.0)), *chatter(40))
    assert found(index, "what of the keel bolts?")[0] == 1


def test_what_is_near_in_meaning_is_found_without_a_word_in_common() -> None:
    index = index_of(said(1, "She tripped the fuse.", vector=near(0.7)), *chatter(40))
    assert found(index, "electricity keeps cutting out")[0] == 1


def test_whoever_is_named_is_found_by_what_they_said() -> None:
    index = index_of(
        said(1, "I travel by train.", speaker="Olu", thread="a", vector=near(0.4)),
        said(2, "I travel by bicycle.", speaker="Ines", thread="b", vector=near(0.4)),
        *chatter(40),
    )
    assert found(index, "How does Olu travel?")[0] == 1
    assert found(index, "How does Ines travel?")[0] == 2


def test_a_message_is_found_by_its_day_wherever_it_was_told() -> None:
    index = index_of(
        said(1, "The hall is cold.", at="2025-03-13T09:00:00Z", thread="a", vector=near(0.2)),
        said(2, "The hall is warm.", at="2025-03-14T23:30:00-02:00", thread="b", vector=near(0.2)),
        *chatter(40),
    )
    assert found(index, "What was said on 15 March 2025?")[0] == 2, "a day is one of UTC"
    assert found(index, "Was sagte jemand am 2025-03-13?")[0] == 1


def test_words_of_a_query_that_neighbours_share_count_for_all_of_them() -> None:
    index = index_of(
        said(1, "Did the surveyor look at the keel?", thread="boat"),
        said(2, "The bolts are sound.", thread="boat"),
        said(3, "Bolts of cloth are sold by weight.", thread="cloth"),
        *chatter(40),
    )
    assert found(index, "surveyor and bolts of the keel")[:2] in ([1, 2], [2, 1])


def test_an_answer_is_found_by_the_question_before_it() -> None:
    index = index_of(
        said(1, "Which paint did you choose for the hull?", vector=near(0.6)),
        said(2, "Two coats of the grey one.", vector=near(0.15)),
        *chatter(40),
    )
    assert found(index, "paint of the hull")[:2] == [1, 2]


def test_a_text_that_was_said_often_is_shown_once() -> None:
    again = [
        said(number, "Where is the KEY?" if number % 2 else "Where is the key", thread=f"t{number}")
        for number in range(60)
    ]
    fact = said(99, "In the blue ledger.", vector=near(0.3))
    shown = found(index_of(*again, fact), "Where is the key?", limit=5)
    assert 99 in shown
    assert len([number for number in shown if number < 60]) == 1


def test_what_says_the_same_as_something_known_is_not_shown() -> None:
    index = index_of(
        said(1, "Where is the key?", thread="a"),
        said(2, "where is the key", thread="b"),
        said(3, "In the blue ledger.", vector=near(0.3)),
    )
    known = EVERYTHING.model_copy(update={"exclude": frozenset({MessageId("message-1")})})
    assert found(index, "Has somebody seen the key?", known) == [3]


def test_what_only_repeats_others_is_left_out_where_that_is_asked() -> None:
    index = index_of(said(1, "The keel is sound.", repeats=True), said(2, "The keel is green."))
    own = EVERYTHING.model_copy(update={"with_repeating": False})
    assert sorted(found(index, "keel")) == [1, 2]
    assert found(index, "keel", own) == [2]


def test_below_the_floor_nothing_is_shown_but_the_neighbour_of_a_hit() -> None:
    index = index_of(
        said(1, "The keel?", thread="boat", vector=near(0.8)),
        said(2, "Oak.", thread="boat", vector=near(0.05)),
        *(said(n, f"remark {n}", thread=f"x{n}", vector=near(0.05)) for n in range(10, 20)),
    )
    assert found(index, "keel", floor=0.2) == [1, 2]
    assert found(index, "nothing of this", floor=0.95) == []


def test_an_empty_index_and_an_empty_scope_give_nothing() -> None:
    assert found(PointIndex(DIMENSIONS), "keel") == []
    assert found(index_of(said(1, "keel")), "keel", SearchScope(include_public=False)) == []


WORDS = ("keel", "mast", "rope", "the keys", "rot")
threads = st.sampled_from(["a", "b", "c"])
points = st.builds(
    said,
    st.integers(0, 25),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    thread=threads,
    speaker=st.sampled_from(["", "Olu"]),
    visibility=st.sampled_from(Visibility),
    repeats=st.booleans(),
)
removals = st.integers(0, 25).map(lambda number: message_point_id(MessageId(f"message-{number}")))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(points, max_size=8) | removals, max_size=12),
    st.sampled_from(WORDS),
    st.builds(
        SearchScope,
        private_thread_ids=st.frozensets(threads.map(ThreadId)),
        include_public=st.booleans(),
        thread_id=st.none() | threads.map(ThreadId),
        exclude=st.frozensets(st.integers(0, 25).map(lambda n: MessageId(f"message-{n}"))),
        with_repeating=st.booleans(),
    ),
    st.integers(1, 20),
)
def test_whatever_happened_to_the_index_a_search_shows_each_text_once_and_what_may_be_seen(
    changes: list[list[StoredPoint] | PointId], text: str, scope: SearchScope, limit: int
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
    query = QueryPoints(vector=tuple(QUERY), scope=scope, limit=limit, text=text)
    shown = index.find(query)
    allowed = {
        point.payload["message_id"]: point.payload
        for point in known.values()
        if point.payload
        and (
            point.payload["thread_id"] in scope.private_thread_ids
            or (scope.include_public and point.payload["visibility"] == "public")
        )
        and scope.thread_id in (None, point.payload["thread_id"])
        and point.payload["message_id"] not in scope.exclude
        and (scope.with_repeating or not point.payload["repeats"])
    }
    assert len(shown) <= limit
    assert {prior.message_id for prior in shown} <= allowed.keys()
    contents = [prior.content for prior in shown]
    assert len(contents) == len(set(contents)), "a text is shown twice"
    assert all(0.0 <= prior.score <= 1.0 for prior in shown)
