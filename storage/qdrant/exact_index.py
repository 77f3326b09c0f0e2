"""Exact search among unit vectors in this process: a projection of the embedded memory.

    the problem     embedded Qdrant scores all its points in float64, filters in Python and copies
                    the payload of each hit: 26 ms at 10,000 points, 180 at 100,000, and many
                    times that where the reader may see few of them.
    what is done    the vectors stand here again, in float32, beside what the scope asks of them.
                    What is out of scope is never scored, and only winners are looked at whole.

Which messages are found and in which order is decided in float64; float32 only chooses who comes
into question, with a margin for its rounding. So messages of the same text score the same, and the
order among them is that of their ids.

Nothing here waits, locks or knows a store: one thread calls. Importing this module loads numpy:
import it in that thread.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from machines.models.ids import PointId, ThreadId
from machines.models.outputs import Prior
from machines.models.thread import Visibility
from storage.memory.values import MessagePayload, SearchScope, message_point_id
from storage.memory.visibility import payload_of, sound_and_readable

Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]
Rows = NDArray[np.intp]

_BLOCK: Final = 4_096
"""Rows that one product takes: about 1 ms, after which other threads get their turn."""

_FIRST_CAPACITY: Final = 1_024

_WORTH_GATHERING: Final = 3
"""Copying a row together and scoring it costs as much as scoring so many where they are."""

_Shelf = tuple[ThreadId, Visibility, bool]
"""All that a scope asks of a message but its id."""


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A message's point as the store gives it back, sound or not."""

    id: PointId
    vector: Sequence[float] | None
    payload: Mapping[str, Any] | None


