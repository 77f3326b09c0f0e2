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
from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.memory.words import (
    language_of,
    stemmed,
    without_function_words,
    written,
)

Bools = NDArray[np.bool_]
Float32s = NDArray[np.float32]
Int32s = NDArray[np.int32]
Rows = NDArray[np.intp]

K1: Final = 0.9
"""How soon more of the same word says no more."""
B: Final = 0.4
"""How much a long message's words count less."""

_MOST_WORDS: Final = 64
"""Different words of a query that are looked up, the rarest first: a prompt may be a whole document."""

_COUNT_BITS: Final = 8
_MOST_COUNT: Final = (1 << _COUNT_BITS) - 1
"""More of one word in one message are counted as so many."""

_DEAD: Final = -1
_FIRST_CAPACITY: Final = 1_024


@dataclass(frozen=True, slots=True)
class WordScores:
    """How well messages have the words of a query."""

    scores: Float32s
    """BM25 of each row that was asked for, in that order; 0 where it has none of the words."""
    most: float
    """What a message would score that has every word of the query, each as often as counts."""


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

    def put(self, row: int, text: str) -> None:
        """What this row says from now on; `row` is one that is there, or the next one."""
        if row < self._rows:
            self._row_of_slot[self._slot_of_row[row]] = _DEAD
        else:
            self._rows = row + 1
        words = written(text)
        language = language_of(words)
        self._languages[language] = None
        found = stemmed(without_function_words(words, language), language)
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

    def scores(self, query: Sequence[str], rows: Rows, is_asked: Bools) -> WordScores:
        """BM25 of a query's words (as `written` gives them) for each of `rows`.

        `rows` are those in scope, and `is_asked` says of each row there is whether it is one.
        """
        # A dead slot's row, -1, is the last place of the mask.
        mask = np.zeros(self._rows + 1, np.bool_)
        mask[:-1] = is_asked
        total = max(len(rows), 1)
        lengths = self._lengths[: self._rows]
        mean = float(lengths[rows].sum()) / total or 1.0
        scores: Float32s = np.zeros(self._rows, np.float32)
        most = 0.0
        for forms in self._looked_up(query):
            found: list[tuple[Int32s, Float32s]] = []
            for form in forms:
                postings = np.frombuffer(self._postings[form], np.uint32)
                of_word = self._row_of_slot[postings >> _COUNT_BITS]
                here = mask[of_word]
                found.append((of_word[here], (postings[here] & _MOST_COUNT).astype(np.float32)))
            having = sum(len(some) for some, _ in found)
            weight = np.log1p((total - having + 0.5) / (having + 0.5)) * (K1 + 1)
            most += weight
            for some, counts in found:
                damping = np.float32(K1 * B / mean) * lengths[some] + np.float32(K1 * (1 - B))
                scores[some] += np.float32(weight) * counts / (counts + damping)
        return WordScores(scores[rows], float(most))

    def _looked_up(self, query: Sequence[str]) -> list[list[str]]:
        """For each different word of the query, the forms under which messages may have it.

        Messages of several languages may be here, so a word is looked for by its stem in each.
        """
        asked = list(dict.fromkeys(without_function_words(query)))
        in_each = [stemmed(asked, language) for language in self._languages]
        groups = dict.fromkeys(zip(*in_each, strict=True))
        found = [
            [form for form in dict.fromkeys(forms) if form in self._postings] for forms in groups
        ]
        if len(found) > _MOST_WORDS:
            found.sort(key=self._commonness)
        return found[:_MOST_WORDS]

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
