"""The arithmetic of ranking, each rule by itself."""

import numpy as np
import pytest

from storage.memory import ranking
from storage.memory.surroundings import NONE, Within
from storage.memory.word_index import WordScores


def floats(*values: float) -> ranking.Float32s:
    return np.array(values, np.float32)


def apart(count: int) -> Within:
    """So many messages, each in a thread of its own."""
    numbers = np.arange(count, dtype=np.int32)
    none = np.full(count, NONE, np.int32)
    return Within(numbers.astype(np.intp), np.append(numbers, NONE), none, none, numbers, count)


def by_words(*values: float, most: float) -> WordScores:
    return WordScores(floats(*values), floats(*values), floats(*values), most)


def test_where_no_message_has_more_than_a_chance_word_the_meaning_decides() -> None:
    cosines = floats(0.6, 0.3, 0.1, 0.1, 0.1)
    by_chance = by_words(0.0, 0.4, 0.0, 0.0, 0.0, most=20.0)
    in_full = by_words(0.0, 9.0, 0.0, 0.0, 0.0, most=20.0)
    assert ranking.fused(cosines, by_chance, apart(5)).argmax() == 0
    assert ranking.fused(cosines, in_full, apart(5)).argmax() == 1


def test_words_that_stand_in_several_messages_of_a_thread_raise_all_of_it() -> None:
    cosines = floats(0.2, 0.2, 0.2, 0.2)
    none = floats(0.0, 0.0, 0.0, 0.0)
    words = WordScores(floats(0.0, 0.0, 0.0, 9.0), none, floats(5.0, 1.0), 9.0)
    scope = apart(4)._replace(thread=np.array([1, 1, 0, 0], np.int32), threads=2)
    first, second, third, fourth = ranking.fused(cosines, words, scope)
    assert first == second < third == fourth


def test_a_part_of_what_neighbours_mean_counts() -> None:
    cosines = floats(0.9, 0.1, 0.1, 0.1)
    before = np.array([NONE, 0, NONE, NONE], np.int32)
    scores = ranking.fused(
        cosines, by_words(0, 0, 0, 0, most=0.0), apart(4)._replace(before=before)
    )
    assert scores[0] > scores[1] > scores[2] == scores[3]


def test_scores_that_are_all_the_same_say_nothing() -> None:
    same = ranking.standardised(floats(0.3, 0.3, 0.3))
    assert same.tolist() == pytest.approx([0.0, 0.0, 0.0], abs=0.1)
    assert not len(ranking.standardised(floats()))


def test_closeness_is_of_the_meaning_or_of_the_words_and_ends_at_one() -> None:
    near = ranking.closeness(floats(-0.2, 0.5, 0.5, 1.0), by_words(0, 0, 5, 10, most=10.0))
    assert near.tolist() == pytest.approx([0.0, 0.5, 0.75, 1.0])


def test_a_thread_with_several_good_messages_is_better_than_one_with_one() -> None:
    scores = floats(2.0, 1.9, 1.9, 2.0)
    raised = ranking.with_threads(scores, np.array([7, 3, 3, 3], np.int32))
    assert raised.argmax() == 3
    assert raised[0] == pytest.approx(2.0 + ranking.THREAD * 2.0 / ranking.BEST_OF_THREAD)
    assert not len(ranking.with_threads(floats(), np.array([], np.int32)))


def test_what_says_the_same_is_shown_once() -> None:
    along, across = [1.0, 0.0], [0.0, 1.0]
    vectors = np.array([along, along, across], np.float32)
    assert ranking.different(floats(3.0, 2.0, 1.0), vectors, 3) == [0, 2]
    assert ranking.different(floats(), np.empty((0, 2), np.float32), 3) == []


def test_of_many_alike_some_give_way_to_something_else() -> None:
    angles = np.array([0.0, 0.5, 0.9, 1.3, 3.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert ranking.different(floats(2.0, 1.9, 1.8, 1.7, 1.6), vectors, 2) == [0, 4]
