"""The index of words against BM25 written down plainly."""

import math
import tracemalloc
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.models.ids import ThreadId
from storage.memory import word_index
from storage.memory.surroundings import Stand, Surroundings, Within, identity
from storage.memory.word_index import AFTER, B_THREAD, BEFORE, K1, B, WordIndex, WordScores, counted
from storage.memory.words import asked, terms_of

WORDS = ("keel", "bolt", "mast", "rope", "rot", "Olu", "painting")
THREADS = ("boat", "shed", "garden")


class Said(NamedTuple):
    text: str
    thread: str


class Messages:
    """An index of words, and what it is told of the surroundings, as `HybridIndex` keeps them."""

    def __init__(self, *messages: Said) -> None:
        self.words = WordIndex()
        self.surroundings = Surroundings()
        self.rows: dict[int, Said] = {}
        """What each row says."""
        self._end = 0
        self.put(*messages)

    def put(self, *messages: Said) -> None:
        rows = range(self._end, self._end + len(messages))
        self._end += len(messages)
        self.rows.update(zip(rows, messages, strict=True))
        self.words.put(rows, [counted(message.text) for message in messages])
        stands = [
            Stand(ThreadId(message.thread), row, "", identity(message.text))
            for row, message in zip(rows, messages, strict=True)
        ]
        self.surroundings.put(rows, stands)
        self.surroundings.link()

    def take_out(self, row: int) -> None:
        self.surroundings.take_out(row)
        del self.rows[row]

    def within(self, rows: Sequence[int] | None = None) -> Within:
        return self.surroundings.within(np.array(sorted(self.rows) if rows is None else rows))

    def scores(self, query: str, rows: Sequence[int] | None = None) -> WordScores:
        return self.words.scores(asked(query), self.within(rows))


Counts = Mapping[str, float]


def plainly(texts: Sequence[Counts], query: str, b: float) -> list[float]:
    """BM25 of texts that are given as how often they have each word, counted over them alone."""
    lengths = [sum(words.values()) for words in texts]
    mean = sum(lengths) / len(texts)
    scores = [0.0] * len(texts)
    for word in dict.fromkeys(terms_of(query, None).words):
        having = sum(bool(words.get(word)) for words in texts)
        weight = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
        for place, words in enumerate(texts):
            count = words.get(word, 0.0)
            damping = K1 * (1 - b + b * lengths[place] / mean) if mean else K1
            scores[place] += weight * count * (K1 + 1) / (count + damping) if count else 0.0
    return scores


def together(*parts: tuple[float, Counts]) -> Counts:
    """What texts have together, each counted in part."""
    words = {word for _, counts in parts for word in counts}
    return {word: sum(part * counts.get(word, 0.0) for part, counts in parts) for word in words}


def of_window(counts: Mapping[int, Counts], within: Within, place: int) -> Counts:
    """What a message has with its part of the messages before and after it."""
    before, after = int(within.before[place]), int(within.after[place])
    return together(
        (1.0, counts[place]),
        (BEFORE, counts.get(before, {})),
        (AFTER, counts.get(after, {})),
    )


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
messages = st.builds(Said, texts, st.sampled_from(THREADS))
changes = st.lists(st.integers(0, 30) | st.lists(messages, max_size=9), max_size=20)


@settings(max_examples=150, deadline=None)
@given(
    changes,
    texts,
    st.frozensets(st.integers(0, 60)),
    st.sampled_from([1, 1 << 20]),
    st.sampled_from([4, 8, word_index.SEGMENT]),
)
def test_whatever_was_put_in_and_taken_out_words_score_as_the_formula_says(
    history: list[int | list[Said]], query: str, left_out: frozenset[int], cells: int, segment: int
) -> None:
    index = Messages()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(word_index, "SEGMENT", segment)
        for change in history:
            if isinstance(change, list):
                index.put(*change)
            elif index.rows:
                index.take_out(sorted(index.rows)[change % len(index.rows)])
    rows = [row for row in sorted(index.rows) if row not in left_out]
    if not rows:
        return
    within = index.within(rows)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(word_index, "_MOST_CELLS", cells)
        found = index.words.scores(asked(query), within)
    counts: dict[int, Counts] = {}
    for place, row in enumerate(rows):
        words = terms_of(index.rows[row].text, None).words
        counts[place] = {word: float(words.count(word)) for word in words}
    windows = [of_window(counts, within, place) for place in counts]
    threads = [
        together(*((1.0, counts[place]) for place in counts if within.thread[place] == thread))
        for thread in range(within.threads)
    ]
    for scores, whole, b in (
        (found.scores, [*counts.values()], B),
        (found.around, windows, B),
        (found.threads, threads, B_THREAD),
    ):
        assert scores.tolist() == pytest.approx(plainly(whole, query, b), abs=1e-4)
    assert found.scores.max() <= found.most + 1e-4


def test_what_is_not_asked_for_has_no_influence() -> None:
    """Else a reader could tell from scores what stands in threads that they may not read."""
    alone, among = (
        Messages(Said("keel bolts", "boat"), Said("mast and rope", "boat")) for _ in range(2)
    )
    for row in range(2, 40):
        among.put(Said("keel keel keel and much more about the keel", f"hidden {row % 3}"))
    for query in ("keel", "rope", "mast keel"):
        one, other = alone.scores(query), among.scores(query, [0, 1])
        for scores in ("scores", "around", "threads"):
            assert getattr(one, scores).tolist() == getattr(other, scores).tolist()
        assert one.most == other.most


def test_a_word_takes_a_few_bytes_however_rare_it_is() -> None:
    """An array of its own for each word takes some 250."""
    count = 4 * word_index.SEGMENT
    said = [counted(f"word{number} word{number // 2} common") for number in range(count)]
    tracemalloc.start()
    try:
        index = WordIndex()
        for first in range(0, count, 256):
            index.put(range(first, first + 256), said[first : first + 256])
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 60 * count


def test_a_query_of_another_language_finds_the_words_of_its_own() -> None:
    index = Messages(
        Said("The keys are in the shed", "a"), Said("Die Häuser sind alle verkauft", "b")
    )
    found = index.scores("Wem gehören die Häuser?")
    assert found.scores[1] > found.scores[0] == 0.0


def test_a_whole_document_may_be_asked_with() -> None:
    index = Messages(Said("keel bolts", "boat"))
    query = " ".join(f"word{number}" for number in range(5_000)) + " keel"
    assert index.scores(query).scores[0] > 0


def test_a_word_that_no_message_has_is_missing_in_all_of_them() -> None:
    index = Messages(Said("keel bolts", "boat"), Said("mast", "boat"))
    assert index.scores("keel zeppelin").most > index.scores("keel").most
    assert index.scores("zeppelin").scores.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The hall is cold.", "What was said on 5 March 2024?"),
        ("The hall is cold.", "2024-03-05"),
        ("Die Halle ist kalt.", "Was war am 5. März 2024?"),
        ("La salle est froide.", "Le 5 mars 2024"),
        ("Зал холодный, и мне тоже", "Что было 5 марта 2024?"),
        ("会場は寒い", "2024年3月5日"),
    ],
)
def test_a_message_is_found_by_its_day_in_its_language(text: str, query: str) -> None:
    index = WordIndex()
    days = (date(2024, 4, 7), date(2024, 3, 5), date(2023, 3, 6))
    index.put(range(len(days)), [counted(text, day) for day in days])
    within = Messages(*(Said(text, str(row)) for row in range(len(days)))).within()
    assert index.scores(asked(query), within).scores.argmax() == 1
