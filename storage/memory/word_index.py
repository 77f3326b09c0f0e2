"""Which messages have which words, and how much that says: BM25 over what a search may see.

BM25 as S. Robertson and H. Zaragoza give it ("The Probabilistic Relevance Framework: BM25 and
Beyond", 2009), with the inverse document frequency that never falls below zero. How many messages
have a word, and how long messages are, is counted among those in scope alone: what a reader may not
see has no influence on what is found.

Rows are those of the index that this one goes with: whole numbers from 0, without gaps; the last row
moves where one is taken out. Postings are four bytes for each word of a message, and are appended
to; what is taken out stays in them as a dead slot until half of all slots are dead. Nothing here
waits, locks or knows a store: one thread calls. Importing this module loads numpy.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.memory.surroundings import NONE, Within
from storage.memory.words import stemmed, terms_of

Float32s = NDArray[np.float32]
Int32s = NDArray[np.int32]
Places = NDArray[np.intp]

K1: Final = 0.9
"""How soon more of the same word says no more."""
B: Final = 0.4
"""How much a long message's words count less."""
B_THREAD: Final = 0.75
"""How much a long thread's words count less."""

BEFORE: Final = 0.5
"""Part of a word of the message before that counts as one of this: an answer does not repeat what the
question says."""
AFTER: Final = 0.3
"""Part of a word of the message after."""

_MOST_WORDS: Final = 64
"""Different words of a query that are looked up: of a whole document, the rarest that are there."""

_MOST_CELLS: Final = 1 << 20
"""Sums that are made at once, of eight bytes each."""

_COUNT_BITS: Final = 8
_MOST_COUNT: Final = (1 << _COUNT_BITS) - 1
"""More of one word in one message are counted as so many."""

_DEAD: Final = -1
_FIRST_CAPACITY: Final = 1_024


@dataclass(frozen=True, slots=True)
class WordScores:
    """How well messages have the words of a query: BM25, 0 for what has none of them."""

    scores: Float32s
    """Of each message in scope by itself."""
    around: Float32s
    """Of each with a part of the messages before and after it."""
    threads: Float32s
    """Of each thread in scope, all its messages taken together."""
    most: float
    """What a message would score that has every word of the query, each as often as counts."""


class _Scored(NamedTuple):
    """What some words say of texts."""

    scores: Float32s
    most: float
    """What a text would score that has all of them."""


def _bm25(counts: Float32s, lengths: Float32s, b: float) -> _Scored:
    """Of each text, given how often it has each word (a row for each) and how many it has in all."""
    weights = _weights((counts > 0).sum(axis=1), len(lengths))
    by_length = np.float32(K1 * b / (float(lengths.mean()) or 1.0))
    damping: Float32s = np.float32(K1 * (1 - b)) + by_length * lengths
    scores: Float32s = weights @ np.divide(counts, counts + damping)
    return _Scored(scores, float(weights.sum()))


def _weights(having: NDArray[np.int64], texts: int) -> Float32s:
    """What words say, given how many of the texts have each."""
    weights: Float32s = ((K1 + 1) * np.log((texts + 1) / (having + 0.5))).astype(np.float32)
    return weights


