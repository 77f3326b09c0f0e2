"""Where each message stands: its thread, its neighbours there, its author, and whose text it repeats.

Rows are those of the index that this one goes with, as in `storage.memory.word_index`. Nothing here
waits, locks or knows a store: one thread calls. Importing this module loads numpy.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from machines.models.ids import ThreadId
from storage.memory.words import written

Float32s = NDArray[np.float32]
Int32s = NDArray[np.int32]
Rows = NDArray[np.intp]
Int64s = NDArray[np.int64]

NONE: Final = -1
"""In place of a neighbour's row, where there is none."""

_FIRST_CAPACITY: Final = 1_024


class Stand(NamedTuple):
    """What `Surroundings` keeps of a message."""

    thread_id: ThreadId
    place: int
    """Its index in the thread."""
    author: str
    """Name of its author; empty where there is none."""
    identity: int
    """What `identity` gives for its text."""


class Within(NamedTuple):
    """What is in the scope of a search, and how it stands there. A place is one in `rows`."""

    rows: Rows
    places: Int32s
    """By row: its place, or `NONE`; the last one is that of no row at all, where `NONE` points."""
    before: Int32s
    """By place: the place of the message before, or `NONE`."""
    after: Int32s
    thread: Int32s
    """By place: the number of its thread, below `threads`."""
    threads: int
    """How many threads are in scope."""

    def with_neighbours(self, values: Float32s, before: float, after: float) -> Float32s:
        """Each value with a part of those of the messages before and after it, along the last axis."""
        # The last one is that of no message, where `NONE` points.
        none = np.zeros((*values.shape[:-1], 1), np.float32)
        there: Float32s = np.concatenate([values, none], axis=-1)
        both = values.copy()
        both += np.float32(before) * there[..., self.before]
        both += np.float32(after) * there[..., self.after]
        return both


