"""Which messages have which words, and how much that says: BM25 over what a search may see.

BM25 as S. Robertson and H. Zaragoza give it ("The Probabilistic Relevance Framework: BM25 and
Beyond", 2009), with the inverse document frequency that never falls below zero. How many messages
have a word, and how long messages are, is counted among those in scope alone: what a reader may not
see has no influence on what is found.

    the problem     an array of its own for each word takes some 250 bytes, and most words of a
                    large memory are in one message or two.
    what is done    words are numbers, a hash of 64 bits each: of a million different words two are
                    the same number once in 37 million times. The newest messages have an array for each word;
                    `SEGMENT` of them at a time are sorted into one array of postings for all words.

Rows are those of the index that this one goes with: whole numbers that only rise. A row that is gone
is asked for no more, and its postings stay. Nothing here waits, locks or knows a store: one thread
calls. Importing this module loads numpy.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.memory.surroundings import NONE, Within
from storage.memory.words import stemmed, terms_of

Float32s = NDArray[np.float32]
UInt32s = NDArray[np.uint32]
UInt64s = NDArray[np.uint64]

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

SEGMENT: Final = 4_096
"""Messages whose words are sorted together."""

_MOST_WORDS: Final = 64
"""Different words of a query that are looked up: of a whole document, the rarest that are there."""

_MOST_CELLS: Final = 1 << 20
"""Sums that are made at once, of eight bytes each."""

_COUNT_BITS: Final = 8
_MOST_COUNT: Final = (1 << _COUNT_BITS) - 1
"""More of one word in one message are counted as so many."""

_FIRST_CAPACITY: Final = 1_024


class CountedWords(NamedTuple):
    """The words of a message, function words left out."""

    keys: bytes
    """Each word once, as a number of eight bytes; least byte first."""
    counts: bytes
    """How often each of them is there, a byte for each."""
    total: int
    """All words, each as often as it is there."""
    language: str


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


def counted(text: str, day: date | None = None) -> CountedWords:
    """The words of a text and of its day, as `WordIndex.put` takes them."""
    found, language = terms_of(text, day)
    counts: dict[str, int] = {}
    for word in found:
        counts[word] = counts.get(word, 0) + 1
    return CountedWords(
        keys=b"".join(map(_bytes_of, counts)),
        counts=bytes(min(count, _MOST_COUNT) for count in counts.values()),
        total=len(found),
        language=language,
    )


class WordIndex:
    """Messages by their words: `put`, `scores`."""

    def __init__(self) -> None:
        self._segments: list[_Segment] = []
        self._tail: dict[int, array[int]] = {}
        """Of the newest messages, for each word: row and count of each that has it, in one number."""
        self._tail_messages = 0
        self._languages: dict[str, None] = {}
        self._lengths: Float32s = np.zeros(_FIRST_CAPACITY, np.float32)
        """Words of each row's message."""

    def put(self, rows: Sequence[int], words: Sequence[CountedWords]) -> None:
        """What these rows say; each is higher than all that are there."""
        if not rows:
            return
        self._grow(rows[-1] + 1)
        self._lengths[list(rows)] = [each.total for each in words]
        self._languages.update(dict.fromkeys(each.language for each in words))
        for begin in range(0, len(rows), SEGMENT):
            some, said = rows[begin : begin + SEGMENT], words[begin : begin + SEGMENT]
            if len(some) >= SEGMENT // 2:
                self._segments.append(_segment_of(some, said))
            else:
                self._put_last(some, said)

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

    @staticmethod
    def _counted(words: Sequence[Sequence[UInt32s]], within: Within) -> tuple[Float32s, Float32s]:
        """How often each message and each thread in scope has words, a row for each word.

        A word is given by the postings of all its forms.
        """
        packed = np.concatenate([postings for forms in words for postings in forms])
        numbers = np.repeat(np.arange(len(words)), [sum(map(len, forms)) for forms in words])
        places = within.places[packed >> _COUNT_BITS]
        here = np.flatnonzero(places != NONE)
        numbers, places = numbers[here], places[here]
        counts = packed[here] & _MOST_COUNT
        tables = []
        for texts, size in ((places, len(within.rows)), (within.thread[places], within.threads)):
            sums = np.bincount(numbers * size + texts, counts, len(words) * size)
            tables.append(sums.astype(np.float32).reshape(len(words), size))
        return tables[0], tables[1]

    def _looked_up(self, query: Sequence[str]) -> list[list[UInt32s]]:
        """For each different word of the query, the postings of the forms that messages have of it.

        Messages of several languages may be here, so a word is looked for by its stem in each.
        """
        in_each = [stemmed([*query], language) for language in self._languages]
        groups = [list(dict.fromkeys(forms)) for forms in dict.fromkeys(zip(*in_each, strict=True))]
        postings = self._postings_of({form for forms in groups for form in forms})
        found = [[postings[form] for form in forms if form in postings] for forms in groups]
        if len(found) <= _MOST_WORDS:
            return found
        return sorted(filter(None, found), key=lambda forms: sum(map(len, forms)))[:_MOST_WORDS]

    def _postings_of(self, words: Iterable[str]) -> dict[str, UInt32s]:
        """The postings of those of the words that there are any of."""
        keys = {int.from_bytes(_bytes_of(word), "little"): word for word in words}
        parts: dict[int, list[UInt32s]] = {}
        wanted = np.array(list(keys), np.uint64)
        for segment in self._segments:
            for key, postings in segment.postings_of(wanted):
                parts.setdefault(key, []).append(postings)
        for key in keys:
            newest = self._tail.get(key)
            if newest is not None:
                parts.setdefault(key, []).append(np.array(newest, np.uint32))
        return {
            word: some[0] if len(some) == 1 else np.concatenate(some)
            for key, word in keys.items()
            if (some := parts.get(key))
        }

    def _put_last(self, rows: Sequence[int], words: Sequence[CountedWords]) -> None:
        for row, said in zip(rows, words, strict=True):
            for key, count in zip(
                np.frombuffer(said.keys, "<u8").tolist(), said.counts, strict=True
            ):
                postings = self._tail.get(key)
                if postings is None:
                    postings = self._tail[key] = array("I")
                postings.append(row << _COUNT_BITS | count)
        self._tail_messages += len(rows)
        if self._tail_messages >= SEGMENT:
            self._segments.append(_sorted_tail(self._tail))
            self._tail = {}
            self._tail_messages = 0

    def _grow(self, rows: int) -> None:
        if rows > len(self._lengths):
            more = max(rows, 2 * len(self._lengths)) - len(self._lengths)
            self._lengths = np.concatenate([self._lengths, np.zeros(more, np.float32)])


