"""What a search costs, in counts: rows scored, work of Python's, questions to the store.

Nothing is timed. A search of a thousand times as many messages may score as many rows more, which
is numpy's work; Python's must stay what the priors that were asked for make it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import numpy as np
import pytest

from machines.models.domain import Role
from machines.models.ids import MessageId, ThreadId
from machines.models.thread import Visibility
from storage.embedded.rows import StoredPoint
from storage.embedded.store import EmbeddedStore
from storage.memory.points import Collection, MessagePayload, MessagePoint
from storage.memory.values import QueryPoints, SearchScope, WritePoints
from tests.support.point_index import PointIndex

DIMENSIONS = 16
IN_A_THREAD = 50
LIMIT = 80
EVERYTHING = SearchScope(include_public=True)


def payload(number: int) -> MessagePayload:
    return MessagePayload(
        thread_id=thread(number // IN_A_THREAD),
        message_id=MessageId(f"message-{number}"),
        author=None,
        role=Role.CHORUS,
        visibility=Visibility.PUBLIC,
        content=f"content {number}",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        seq=1,
        fingerprint="test",
    )


def thread(number: int) -> ThreadId:
    return ThreadId(f"thread-{number}")


def vectors(count: int) -> list[tuple[float, ...]]:
    dice = Random(count)
    return [tuple(dice.gauss(0, 1) for _ in range(DIMENSIONS)) for _ in range(count)]


def index_of(count: int) -> PointIndex:
    index = PointIndex(DIMENSIONS)
    index.put(points(count))
    return index


def points(count: int) -> list[StoredPoint]:
    return [
        StoredPoint(payload(number).point_id, vector, payload(number).model_dump(mode="json"))
        for number, vector in enumerate(vectors(count))
    ]


@contextmanager
def counting(count: Callable[[FrameType, str], None]) -> Iterator[None]:
    """Tell `count` of every function that this thread calls, Python's and C's."""

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "c_call"):
            count(frame, event)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def calls_of(index: PointIndex, scope: SearchScope, limit: int) -> int:
    """How many functions one search calls."""
    calls: list[str] = []
    (query,) = vectors(1)
    with counting(lambda _, event: calls.append(event)):
        found = index.search(query, scope, limit)
    assert len(found) == limit
    return len(calls)


def calls_by_words(count: int) -> int:
    """How many functions one search with words calls."""
    index = PointIndex(DIMENSIONS)
    index.put(points(count))
    calls: list[str] = []
    (vector,) = vectors(1)
    query = QueryPoints(vector=vector, scope=EVERYTHING, limit=LIMIT, text="the content of 7 and 9")
    with counting(lambda _, event: calls.append(event)):
        found = index.find(query)
    assert len(found) == LIMIT
    return len(calls)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each matrix product that is taken from now on."""
    rows: list[int] = []
    product = np.matmul

    def noted(matrix: Any, *arguments: Any, **options: Any) -> Any:
        rows.append(len(matrix))
        return product(matrix, *arguments, **options)

    monkeypatch.setattr(np, "matmul", noted)
    return rows


class TestRows:
    def test_what_is_out_of_a_narrow_scope_is_never_scored(self, scored: list[int]) -> None:
        index = index_of(5_000)
        mine = SearchScope(private_thread_ids=frozenset({thread(3), thread(70), thread(99)}))
        (query,) = vectors(1)
        assert len(index.search(query, mine, LIMIT)) == LIMIT
        assert sum(scored) == 3 * IN_A_THREAD, "rows were scored that nobody may read"

    def test_a_wide_scope_scores_each_row_once(self, scored: list[int]) -> None:
        index = index_of(5_000)
        (query,) = vectors(1)
        assert len(index.search(query, EVERYTHING, LIMIT)) == LIMIT
        assert sum(scored) == 5_000


class TestPython:
    def test_its_work_does_not_grow_with_the_messages(self) -> None:
        """Some calls more for each block of rows, none for a row."""
        few = calls_of(index_of(500), EVERYTHING, LIMIT)
        many = calls_of(index_of(20_000), EVERYTHING, LIMIT)
        assert many <= few + 200, "a search looks at messages that it does not show"

    def test_its_work_grows_with_the_priors_asked_for_alone(self) -> None:
        index = index_of(5_000)
        few, many = (calls_of(index, EVERYTHING, limit) for limit in (LIMIT // 2, LIMIT))
        assert many <= 2 * few


class TestWords:
    """The same of searches by words and surroundings too."""

    def test_its_work_does_not_grow_with_the_messages(self) -> None:
        few, many = (calls_by_words(count) for count in (500, 20_000))
        assert many <= few + 200, "a search looks at messages that it does not show"


class TestStore:
    @pytest.mark.parametrize("text", ["", "the content of 7 and 9"])
    def test_an_embedded_search_reads_the_payloads_that_it_shows_alone(
        self, tmp_path: Path, text: str
    ) -> None:
        store = EmbeddedStore(tmp_path, DIMENSIONS, "test")
        store.prepare(accept_other=False)
        messages = tuple(
            MessagePoint(payload=payload(number), vector=vector)
            for number, vector in enumerate(vectors(500))
        )
        store.perform(WritePoints(collection=Collection.MESSAGES, points=messages, when="newer"))
        (query,) = vectors(1)
        asked: list[str] = []
        store._files().database._connection.set_trace_callback(asked.append)
        found = store.perform(QueryPoints(vector=query, scope=EVERYTHING, limit=LIMIT, text=text))
        store.close()
        assert len(found) == LIMIT
        (statement,) = asked
        assert "FROM payloads" in statement
        assert len(statement.split(",")) <= LIMIT + 5
