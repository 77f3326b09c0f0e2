"""Where each message stands: its thread, its neighbours there, its author, and whose text it repeats.

Rows are those of the index that this one goes with, as in `storage.memory.word_index`. Nothing here
waits, locks or knows a store: one thread calls. Importing this module loads numpy.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
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
    content: str


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
    """The same for texts of the same words, whatever their case and marks; of this process alone."""
    return hash(tuple(written(content)) or content)


class Surroundings:
    """The surroundings of rows: `put`, `take_out`, and arrays by row."""

    def __init__(self) -> None:
        # Those from the number of rows on mean nothing.
        self.before: Int32s = np.full(_FIRST_CAPACITY, NONE, np.int32)
        """Row of the message before, or `NONE`."""
        self.after: Int32s = np.full(_FIRST_CAPACITY, NONE, np.int32)
        self.thread: Int32s = np.zeros(_FIRST_CAPACITY, np.int32)
        """A number for each thread."""
        self.identity: Int64s = np.zeros(_FIRST_CAPACITY, np.int64)
        self._author: Int32s = np.zeros(_FIRST_CAPACITY, np.int32)
        self._index: Int32s = np.zeros(_FIRST_CAPACITY, np.int32)
        self._rows = 0
        self._threads: dict[ThreadId, int] = {}
        self._places: list[list[int]] = []
        """By thread: index and row of each message in one number, ascending."""
        self._authors: dict[str, int] = {"": 0}
        self._numbers_by_word: dict[str, list[int]] = {}

    def put(self, row: int, stand: Stand) -> None:
        """Where this row stands from now on; `row` is one that is there, or the next one."""
        if row < self._rows:
            self._unlink(row)
        else:
            self._rows = row + 1
            self._grow(self._rows)
        thread = self._threads.setdefault(stand.thread_id, len(self._threads))
        if thread == len(self._places):
            self._places.append([])
        self.thread[row] = thread
        self._index[row] = stand.place
        self.identity[row] = identity(stand.content)
        self._author[row] = self._number_of(stand.author)
        self._link(row)

    def take_out(self, row: int) -> None:
        """Forget a row; the last one is that row from now on."""
        self._unlink(row)
        last = self._rows - 1
        if row != last:
            self._unlink(last)
            for values in (self.thread, self._index, self.identity, self._author):
                values[row] = values[last]
            self._link(row)
        self._rows = last

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

    def _link(self, row: int) -> None:
        places = self._places[self.thread[row]]
        own = self._place(row)
        at = bisect_left(places, own)
        before = places[at - 1] & _ROW if at else NONE
        after = places[at] & _ROW if at < len(places) else NONE
        insort(places, own)
        self._join(before, row)
        self._join(row, after)

    def _unlink(self, row: int) -> None:
        places = self._places[self.thread[row]]
        del places[bisect_left(places, self._place(row))]
        self._join(int(self.before[row]), int(self.after[row]))

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
        more = len(self.thread)
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