class _Segment(NamedTuple):
    """The postings of some messages, those of each word together."""

    keys: UInt64s
    """Each word once, rising."""
    ends: UInt32s
    """Where the postings of each word end, and those of the next one begin; 0 stands first."""
    postings: UInt32s

    def postings_of(self, wanted: UInt64s) -> Iterable[tuple[int, UInt32s]]:
        """The postings of those of the words that are here, with the word."""
        if not len(self.keys):
            return
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        for place in places[self.keys[places] == wanted].tolist():
            yield int(self.keys[place]), self.postings[self.ends[place] : self.ends[place + 1]]


def _segment_of(rows: Sequence[int], words: Sequence[CountedWords]) -> _Segment:
    keys = np.frombuffer(b"".join(each.keys for each in words), "<u8")
    counts = np.frombuffer(b"".join(each.counts for each in words), np.uint8)
    of_row = np.repeat(np.array(rows, np.uint32), [len(each.counts) for each in words])
    return _segment(keys, of_row << np.uint32(_COUNT_BITS) | counts)


def _sorted_tail(tail: "dict[int, array[int]]") -> _Segment:
    postings = np.concatenate([np.frombuffer(each, np.uint32) for each in tail.values()])
    keys = np.repeat(np.array(list(tail), np.uint64), [len(each) for each in tail.values()])
    return _segment(keys, postings)


def _segment(keys: UInt64s, postings: UInt32s) -> _Segment:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    ends = np.concatenate([begins, [len(ordered)]]).astype(np.uint32)
    return _Segment(ordered[begins].astype(np.uint64), ends, postings[order])


def _bytes_of(word: str) -> bytes:
    return blake2b(word.encode(), digest_size=8).digest()
