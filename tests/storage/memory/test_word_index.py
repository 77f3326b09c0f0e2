"""The index of words against BM25 written down plainly."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.memory.word_index import K1, B, WordIndex
from storage.memory.words import language_of, stemmed, without_function_words, written

WORDS = ("keel", "bolt", "mast", "rope", "rot", "Olu", "painting")


def words_of(text: str) -> list[str]:
    words = written(text)
    language = language_of(words)
    return stemmed(without_function_words(words, language), language)


def plainly(texts: Mapping[int, str], query: str, rows: list[int]) -> dict[int, float]:
    """BM25 of each of `rows`, as the formula has it, counted over them alone."""
    said = {row: words_of(texts[row]) for row in rows}
    mean = sum(map(len, said.values())) / len(said)
    scores = dict.fromkeys(rows, 0.0)
    for word in dict.fromkeys(words_of(query)):
        having = sum(word in words for words in said.values())
        weight = math.log(1 + (len(said) - having + 0.5) / (having + 0.5))
        for row, words in said.items():
            count = words.count(word)
            damping = K1 * (1 - B + B * len(words) / mean) if mean else K1
            scores[row] += weight * count * (K1 + 1) / (count + damping) if count else 0.0
    return scores


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
changes = st.lists(
    st.tuples(st.just("put"), st.integers(0, 30), texts)
    | st.tuples(st.just("take out"), st.integers(0, 30), st.just("")),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(changes, texts, st.frozensets(st.integers(0, 60)))
def test_whatever_was_put_in_and_taken_out_words_score_as_the_formula_says(
    history: list[tuple[str, int, str]], query: str, left_out: frozenset[int]
) -> None:
    index = WordIndex()
    rows: list[str] = []
    for what, number, text in history:
        if what == "put":
            row = min(number, len(rows))
            rows[row : row + 1] = [text]
            index.put(row, text)
        elif rows:
            row = number % len(rows)
            index.take_out(row)
            rows[row] = rows[-1]
            rows.pop()
    asked = [row for row in range(len(rows)) if row not in left_out]
    if not asked:
        return
    is_asked = np.zeros(len(rows), np.bool_)
    is_asked[asked] = True
    found = index.scores(written(query), np.array(asked), is_asked)
    expected = plainly(dict(enumerate(rows)), query, asked)
    assert found.scores.tolist() == pytest.approx(list(expected.values()), abs=1e-4)
    assert found.scores.max() <= found.most


def test_what_is_not_asked_for_has_no_influence() -> None:
    """Else a reader could tell from scores what stands in threads that they may not read."""
    alone, among = WordIndex(), WordIndex()
    for index in (alone, among):
        index.put(0, "keel bolts")
        index.put(1, "mast and rope")
    for row in range(2, 40):
        among.put(row, "keel keel keel and much more about the keel")
    rows = np.array([0, 1])
    for query in ("keel", "rope", "mast keel"):
        one = alone.scores(written(query), rows, np.ones(2, np.bool_))
        mask = np.zeros(40, np.bool_)
        mask[rows] = True
        other = among.scores(written(query), rows, mask)
        assert one.scores.tolist() == other.scores.tolist()
        assert one.most == other.most


def test_a_row_that_is_written_again_and_again_does_not_fill_the_index() -> None:
    index = WordIndex()
    for number in range(20_000):
        index.put(number % 3, f"rope {number % 3}")
    found = index.scores(["rope"], np.arange(3), np.ones(3, np.bool_))
    assert (found.scores > 0).all()
    assert sum(map(len, index._postings.values())) < 10_000, "dead slots are never forgotten"


def test_a_query_of_another_language_finds_the_words_of_its_own() -> None:
    index = WordIndex()
    index.put(0, "The keys are in the shed")
    index.put(1, "Die Häuser sind alle verkauft")
    found = index.scores(written("Wem gehören die Häuser?"), np.arange(2), np.ones(2, np.bool_))
    assert found.scores[1] > found.scores[0] == 0.0


def test_a_whole_document_may_be_asked_with() -> None:
    index = WordIndex()
    index.put(0, "keel bolts")
    query = " ".join(f"word{number}" for number in range(5_000)) + " keel"
    found = index.scores(written(query), np.arange(1), np.ones(1, np.bool_))
    assert found.most > 0
