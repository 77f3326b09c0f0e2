"""Extraction: which sentences of some texts stand closest to a request, without a language model.

Sentences are compared as bags of words (tf-idf), and chosen by maximal marginal relevance: close to
the request, and not saying again what was chosen before. Pure and deterministic; what the offline
responder makes of the sentences is in `server.llm.offline`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MAX_SENTENCES: Final = 2_000
"""Sentences that are looked at; more would take seconds."""

MAX_SENTENCE: Final = 400
"""Characters of one sentence as it is quoted."""

RELEVANCE: Final = 0.75
"""Weight of closeness to the request against difference from what is chosen already."""

_LEAST_SENTENCE: Final = 12
_LEAST_WORD: Final = 2
_END_OF_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_WORD: Final = re.compile(r"\w+")
_LIST_MARK: Final = re.compile(r"^\s*(?:[-*+>#|]+|\d{1,3}[.)])\s*")
_LABEL: Final = re.compile(r"\s*\[P\d{1,4}(?:\s*[,;]\s*P\d{1,4})*\]")
_COMMON: Final = frozenset(
    """a about all also am an and any are as at be because been but by can could did do does for
    from get had has have he her his how i if in into is it its just me more most my no not of
    on one or our out she should so some than that the their them then there these they this to
    up us was we were what when where which who why will with would you your""".split()  # noqa: SIM905 - read as words, not as a list
)

Vector = Mapping[str, float]


@dataclass(frozen=True)
class Sentence:
    """A sentence of a source."""

    text: str
    source: str
    """Label of the prior that it stands in; empty for the thread."""
    closeness: float
    """Cosine to the request, from 0 to 1."""


def closest(request: str, sources: Sequence[tuple[str, str]], limit: int) -> tuple[Sentence, ...]:
    """At most `limit` sentences of `sources`, (label, text) pairs, the closest to `request` first.

    A sentence that shares no word with the request is none of them, nor is the request itself.
    """
    found = _sentences(request, sources)
    documents = [Counter(words(text)) for text, _ in found]
    asked = Counter(words(request))
    rarity = _rarity([*documents, asked])
    target = _vector(asked, rarity)
    candidates = [
        (Sentence(text, source, closeness), vector)
        for (text, source), document in zip(found, documents, strict=True)
        if (closeness := _cosine(vector := _vector(document, rarity), target)) > 0
    ]
    return _diverse(candidates, limit)


def _diverse(candidates: Sequence[tuple[Sentence, Vector]], limit: int) -> tuple[Sentence, ...]:
    """At most `limit` of `candidates` by maximal marginal relevance; the earlier wins a tie."""
    left = dict(enumerate(candidates))
    repetition = dict.fromkeys(left, 0.0)
    chosen: list[Sentence] = []
    while left and len(chosen) < limit:
        best = max(
            left,
            key=lambda place: (
                RELEVANCE * left[place][0].closeness - (1 - RELEVANCE) * repetition[place]
            ),
        )
        sentence, vector = left.pop(best)
        chosen.append(sentence)
        for place, (_, other) in left.items():
            repetition[place] = max(repetition[place], _cosine(other, vector))
    return tuple(chosen)


def words(text: str) -> Iterator[str]:
    """The words of `text` that say something, in lower case and without an English plural.

    Scripts without spaces are cut into pairs of characters.
    """
    return (stem for stem, _ in _stems(text))


def written_words(text: str) -> dict[str, str]:
    """The `words` of `text`, each once and in order, with how they are written there first."""
    forms: dict[str, str] = {}
    for stem, form in _stems(text):
        forms.setdefault(stem, form)
    return forms


def first_sentence(text: str) -> str:
    """The first sentence of `text` that is worth quoting; empty where there is none."""
    return next(_split(text), "")


def _stems(text: str) -> Iterator[tuple[str, str]]:
    for form in _WORD.findall(text):
        word = form.lower()
        if any("\u3040" <= character <= "\ud7a3" for character in word):
            pairs = (word[place : place + 2] for place in range(max(len(word) - 1, 1)))
            yield from ((pair, pair) for pair in pairs)
        elif len(word) >= _LEAST_WORD and word not in _COMMON:
            yield _singular(word), form


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def _sentences(request: str, sources: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(sentence, source) pairs, each sentence once, without list marks and others' labels."""
    asked = request.strip().casefold()
    found: dict[str, str] = {}
    for source, text in sources:
        for sentence in _split(text):
            if sentence.casefold() not in asked:
                found.setdefault(sentence, source)
            if len(found) == MAX_SENTENCES:
                return list(found.items())
    return list(found.items())


def _split(text: str) -> Iterator[str]:
    """The sentences of `text`, those left out that are too short to say anything."""
    for part in _END_OF_SENTENCE.split(text):
        sentence = _LABEL.sub("", _LIST_MARK.sub("", part)).strip()
        if len(sentence) > MAX_SENTENCE:
            sentence = sentence[: MAX_SENTENCE - 4].rstrip() + " ..."
        if len(sentence) >= _LEAST_SENTENCE:
            yield sentence


def _rarity(documents: Sequence[Counter[str]]) -> Vector:
    """How much each word says: the fewer sentences have it, the more."""
    having = Counter(word for document in documents for word in document)
    return {word: math.log(1 + len(documents) / count) for word, count in having.items()}


def _vector(document: Counter[str], rarity: Vector) -> Vector:
    """A vector of length 1; empty where there is no word."""
    raw = {word: (1 + math.log(count)) * rarity[word] for word, count in document.items()}
    length = math.sqrt(sum(weight * weight for weight in raw.values()))
    return {word: weight / length for word, weight in raw.items()} if length else {}


def _cosine(one: Vector, other: Vector) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other[word] for word, weight in one.items() if word in other)
