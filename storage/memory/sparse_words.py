"""A text's words as a sparse vector, for a store that ranks by words itself.

The dot product of a question and a message is BM25 but for how rare a word is, which the store knows
and multiplies in (Qdrant's modifier IDF). How long messages are on average is not known here, so
`_USUAL_LENGTH` stands for it: the store only finds candidates, and `storage.memory.ranking` orders
them. A word is named by a hash of its stem.
"""

from datetime import date
from hashlib import blake2b
from typing import Final, NamedTuple

from storage.memory.word_index import K1, B
from storage.memory.words import (
    PLAIN,
    USUAL,
    language_of,
    stemmed,
    terms_of,
    without_function_words,
    written,
)

_USUAL_LENGTH: Final = 20.0
"""Words of a usual message, function words not counted."""

_MOST_WORDS: Final = 256
"""Different words of a question that are looked up, the first ones."""


class SparseWords(NamedTuple):
    """A vector that is zero but at `indices`, each of which is there once."""

    indices: list[int]
    values: list[float]


def of_message(text: str, day: date | None) -> SparseWords:
    """The words of a message and of its day, each by how much it counts there."""
    found, _ = terms_of(text, day)
    counts: dict[int, int] = {}
    for word in found:
        index = _index(word)
        counts[index] = counts.get(index, 0) + 1
    damping = K1 * (1 - B + B * len(found) / _USUAL_LENGTH)
    values = [count * (K1 + 1) / (count + damping) for count in counts.values()]
    return SparseWords(list(counts), values)


def of_question(text: str) -> SparseWords:
    """The words that are asked for, each once, in every form that a message may have them in.

    Messages may be of the question's language or of one that has no function words in them.
    """
    words = written(text)
    language = language_of(words)
    asked = list(dict.fromkeys(without_function_words(words, language)))[:_MOST_WORDS]
    forms = (
        form for each in dict.fromkeys((language, USUAL, PLAIN)) for form in stemmed(asked, each)
    )
    indices = list(dict.fromkeys(map(_index, forms)))
    return SparseWords(indices, [1.0] * len(indices))


def _index(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=4).digest(), "big")
