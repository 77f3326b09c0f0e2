"""An index of points that come and go by their ids, kept in memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from machines.models.ids import PointId
from machines.models.outputs import Prior
from storage.embedded.exact_index import entry_of
from storage.embedded.hybrid_index import HybridIndex
from storage.embedded.rows import Float32s, Rows, StoredPoint, cosines_in, unit_vectors
from storage.memory.values import QueryPoints, SearchScope
from storage.memory.visibility import payload_of


class GrowingRows:
    """Rows in memory that more are put behind."""

    def __init__(self, dimensions: int) -> None:
        self.matrix: Float32s = np.empty((0, dimensions), np.float32)
        self.stored: list[Mapping[str, Any]] = []
        self.row_of: dict[PointId, int] = {}

    def cosines(self, rows: Rows, query: Float32s) -> Float32s:
        return cosines_in(self.matrix, rows, query)

    def units(self, rows: Rows) -> Float32s:
        return self.matrix[rows]

    def payloads(self, rows: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        return {row: self.stored[row] for row in rows}

    def rows_of(self, ids: Sequence[PointId]) -> list[int]:
        return [self.row_of[id_] for id_ in ids if id_ in self.row_of]


class PointIndex:
    """A hybrid index of points: `put`, `remove`, `search`, `find`."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._rows = GrowingRows(dimensions)
        self._index = HybridIndex(self._rows, dimensions)

    def __len__(self) -> int:
        return len(self._rows.row_of)

    def put(self, points: Iterable[StoredPoint]) -> None:
        """Take points in, each in place of what was there under its id."""
        each = list({point.id: point for point in points}.values())
        self.remove([point.id for point in each])
        sized = [point for point in each if len(point.vector or ()) == self._dimensions]
        units, finite = unit_vectors([point.vector or () for point in sized], self._dimensions)
        messages = ((place, payload_of(sized[place].payload)) for place in finite.tolist())
        sound = [(place, message) for place, message in messages if message is not None]
        rows = range(len(self._rows.stored), len(self._rows.stored) + len(sound))
        self._rows.matrix = np.concatenate([self._rows.matrix, units[[p for p, _ in sound]]])
        self._rows.stored += [dict(sized[place].payload or {}) for place, _ in sound]
        self._rows.row_of.update(
            {sized[place].id: row for row, (place, _) in zip(rows, sound, strict=True)}
        )
        self._index.put(rows, [entry_of(message) for _, message in sound])

    def remove(self, ids: Iterable[PointId]) -> None:
        """Forget points; unknown ids are fine."""
        self._index.take_out(
            [row for id_ in ids if (row := self._rows.row_of.pop(id_, None)) is not None]
        )

    def search(self, vector: Sequence[float], scope: SearchScope, limit: int) -> tuple[Prior, ...]:
        return self._index.search(vector, scope, limit)

    def find(self, query: QueryPoints) -> tuple[Prior, ...]:
        return self._index.find(query)