class WordIndex:
    """Messages by their words: `put`, `move`, `drop`, `scores`."""

    def __init__(self) -> None:
        self._postings: dict[str, array[int]] = {}
        """For each word: slot and count of each message that has it, in one number."""
        self._languages: dict[str, None] = {}
        self._row_of_slot: Int32s = np.full(_FIRST_CAPACITY, _DEAD, np.int32)
        self._slot_of_row: Int32s = np.zeros(_FIRST_CAPACITY, np.int32)
        self._lengths: Float32s = np.zeros(_FIRST_CAPACITY, np.float32)
        """Words of each row's message."""
        self._slots = 0
        self._rows = 0

    def put(self, row: int, text: str, day: date | None = None) -> None:
        """What this row says from now on, and when; `row` is one that is there, or the next one."""
        if row < self._rows:
            self._row_of_slot[self._slot_of_row[row]] = _DEAD
        else:
            self._rows = row + 1
        found, language = terms_of(text, day)
        self._languages[language] = None
        slot = self._slots
        self._slots += 1
        if slot == len(self._row_of_slot):
            self._row_of_slot = np.concatenate([self._row_of_slot, np.full(slot, _DEAD, np.int32)])
        if row == len(self._slot_of_row):
            self._slot_of_row = np.concatenate([self._slot_of_row, np.zeros(row, np.int32)])
            self._lengths = np.concatenate([self._lengths, np.zeros(row, np.float32)])
        self._row_of_slot[slot] = row
        self._slot_of_row[row] = slot
        self._lengths[row] = len(found)
        counts: dict[str, int] = {}
        for word in found:
            counts[word] = counts.get(word, 0) + 1
        for word, count in counts.items():
            postings = self._postings.get(word)
            if postings is None:
                postings = self._postings[word] = array("I")
            postings.append(slot << _COUNT_BITS | min(count, _MOST_COUNT))
        if self._slots > max(_FIRST_CAPACITY, 2 * self._rows):
            self._forget_dead_slots()

    def take_out(self, row: int) -> None:
        """Forget a row; the last one is that row from now on."""
        last = self._rows - 1
        self._row_of_slot[self._slot_of_row[row]] = _DEAD
        if row != last:
            slot = self._slot_of_row[last]
            self._slot_of_row[row] = slot
            self._row_of_slot[slot] = row
            self._lengths[row] = self._lengths[last]
        self._rows = last

    def scores(self, query: Sequence[str], within: Within) -> WordScores:
        """BM25 of a query's words (as `asked` gives them) for what is in scope."""
        words = self._looked_up(query)
        forms = [each for each in words if each]
        size = len(within.rows)
        scores, around = np.zeros((2, size), np.float32)
        threads = np.zeros(within.threads, np.float32)
        if not forms or not size:
            return WordScores(scores, around, threads, 0.0)
        lengths = self._lengths[within.rows]
        of_windows = within.with_neighbours(lengths, BEFORE, AFTER)
        of_threads = np.bincount(within.thread, lengths).astype(np.float32)
        most = (len(words) - len(forms)) * float(_weights(np.zeros(1, np.int64), size)[0])
        at_once = max(1, _MOST_CELLS // size)
        for first in range(0, len(forms), at_once):
            some = forms[first : first + at_once]
            by_message, by_thread = self._counted(some, within)
            said, most_here = _bm25(by_message, lengths, B)
            scores += said
            most += most_here
            around += _bm25(within.with_neighbours(by_message, BEFORE, AFTER), of_windows, B).scores
            threads += _bm25(by_thread, of_threads, B_THREAD).scores
        return WordScores(scores, around, threads, most)

    def _counted(self, words: Sequence[Sequence[str]], within: Within) -> tuple[Float32s, Float32s]:
        """How often each message and each thread in scope has words, a row for each word.

        A word is given in all its forms.
        """
        postings = [[self._postings[form] for form in forms] for forms in words]
        of_all = [each for forms in postings for each in forms]
        packed = np.concatenate([np.frombuffer(each, np.uint32) for each in of_all])
        numbers = np.repeat(np.arange(len(words)), [sum(map(len, forms)) for forms in postings])
        places = within.places[self._row_of_slot[packed >> _COUNT_BITS]]
        here = np.flatnonzero(places != NONE)
        numbers, places = numbers[here], places[here]
        counts = packed[here] & _MOST_COUNT
        tables = []
        for texts, size in ((places, len(within.rows)), (within.thread[places], within.threads)):
            sums = np.bincount(numbers * size + texts, counts, len(words) * size)
            tables.append(sums.astype(np.float32).reshape(len(words), size))
        return tables[0], tables[1]

    def _looked_up(self, query: Sequence[str]) -> list[list[str]]:
        """For each different word of the query, the forms under which messages may have it.

        Messages of several languages may be here, so a word is looked for by its stem in each.
        """
        in_each = [stemmed([*query], language) for language in self._languages]
        groups = dict.fromkeys(zip(*in_each, strict=True))
        found = [
            [form for form in dict.fromkeys(forms) if form in self._postings] for forms in groups
        ]
        if len(found) <= _MOST_WORDS:
            return found
        return sorted(filter(None, found), key=self._commonness)[:_MOST_WORDS]

    def _commonness(self, forms: Iterable[str]) -> int:
        return sum(len(self._postings[form]) for form in forms)

    def _forget_dead_slots(self) -> None:
        """Number the living slots anew, by their rows."""
        new_slot = np.full(self._slots + 1, _DEAD, np.int64)
        new_slot[self._slot_of_row[: self._rows]] = np.arange(self._rows)
        for word, postings in list(self._postings.items()):
            old = np.frombuffer(postings, np.uint32)
            slots = new_slot[old >> _COUNT_BITS]
            alive = slots != _DEAD
            kept = (slots[alive] << _COUNT_BITS | (old[alive] & _MOST_COUNT)).astype(np.uint32)
            if len(kept):
                self._postings[word] = array("I", kept.tobytes())
            else:
                del self._postings[word]
        self._slots = self._rows
        self._slot_of_row[: self._rows] = np.arange(self._rows)
        self._row_of_slot[:] = _DEAD
        self._row_of_slot[: self._rows] = np.arange(self._rows)