def identity(content: str) -> int:
    """A number of 64 bits with a sign: the same for texts of the same words, whatever their case and
    marks."""
    words = written(content)
    # No word has a space in it, and a text without words is the same as itself alone.
    said = " ".join(words) if words else f" {content}"
    digest = blake2b(said.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class Surroundings:
    """The surroundings of rows: `put`, `link`, `take_out`, and arrays by row."""

    def __init__(self) -> None:
        # Those of rows that are not there mean nothing.
        self.before: Int32s = np.full(_FIRST_CAPACITY, NONE, np.int32)
        """Row of the message before, or `NONE`."""
        self.after: Int32s = np.full(_FIRST_CAPACITY, NONE, np.int32)
        self.thread: Int32s = np.zeros(_FIRST_CAPACITY, np.int32)
        """A number for each thread."""
        self.identity: Int64s = np.zeros(_FIRST_CAPACITY, np.int64)
        self._author: Int32s = np.zeros(_FIRST_CAPACITY, np.int32)
        self._index: Int32s = np.zeros(_FIRST_CAPACITY, np.int32)
        self._rows = 0
        self._unlinked: list[int] = []
        self._threads: dict[ThreadId, int] = {}
        self._places: list[array[int]] = []
        """By thread: index and row of each message in one number, ascending."""
        self._authors: dict[str, int] = {"": 0}
        self._numbers_by_word: dict[str, list[int]] = {}

    def put(self, rows: Sequence[int], stands: Sequence[Stand]) -> None:
        """Where these rows stand; each is higher than all that are there. `link` comes next."""
        if not rows:
            return
        self._rows = rows[-1] + 1
        self._grow(self._rows)
        threads = self._threads
        places = list(rows)
        self.thread[places] = [
            threads.setdefault(stand.thread_id, len(threads)) for stand in stands
        ]
        self._places.extend(array("q") for _ in range(len(threads) - len(self._places)))
        self._index[places] = [stand.place for stand in stands]
        self.identity[places] = [stand.identity for stand in stands]
        self._author[places] = [self._number_of(stand.author) for stand in stands]
        self._unlinked += places

    def link(self) -> None:
        """Find the neighbours of all rows that were put in."""
        rows, self._unlinked = self._unlinked, []
        if rows and not any(self._places):
            self._link_all(np.array(rows, np.int64))
        else:
            for row in rows:
                self._link(row)

    def take_out(self, row: int) -> None:
        """Forget a row that is there: its neighbours are each other's from now on."""
        places = self._places[self.thread[row]]
        del places[bisect_left(places, self._place(row))]
        self._join(int(self.before[row]), int(self.after[row]))

    def within(self, rows: Rows) -> Within:
        """How these rows stand among each other."""
        places = np.full(self._rows + 1, NONE, np.int32)
        places[rows] = np.arange(len(rows), dtype=np.int32)
        threads = self.thread[rows]
        is_there = np.zeros(len(self._places), np.bool_)
        is_there[threads] = True
        numbers = np.cumsum(is_there, dtype=np.int32) - 1
        return Within(
            rows,
            places,
            places[self.before[rows]],
            places[self.after[rows]],
            numbers[threads],
            int(is_there.sum()),
        )

    def authors_named(self, query: Sequence[str]) -> NDArray[np.bool_] | None:
        """Of each row, whether its author is named among these words; None where nobody is.

        `query` has no function words, so a name that is one too (Will) is never named.
        """
        numbers = [n for word in set(query) for n in self._numbers_by_word.get(word, ())]
        if not numbers:
            return None
        named = np.zeros(len(self._authors), np.bool_)
        named[numbers] = True
        return named[self._author[: self._rows]]

    def _number_of(self, author: str) -> int:
        number = self._authors.get(author)
        if number is None:
            number = self._authors[author] = len(self._authors)
            for word in set(written(author)):
                self._numbers_by_word.setdefault(word, []).append(number)
        return number

    def _link_all(self, rows: Int64s) -> None:
        """As `_link` does of each, where there is nothing yet."""
        threads, places = self.thread[rows], self._index[rows].astype(np.int64) << _ROW_BITS | rows
        order = np.lexsort((places, threads))
        ordered, threads = rows[order], threads[order]
        follows = np.flatnonzero(threads[1:] == threads[:-1])
        self.before[ordered], self.after[ordered] = NONE, NONE
        self.before[ordered[follows + 1]] = ordered[follows]
        self.after[ordered[follows]] = ordered[follows + 1]
        ends = np.flatnonzero(np.append(threads[1:] != threads[:-1], [True])) + 1
        for some in np.split(places[order], ends[:-1]):
            self._places[self.thread[some[0] & _ROW]].frombytes(some.tobytes())

    def _link(self, row: int) -> None:
        places = self._places[self.thread[row]]
        own = self._place(row)
        at = bisect_left(places, own)
        before = places[at - 1] & _ROW if at else NONE
        after = places[at] & _ROW if at < len(places) else NONE
        insort(places, own)
        self.before[row], self.after[row] = NONE, NONE
        self._join(before, row)
        self._join(row, after)

    def _place(self, row: int) -> int:
        return int(self._index[row]) << _ROW_BITS | row

    def _join(self, before: int, after: int) -> None:
        if before != NONE:
            self.after[before] = after
        if after != NONE:
            self.before[after] = before

    def _grow(self, rows: int) -> None:
        if rows <= len(self.thread):
            return
        more = max(rows, 2 * len(self.thread)) - len(self.thread)
        self.before, self.after = (
            np.concatenate([values, np.full(more, NONE, np.int32)])
            for values in (self.before, self.after)
        )
        self.thread, self._author, self._index = (
            np.concatenate([values, np.zeros(more, np.int32)])
            for values in (self.thread, self._author, self._index)
        )
        self.identity = np.concatenate([self.identity, np.zeros(more, np.int64)])


_ROW_BITS: Final = 32
_ROW: Final = (1 << _ROW_BITS) - 1
