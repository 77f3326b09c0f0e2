"""How messages are ranked for a query: every weight, and the arithmetic that uses them.

A message's score is what its vector and its words say, each in standard deviations over what is in
scope, with a part of what the messages before and after it say, of the words of its thread, and of
the best scores there.
The weights were fitted on conversations, see docs/decisions/hybrid-recall.md; `make bench
ONLY=recall` measures them on any others. Pure functions on arrays. Importing this module loads
numpy.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.memory.surroundings import Within
from storage.memory.word_index import WordScores

Bools = NDArray[np.bool_]
Float32s = NDArray[np.float32]
Int32s = NDArray[np.int32]
Places = NDArray[np.intp]

WORDS: Final = 0.75
"""Weight of the words of a message and around it; the vector's is 1."""

THREAD_WORDS: Final = 0.55
"""Weight of the words of its thread, taken together."""

COVERED: Final = 0.4
"""Share of the query's words, by weight, that the best message must have for words to count in full:
where no message has more than a chance word of it, the meaning decides."""

FARTHEST: Final = -2.0
"""The least that a vector counts: among candidates that are all near, one that was found by its words
stands far out."""

AUTHOR: Final = 1.05
"""What a message gains whose author is named in the query."""

BEFORE: Final = 0.33
"""Part of what the vector of the message before says: a question says what its answer is about."""

AFTER: Final = 0.33
"""Part of what the vector of the message after says."""

THREAD: Final = 0.6
"""Part of the mean score of the `BEST_OF_THREAD` best of the thread."""

BEST_OF_THREAD: Final = 3

FROM_NEIGHBOUR: Final = 0.5
"""Part of a neighbour's closeness that a message may have for its own, to come along."""

SAME: Final = 0.95
"""Cosine from which two messages are taken to say the same."""

DIFFERENCE: Final = 1.0
"""What a message loses that points where one points that is chosen already: the weight of maximal
marginal relevance (J. Carbonell, J. Goldstein, "The use of MMR", 1998)."""

FEW: Final = 24
"""Places that are kept for different material; among more of them it is found anyway."""

_NEVER: Final = np.float32(-np.inf)


def fused(cosines: Float32s, words: WordScores, within: Within) -> Float32s:
    """What vectors and words say of each message in scope, in standard deviations."""
    meant = np.maximum(standardised(cosines), np.float32(FARTHEST))
    said = within.with_neighbours(meant, BEFORE, AFTER)
    if words.most > 0:
        covered = min(1.0, float(words.scores.max()) / (COVERED * words.most))
        said += np.float32(WORDS * covered) * standardised(words.around)
        said += np.float32(THREAD_WORDS * covered) * standardised(words.threads)[within.thread]
    return said


def standardised(scores: Float32s) -> Float32s:
    """Each score's distance from the mean in standard deviations; zeros where all are the same."""
    if not len(scores):
        return scores.copy()
    apart: Float32s = scores - scores.mean(dtype=np.float64).astype(np.float32)
    # Rounding alone must not be taken for a difference.
    deviation = max(float(np.sqrt(np.square(apart).mean(dtype=np.float64))), 1e-6)
    apart /= np.float32(deviation)
    return apart


def closeness(cosines: Float32s, words: WordScores) -> Float32s:
    """How close each message is by itself, from 0 to 1: by its vector, by its words, or by both."""
    far: Float32s = 1 - np.minimum(np.maximum(cosines, 0), 1)
    if words.most > 0:
        far *= 1 - np.minimum(words.scores / np.float32(words.most), 1)
    return 1 - far


def worth(near: Float32s, within: Within) -> Float32s:
    """Each message's closeness, or the part of a neighbour's that is more."""
    everywhere = np.append(near, np.float32(0))
    around = np.maximum(everywhere[within.before], everywhere[within.after])
    most: Float32s = np.maximum(near, np.float32(FROM_NEIGHBOUR) * around)
    return most


def with_threads(scores: Float32s, threads: Int32s) -> Float32s:
    """Scores of candidates with the part of their threads' best; `threads` are numbers from 0."""
    if not len(scores):
        return scores
    order = np.lexsort((-scores, threads))
    ordered = threads[order]
    is_first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    begins = np.flatnonzero(is_first)
    group = np.cumsum(is_first) - 1
    place = np.arange(len(ordered)) - begins[group]
    best = np.where(place < BEST_OF_THREAD, np.maximum(scores[order], 0), 0)
    means = np.add.reduceat(best, begins) / BEST_OF_THREAD
    raised = np.empty_like(scores)
    raised[order] = scores[order] + np.float32(THREAD) * means[group]
    return raised


def different(scores: Float32s, vectors: Float32s, most: int) -> list[int]:
    """Places of at most `most` candidates to show, best first, none of them twice in other words.

    `scores` fall, and `vectors` are of length 1. Where places are `FEW` and there are more candidates,
    those give way that are most like better ones.
    """
    if not len(scores):
        return []
    alike = vectors @ vectors.T
    same = alike >= SAME
    # Each is like itself; most often nothing else is.
    has_repeats = np.count_nonzero(same) > len(scores)
    repeats = np.tril(same, -1).any(axis=1) if has_repeats else np.zeros(len(scores), np.bool_)
    if most > FEW or len(scores) - int(repeats.sum()) <= most:
        places: list[int] = np.flatnonzero(~repeats)[:most].tolist()
        return places
    left = np.where(repeats, _NEVER, scores).astype(np.float32)
    nearest: Float32s = np.zeros(len(scores), np.float32)
    chosen: list[int] = []
    for _ in range(most):
        place = int((left - np.float32(DIFFERENCE) * nearest).argmax())
        chosen.append(place)
        left[place] = _NEVER
        np.maximum(nearest, alike[place], out=nearest)
    return sorted(chosen)
