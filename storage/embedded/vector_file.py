"""Unit vectors in a file, row after row, in float32: the newest of them in the page cache at most.

    the problem     a vector of 384 numbers takes 1.5 KB, so that 100,000 of them are 150 MB, and a
                    search looks at each that its reader may see.
    what is done    the first `_HELD` bytes of the file stand in memory too, the rest is read block
                    by block as it is scored. So a memory has a bound, whatever the years bring.

The file is read and written by calls, and not mapped: a disk that is full, fails or loses the file
raises an OSError then, where a mapped page ends the process. Rows are only ever appended, and are
durable before the database names them. Importing this module loads numpy.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np

from storage.embedded.rows import BLOCK, Float32s, Rows, cosines_in

_HELD: Final = 128 << 20
"""Bytes of vectors that are held in memory: 87,381 of 384 numbers each."""

_READ: Final = 512
"""Rows that are read at once."""

_FEW: Final = 16
"""Rows of so many that are read one by one where not more of them are asked for."""

_PRIVATE: Final = 0o600


class ShortFile(Exception):
    """The file ends before a row that the database has."""


class VectorFile:
    """Rows of a file: `append_at`, `cosines`, `units`, `sums`. To be used by one thread."""

    def __init__(self, file: Path, dimensions: int, *, held_bytes: int = _HELD) -> None:
        """Open the file, and make it where it is missing. Raises OSError."""
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        self._width = 4 * dimensions
        self._dimensions = dimensions
        # Memory that is not written takes none.
        self._held: Float32s = np.empty((held_bytes // self._width, dimensions), np.float32)
        self._rows = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def clear(self) -> None:
        """Give up all rows, and their place on the disk. Raises OSError."""
        self._rows = 0
        os.ftruncate(self._descriptor, 0)

    def load(self, rows: int) -> None:
        """Take in the first `rows` rows of the file, and forget what follows.

        Raises:
            ShortFile: there are fewer.
            OSError: the file cannot be read.
        """
        if os.fstat(self._descriptor).st_size < rows * self._width:
            raise ShortFile
        self._rows = rows
        for start in range(0, min(rows, len(self._held)), BLOCK):
            self._read_into(self._held[start : min(start + BLOCK, rows)], start)

    def append_at(self, first: int, units: Float32s) -> None:
        """Write rows from this one on, over what no message has; they are durable then. Raises OSError."""
        left, place = np.ascontiguousarray(units).data.cast("B"), first * self._width
        while len(left):
            written = os.pwrite(self._descriptor, left, place)
            left, place = left[written:], place + written
        os.fdatasync(self._descriptor)
        self._rows = first + len(units)
        held = self._held[first : self._rows]
        held[:] = units[: len(held)]

    def units(self, rows: Rows) -> Float32s:
        """The vectors of some rows. Raises OSError or ShortFile."""
        found: Float32s = np.empty((len(rows), self._dimensions), np.float32)
        is_held = rows < len(self._held)
        found[is_held] = self._held[rows[is_held]]
        for place in np.flatnonzero(~is_held).tolist():
            self._read_into(found[place : place + 1], int(rows[place]))
        return found

    def cosines(self, rows: Rows, query: Float32s) -> Float32s:
        """The cosine of each of some rows, which rise. Raises OSError or ShortFile."""
        held = int(np.searchsorted(rows, len(self._held)))
        scores = cosines_in(self._held[: self._rows], rows[:held], query)
        if held == len(rows):
            return scores
        parts = [scores]
        buffer: Float32s = np.empty((_READ, self._dimensions), np.float32)
        for some in _by_block(rows[held:]):
            if len(some) <= _FEW:
                parts.append(self.units(some) @ query)
                continue
            start = int(some[0])
            block = buffer[: int(some[-1]) - start + 1]
            self._read_into(block, start)
            parts.append((block @ query)[some - start])
        return np.concatenate(parts)

    def sums(self, rows: Sequence[int]) -> Iterator[int]:
        """A checksum of each of some rows, which rise. Raises OSError or ShortFile."""
        for start in range(0, len(rows), _READ):
            some = rows[start : start + _READ]
            first = some[0]
            if some[-1] - first < 2 * _READ:
                block: Float32s = np.empty((some[-1] - first + 1, self._dimensions), np.float32)
                self._read_into(block, first)
                yield from (crc32(block[row - first]) for row in some)
            else:
                yield from map(crc32, self.units(np.array(some)))

    def _read_into(self, block: Float32s, first: int) -> None:
        left, place = block.data.cast("B"), first * self._width
        while len(left):
            read = os.preadv(self._descriptor, [left], place)
            if not read:
                raise ShortFile
            left, place = left[read:], place + read


def _by_block(rows: Rows) -> list[Rows]:
    """Rows that rise, those together that stand in the same block of the file."""
    return np.split(rows, np.flatnonzero(np.diff(rows // _READ)) + 1)
