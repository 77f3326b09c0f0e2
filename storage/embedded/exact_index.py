"""Exact search among unit vectors in this process, of what its reader may see.

What the scope asks of a message stands in memory, in numbers by row, so that what is out of scope is
never scored, and only winners are looked at whole. Vectors and payloads are where `KeptRows` has
them.

Which messages are found and in which order is decided in float64; float32 only chooses who comes
into question, with a margin for its rounding. So messages of the same text score the same, and the
order among them is that of their ids.

Nothing here waits, locks or knows a store: one thread calls. Importing this module loads numpy:
import it in that thread.
"""

from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import Final, NamedTuple

import numpy as np

from machines.models.ids import PointId, ThreadId
from machines.models.outputs import Prior
from machines.models.thread import Visibility
from storage.embedded.rows import BLOCK, Float32s, Float64s, KeptRows, Rows
from storage.memory.points import MessagePayload, message_point_id
from storage.memory.surroundings import Stand, identity
from storage.memory.values import SearchScope
from storage.memory.visibility import sound_and_readable
from storage.memory.word_index import CountedWords, counted

_FIRST_CAPACITY: Final = 1_024

_NOWHERE: Final = -1
"""In place of a shelf, for a row that holds no message any more."""

_ROUNDING: Final = 1e-3
"""What a cosine of sound unit vectors may be above 1, and far more than that."""


class Shelf(NamedTuple):
    """All that a scope asks of a message but its id."""

    thread_id: ThreadId
    visibility: Visibility
    repeats: bool


class Entry(NamedTuple):
    """What an index keeps of a message in memory."""

    shelf: Shelf
    stand: Stand
    words: CountedWords


def entry_of(message: MessagePayload) -> Entry:
    """What an index keeps of a message."""
    return Entry(
        Shelf(message.thread_id, message.visibility, message.repeats),
        Stand(message.thread_id, message.index, message.speaker, identity(message.content)),
        counted(message.said, message.day),
    )


class ExactIndex:
    """Messages by the direction of their vectors: `put`, `take_out`, `search`."""

    def __init__(self, kept: KeptRows, dimensions: int) -> None:
        """An empty index. Limits BLAS to one thread, process-wide."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # A product waits for memory more than for arithmetic: a second thread would burn the core
        # that the event loop runs on, and gain little.
        threadpool_limits(limits=1, user_api="blas")
        self._kept = kept
        # Two sums of so many products, each rounded in float32.
        self._margin = 2 * dimensions * float(np.finfo(np.float32).eps)
        self._rows = 0
        self._shelf_of_row = np.full(_FIRST_CAPACITY, _NOWHERE, np.int32)
        self._shelves: dict[Shelf, int] = {}
        self._shelves_of_thread: dict[ThreadId, list[int]] = {}
        self._public_shelves: list[int] = []
        self._repeating_shelves: list[int] = []

    # ------------------------------------------------------------------------------------ changes

    def put(self, rows: Sequence[int], entries: Sequence[Entry]) -> None:
        """Take messages in; each of `rows` is higher than all that are there, and `KeptRows` has it."""
        if not rows:
            return
        self._rows = rows[-1] + 1
        if self._rows > len(self._shelf_of_row):
            more = max(self._rows, 2 * len(self._shelf_of_row)) - len(self._shelf_of_row)
            shelves = np.full(more, _NOWHERE, np.int32)
            self._shelf_of_row = np.concatenate([self._shelf_of_row, shelves])
        self._shelf_of_row[list(rows)] = [self._shelf(entry.shelf) for entry in entries]

    def take_out(self, rows: Sequence[int]) -> None:
        """Forget rows that are there."""
        self._shelf_of_row[list(rows)] = _NOWHERE

    def _shelf(self, shelf: Shelf) -> int:
        code = self._shelves.get(shelf)
        if code is None:
            code = self._shelves[shelf] = len(self._shelves)
            self._shelves_of_thread.setdefault(shelf.thread_id, []).append(code)
            if shelf.visibility is Visibility.PUBLIC:
                self._public_shelves.append(code)
            if shelf.repeats:
                self._repeating_shelves.append(code)
        return code

    # ------------------------------------------------------------------------------------- search

    def search(self, vector: Sequence[float], scope: SearchScope, limit: int) -> tuple[Prior, ...]:
        """The best `limit` messages in scope by cosine, best first, then by id.

        `vector` is a sound one of the index's dimensions, of any length.
        """
        query: Float64s = np.array(vector, np.float64)
        query /= np.linalg.norm(query)
        rows, cosines = self._scored(self._rows_in(scope), query.astype(np.float32))
        rows = self._in_question(rows, cosines, limit)
        payloads = self._kept.payloads(rows.tolist())
        best = nsmallest(
            limit,
            (hit for hit in self._scored_exactly(rows, query) if hit[1] in payloads),
            key=lambda hit: (-hit[0], payloads[hit[1]]["message_id"]),
        )
        return sound_and_readable(((score, payloads[row]) for score, row in best), scope)

    def _rows_in(self, scope: SearchScope) -> Rows:
        """The rows that `scope.allows`, ascending."""
        # The last place is that of `_NOWHERE`.
        allowed = np.zeros(len(self._shelves) + 1, np.bool_)
        if scope.include_public:
            allowed[self._public_shelves] = True
        for thread_id in scope.private_thread_ids & self._shelves_of_thread.keys():
            allowed[self._shelves_of_thread[thread_id]] = True
        if scope.thread_id is not None:
            asked = np.zeros_like(allowed)
            asked[self._shelves_of_thread.get(scope.thread_id, [])] = True
            allowed &= asked
        if not scope.with_repeating:
            allowed[self._repeating_shelves] = False
        mask = allowed[self._shelf_of_row[: self._rows]]
        mask[self._excluded(scope)] = False
        return np.flatnonzero(mask)

    def _excluded(self, scope: SearchScope) -> list[int]:
        """The rows of the messages that the scope leaves out as known."""
        if not scope.exclude:
            return []
        ids: list[PointId] = [message_point_id(message_id) for message_id in scope.exclude]
        return self._kept.rows_of(ids)

    def _scored(self, rows: Rows, query: Float32s) -> tuple[Rows, Float32s]:
        """Those of `rows` whose vectors are sound, and their cosines."""
        cosines = self._kept.cosines(rows, query)
        # False for NaN too. One vector that is damaged would move the mean of all scores.
        sound = np.abs(cosines) <= 1 + _ROUNDING
        return (rows, cosines) if sound.all() else (rows[sound], cosines[sound])

    def _in_question(self, rows: Rows, cosines: Float32s, limit: int) -> Rows:
        """Those of `rows` that may be among the best `limit`, rounding considered."""
        if len(rows) <= limit:
            return rows
        worst = len(cosines) - limit
        bound = float(np.partition(cosines, worst)[worst]) - self._margin
        in_question: Rows = rows[cosines >= bound]
        return in_question

    def _scored_exactly(self, rows: Rows, query: Float64s) -> Iterator[tuple[float, int]]:
        """(score, row) of each; equal vectors score the same, wherever they stand."""
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            # No matrix product: the rounding of one depends on the row's place in it.
            scores = (self._kept.units(some) * query).sum(axis=1)
            yield from zip(scores.tolist(), some.tolist(), strict=True)
