"""What an index asks of the place where its messages are kept, and such a place in memory.

Rows are whole numbers from 0 that only rise: one for each message that was taken in, in order. A
message that is replaced gets a new row. Importing this module loads numpy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from machines.models.ids import PointId

Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]
Rows = NDArray[np.intp]

BLOCK: Final = 4_096
"""Rows that one product takes: about 1 ms, after which other threads get their turn."""

_WORTH_GATHERING: Final = 3
"""Copying a row together and scoring it costs as much as scoring so many where they are."""


class KeptRows(Protocol):
    """Where the rows of an index are kept."""

    def cosines(self, rows: Rows, query: Float32s) -> Float32s:
        """Of each of `rows`, which rise, with a query of length 1, as float32 has them."""

    def units(self, rows: Rows) -> Float32s:
        """The vectors of `rows`, each of length 1."""

    def payloads(self, rows: Sequence[int]) -> Mapping[int, Mapping[str, Any]]:
        """The payloads of those of `rows` that have a sound one, as `MessagePayload` takes it."""

    def rows_of(self, ids: Sequence[PointId]) -> list[int]:
        """The rows of those of the points that are there, in any order."""


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A message's point as a store gives it back, sound or not."""

    id: PointId
    vector: Sequence[float] | None
    payload: Mapping[str, Any] | None


class HeldRows:
    """Rows in memory, all put in at once: the candidates of one search."""

    def __init__(self, units: Float32s, ids: Sequence[PointId], payloads: Sequence[Any]) -> None:
        """Nothing is copied."""
        self._units = units
        self._row_of = {id_: row for row, id_ in enumerate(ids)}
        self._payloads = payloads

    def cosines(self, rows: Rows, query: Float32s) -> Float32s:
        """As `KeptRows` says."""
        return cosines_in(self._units, rows, query)

    def units(self, rows: Rows) -> Float32s:
        """As `KeptRows` says."""
        return self._units[rows]

    def payloads(self, rows: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """As `KeptRows` says."""
        return {row: self._payloads[row] for row in rows}

    def rows_of(self, ids: Sequence[PointId]) -> list[int]:
        """As `KeptRows` says."""
        return [row for id_ in ids if (row := self._row_of.get(id_)) is not None]


def unit_vectors(vectors: Sequence[Sequence[float]], dimensions: int) -> tuple[Float32s, Rows]:
    """Vectors of `dimensions` numbers each, made of length 1, and the places of those that are finite."""
    made: Float64s = np.array(vectors, np.float64).reshape(len(vectors), dimensions)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(np.square(made).sum(axis=1))
        made /= np.where(norms > 0, norms, 1.0)[:, np.newaxis]
    return made.astype(np.float32), np.flatnonzero(np.isfinite(norms))


def cosines_in(units: Float32s, rows: Rows, query: Float32s) -> Float32s:
    """The cosine of each of `rows` of a matrix of unit vectors."""
    if len(rows) * _WORTH_GATHERING < len(units):
        scores: Float32s = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), BLOCK):
            some = slice(start, start + BLOCK)
            np.matmul(units[rows[some]], query, out=scores[some])
        return scores
    everything: Float32s = np.empty(len(units), np.float32)
    for start in range(0, len(units), BLOCK):
        some = slice(start, start + BLOCK)
        np.matmul(units[some], query, out=everything[some])
    return everything[rows]
