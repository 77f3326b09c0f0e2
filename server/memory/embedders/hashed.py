"""Hashed word features: the embedder of last resort, which needs no model and no download.

It finds texts that share words with a query and knows nothing of meaning, so it calls itself
keyword search (`semantic = False`) wherever users can see it. Standard library only.

Each feature of a text is hashed to one of 384 dimensions and a sign (feature hashing: Weinberger
et al., "Feature Hashing for Large Scale Multitask Learning", 2009). Changing anything below changes
the vectors, so it needs another number in the fingerprint.
"""

import asyncio
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from server.memory.embedders.rules import encodable, unit_vector

_DIMENSIONS = 384

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+")
"""Runs of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Kana, Han."""

_LONG_WORD = 8
"""Characters from which on a word has its full weight."""


class HashedEmbedder:
    """Vectors whose cosine grows with the words that two texts share."""

    name = "hashed-words"
    semantic = False
    fingerprint = f"hashed-words:1:{_DIMENSIONS}"
    dimensions = _DIMENSIONS

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One unit vector of 384 dimensions for each text, in order; every text has one."""
        # Off the loop: the longest messages take tens of milliseconds.
        return await asyncio.to_thread(lambda: [hashed_vector(text) for text in texts])

    async def close(self) -> None:
        """Nothing to release."""


def hashed_vector(text: str) -> tuple[float, ...]:
    """The unit vector of one text, always the same on every machine.

    The features are the text's words; of a text without words its characters; of an empty one, and
    of the rare text whose features cancel each other, the text as a whole. The last is one feature
    alone and cannot cancel, so no text is left without a direction.
    """
    plain = unicodedata.normalize("NFKC", encodable(text)).casefold()
    for features in (_words(plain), iter(plain), iter((plain,))):
        sums = _summed(Counter(features))
        if any(sums):
            break
    return unit_vector(sums, _DIMENSIONS)


def _words(text: str) -> Iterator[str]:
    """Words; within scripts that do not separate them, each pair of neighbouring characters."""
    yield from _WORD.findall(_UNSPACED.sub(" ", text))
    for run in _UNSPACED.findall(text):
        yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))


def _summed(features: Counter[str]) -> list[float]:
    """The features' weights added up by dimension: 384 sums."""
    sums = [0.0] * _DIMENSIONS
    for feature, count in features.items():
        digest = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "big")
        sign = 1.0 if digest & 1 else -1.0
        sums[(digest >> 1) % _DIMENSIONS] += sign * _weight(feature) * (1.0 + math.log(count))
    return sums


def _weight(feature: str) -> float:
    """Between 0 and 1: short words are the frequent ones in every language (Zipf's law of
    abbreviation), and say the least about what a text is about. Characters outside ASCII count
    double, since two of them often make a whole word.
    """
    width = sum(1 if character.isascii() else 2 for character in feature)
    return min(max(width, 1), _LONG_WORD) / _LONG_WORD