class ExactIndex:
    """Messages by the direction of their vectors: `put`, `remove`, `search`.

    A point whose vector or payload is damaged is left out: no search may show it.
    """

    def __init__(self, dimensions: int) -> None:
        """An empty index of vectors of so many numbers. Limits BLAS to one thread, process-wide."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # A product waits for memory more than for arithmetic: a second thread would burn the core
        # that the event loop runs on, and gain little.
        threadpool_limits(limits=1, user_api="blas")
        self._dimensions = dimensions
        # Two sums of so many products, each rounded in float32.
        self._margin = 2 * dimensions * float(np.finfo(np.float32).eps)
        self._units: Float32s = np.empty((_FIRST_CAPACITY, dimensions), np.float32)
        """Row by row; those from `len(self)` on mean nothing."""
        self._shelf_of_row: NDArray[np.int32] = np.zeros(_FIRST_CAPACITY, np.int32)
        self._ids: list[PointId] = []
        # As plain data, which the garbage collector does not visit: 100,000 models would stop
        # every thread for tens of milliseconds at each full collection.
        self._payloads: list[dict[str, Any]] = []
        self._row_of: dict[PointId, int] = {}
        self._shelves: dict[_Shelf, int] = {}
        self._shelves_of_thread: dict[ThreadId, list[int]] = {}
        self._public_shelves: list[int] = []
        self._repeating_shelves: list[int] = []

    def __len__(self) -> int:
        return len(self._ids)

    # ------------------------------------------------------------------------------------ changes

    def put(self, points: Sequence[StoredPoint]) -> None:
        """Take points in, each in place of what was there under its id."""
        sized = [point for point in points if len(point.vector or ()) == self._dimensions]
        vectors: Float64s = np.array([point.vector for point in sized], np.float64)
        vectors = vectors.reshape(len(sized), self._dimensions)
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(np.square(vectors).sum(axis=1))
            vectors /= np.where(norms > 0, norms, 1.0)[:, np.newaxis]
        places: list[int] = []
        rows: list[int] = []
        shelves: list[int] = []
        for place, is_finite in enumerate(np.isfinite(norms).tolist()):
            point = sized[place]
            message = payload_of(point.payload) if is_finite else None
            if message is not None:
                places.append(place)
                rows.append(self._row_for(point.id))
                shelf = (message.thread_id, message.visibility, message.repeats)
                shelves.append(self._shelf(shelf))
                self._payloads[rows[-1]] = dict(point.payload or {})
                self._placed(rows[-1], message)
        self._units[rows] = vectors[places]
        self._shelf_of_row[rows] = shelves
        taken = {sized[place].id for place in places}
        self.remove(point.id for point in points if point.id not in taken)

    def remove(self, ids: Iterable[PointId]) -> None:
        """Forget points; unknown ids are fine."""
        for id_ in ids:
            row = self._row_of.pop(id_, None)
            if row is None:
                continue
            self._takes_out(row)
            # The last row moves into the gap, so that no row is ever void.
            last = len(self._ids) - 1
            last_id, last_payload = self._ids.pop(), self._payloads.pop()
            if row != last:
                self._units[row] = self._units[last]
                self._shelf_of_row[row] = self._shelf_of_row[last]
                self._ids[row], self._payloads[row] = last_id, last_payload
                self._row_of[last_id] = row

    def _placed(self, row: int, message: MessagePayload) -> None:
        """A message stands in this row from now on: one that was there, or the next one."""

    def _takes_out(self, row: int) -> None:
        """A row goes, and the last one takes its place."""

    def _row_for(self, id_: PointId) -> int:
        row = self._row_of.get(id_)
        if row is not None:
            return row
        row = self._row_of[id_] = len(self._ids)
        self._ids.append(id_)
        self._payloads.append({})
        if row == len(self._units):
            units, shelves = self._units, self._shelf_of_row
            self._units = np.empty((2 * row, self._dimensions), np.float32)
            self._shelf_of_row = np.zeros(2 * row, np.int32)
            self._units[:row], self._shelf_of_row[:row] = units, shelves
        return row

    def _shelf(self, shelf: _Shelf) -> int:
        code = self._shelves.get(shelf)
        if code is None:
            code = self._shelves[shelf] = len(self._shelves)
            thread_id, visibility, repeats = shelf
            self._shelves_of_thread.setdefault(thread_id, []).append(code)
            if visibility is Visibility.PUBLIC:
                self._public_shelves.append(code)
            if repeats:
                self._repeating_shelves.append(code)
        return code

    # ------------------------------------------------------------------------------------- search

    def search(self, vector: Sequence[float], scope: SearchScope, limit: int) -> tuple[Prior, ...]:
        """The best `limit` messages in scope by cosine, best first, then by id.

        `vector` is a sound one of the index's dimensions, of any length.
        """
        query: Float64s = np.array(vector, np.float64)
        query /= np.linalg.norm(query)
        rows = self._rows_in(scope)
        rows = self._in_question(rows, query.astype(np.float32), limit)
        best = nsmallest(
            limit,
            self._scored(rows, query),
            key=lambda hit: (-hit[0], self._payloads[hit[1]]["message_id"]),
        )
        # `put` took in sound payloads alone.
        return sound_and_readable(((score, self._payloads[row]) for score, row in best), scope)

    def _rows_in(self, scope: SearchScope) -> Rows:
        """The rows that `scope.allows`, ascending."""
        allowed = np.zeros(len(self._shelves), np.bool_)
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
        mask = allowed[self._shelf_of_row[: len(self)]]
        for message_id in scope.exclude:
            row = self._row_of.get(message_point_id(message_id))
            if row is not None:
                mask[row] = False
        return np.flatnonzero(mask)

    def _in_question(self, rows: Rows, query: Float32s, limit: int) -> Rows:
        """Those of `rows` that may be among the best `limit`, rounding considered."""
        if len(rows) <= limit:
            return rows
        scores = self._cosines(rows, query)
        worst = len(scores) - limit
        bound = float(np.partition(scores, worst)[worst]) - self._margin
        in_question: Rows = rows[scores >= bound]
        return in_question

    def _cosines(self, rows: Rows, query: Float32s) -> Float32s:
        """Of each of `rows`, as float32 has them."""
        if len(rows) * _WORTH_GATHERING < len(self):
            scores: Float32s = np.empty(len(rows), np.float32)
            for block in _blocks(len(rows)):
                np.matmul(self._units[rows[block]], query, out=scores[block])
        else:
            everything: Float32s = np.empty(len(self), np.float32)
            for block in _blocks(len(self)):
                np.matmul(self._units[: len(self)][block], query, out=everything[block])
            scores = everything[rows]
        return scores

    def _scored(self, rows: Rows, query: Float64s) -> Iterator[tuple[float, int]]:
        """(score, row) of each; equal vectors score the same, wherever they stand."""
        for block in _blocks(len(rows)):
            some = rows[block]
            # No matrix product: the rounding of one depends on the row's place in it.
            scores = (self._units[some] * query).sum(axis=1)
            yield from zip(scores.tolist(), some.tolist(), strict=True)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))
