"""A text as the words that it is found by: split, without function words, reduced to stems.

Snowball stems (M. F. Porter, "Snowball: a language for stemming algorithms", 2001) by the language
that a text's function words tell. A text of a language that is not known here keeps its words as
they are; a script without spaces gives each pair of neighbouring characters, as the hashed embedder
does. The same text always gives the same words. For one thread at a time: a stemmer keeps state.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from storage.memory.stop_words import STOP_WORDS

_WORD: Final = re.compile(r"[^\W_]+")
_UNSPACED: Final = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+"
)
"""Runs of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Kana, Han."""

PLAIN: Final = ""
"""The language of a text that is none of those known: no stemmer, no function words."""

USUAL: Final = "english"
"""The language of a text of ASCII letters that has no function words."""

_LANGUAGES_OF: Final[dict[str, tuple[str, ...]]] = {
    word: tuple(language for language, words in STOP_WORDS.items() if word in words)
    for word in frozenset().union(*STOP_WORDS.values())
}


def written(text: str) -> list[str]:
    """The words of a text in their order, in one case and form; function words stay."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    if plain.isascii() or not _UNSPACED.search(plain):
        return _WORD.findall(plain)
    return [*_WORD.findall(_UNSPACED.sub(" ", plain)), *_pairs(plain)]


def _pairs(text: str) -> Iterator[str]:
    for run in _UNSPACED.findall(text):
        yield from (run[place : place + 2] for place in range(max(1, len(run) - 1)))


def language_of(words: Sequence[str]) -> str:
    """The language most of whose function words are among these; of equals the first that is known.

    Where there is none of any: English for ASCII alone, since its stemmer does least harm to other
    languages' words; `PLAIN` for the rest.
    """
    seen = Counter(
        language for word in words if word in _LANGUAGES_OF for language in _LANGUAGES_OF[word]
    )
    if not seen:
        return USUAL if all(word.isascii() for word in words) else PLAIN
    most = max(seen.values())
    return next(language for language in STOP_WORDS if seen[language] == most)


def without_function_words(words: Sequence[str], language: str | None = None) -> list[str]:
    """The words but the function words of their language, which is found out where none is given."""
    if language is None:
        language = language_of(words)
    left_out = STOP_WORDS.get(language, frozenset())
    return [word for word in words if word not in left_out]


def stemmed(words: list[str], language: str) -> list[str]:
    """The stem of each word in a language; the word itself where there is no stemmer."""
    if language == PLAIN:
        return words
    found: list[str] = _stemmer(language).stemWords(words)
    return found


@cache
def _stemmer(language: str) -> Any:
    import Stemmer  # type: ignore[import-not-found]  # an extension, without stubs

    return Stemmer.Stemmer(language)
