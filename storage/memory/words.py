"""A text as the words that it is found by: split, without function words, reduced to stems.

Snowball stems (M. F. Porter, "Snowball: a language for stemming algorithms", 2001) by the language
that a text's function words tell. A text of a language that is not known here keeps its words as
they are; a script without spaces gives each pair of neighbouring characters, as the hashed embedder
does. A message is found by the words of its day too. The same text always gives the same words, in any
thread: a stemmer keeps state, so each has its own.
"""

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from storage.memory.months import MONTHS
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


class Terms(NamedTuple):
    """What a message is found by."""

    words: list[str]
    """Stems without function words, in order, as often as they stand there."""
    language: str


def terms_of(text: str, day: date | None) -> Terms:
    """The terms of a message that was written on a day; those of the day are the last."""
    words = written(text)
    language = language_of(words)
    kept = without_function_words(words, language)
    if day is not None:
        kept += _words_of(day, language)
    return Terms(stemmed(kept, language), language)


def asked(text: str) -> list[str]:
    """The words that a query asks for: each once, without function words, not stemmed."""
    return list(dict.fromkeys(without_function_words(written(text))))


def _words_of(day: date, language: str) -> Iterator[str]:
    """A day as texts of a language write it, in words or in numbers: `3 march 2026`, `2026-03-03`."""
    month = MONTHS[language][day.month - 1] if language in MONTHS else str(day.month)
    return iter(
        dict.fromkeys((str(day.day), month, str(day.year), f"{day.month:02}", f"{day.day:02}"))
    )


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


class _Stemmers(threading.local):
    """Of the thread that asks."""

    def __init__(self) -> None:
        self.by_language: dict[str, Any] = {}


_STEMMERS: Final = _Stemmers()


def _stemmer(language: str) -> Any:
    import Stemmer  # type: ignore[import-not-found]  # an extension, without stubs

    known = _STEMMERS.by_language
    if language not in known:
        known[language] = Stemmer.Stemmer(language)
    return known[language]
