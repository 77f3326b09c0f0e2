"""Search by vector, words and surroundings at once, among what a reader may see.

The exact index beneath gives the rows in scope and their cosines, `storage.memory.word_index` their
words, `storage.memory.surroundings` where they stand, and `storage.memory.ranking` says what counts
how much. All of it is arithmetic on arrays; only what is shown is looked at one by one. Importing
this module loads numpy.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from machines.models.outputs import Prior
from storage.embedded.exact_index import Entry, ExactIndex, entry_of
from storage.embedded.rows import (
    Float32s,
    HeldRows,
    KeptRows,
    Rows,
    StoredPoint,
    unit_vectors,
)
from storage.memory import ranking
from storage.memory.surroundings import Surroundings, identity
from storage.memory.values import QueryPoints
from storage.memory.visibility import payload_of, sound_and_readable
from storage.memory.word_index import WordIndex
from storage.memory.words import asked

_MORE_CANDIDATES: Final = 24
"""Messages that are compared with each other, beyond those that are asked for."""

_DIGITS: Final = 4
"""Of a score: less than that is rounding."""


class HybridIndex(ExactIndex):
    """An exact index that also knows words and surroundings: `put`, `take_out`, `find`."""

    def __init__(self, kept: KeptRows, dimensions: int) -> None:
        super().__init__(kept, dimensions)
        self._words = WordIndex()
        self._surroundings = Surroundings()

    def put(self, rows: Sequence[int], entries: Sequence[Entry]) -> None:
        """Take messages in, as `ExactIndex` says."""
        self.put_pages([(rows, entries)])

    def put_pages(self, pages: Iterable[tuple[Sequence[int], Sequence[Entry]]]) -> None:
        """Take many messages in, some at a time. Neighbours are found when all are there."""
        for rows, entries in pages:
            super().put(rows, entries)
            self._words.put(rows, [entry.words for entry in entries])
            self._surroundings.put(rows, [entry.stand for entry in entries])
        self._surroundings.link()

    def take_out(self, rows: Sequence[int]) -> None:
        """Forget rows that are there."""
        super().take_out(rows)
        for row in rows:
            self._surroundings.take_out(row)

    def find(self, query: QueryPoints) -> tuple[Prior, ...]:
        """The best of what the scope allows, best first; each said once.

        A score is the message's own closeness; the order also considers what stands around it.
        """
        direction = np.array(query.vector, np.float64)
        direction /= np.linalg.norm(direction)
        rows, cosines = self._scored(self._rows_in(query.scope), direction.astype(np.float32))
        if not len(rows):
            return ()
        within = self._surroundings.within(rows)
        words_asked = asked(query.text)
        words = self._words.scores(words_asked, within)
        scores = ranking.fused(cosines, words, within)
        by_author = self._surroundings.authors_named(words_asked)
        if by_author is not None:
            scores += np.float32(ranking.AUTHOR) * by_author[rows]
        near, threads = ranking.closeness(cosines, words), within.thread
        if query.floor > 0:
            worth = ranking.worth(near, within) >= query.floor
            rows, scores, near, threads = rows[worth], scores[worth], near[worth], threads[worth]
        candidates = self._candidates(rows, scores, query)
        scores = ranking.with_threads(scores[candidates], threads[candidates])
        # Of equals, the one that was remembered first.
        order = np.lexsort((rows[candidates], -np.round(scores, _DIGITS)))
        candidates, scores = candidates[order], scores[order]
        shown = ranking.different(scores, self._kept.units(rows[candidates]), query.limit)
        chosen = candidates[shown]
        hits = list(zip(near[chosen].tolist(), rows[chosen].tolist(), strict=True))
        payloads = self._kept.payloads([row for _, row in hits])
        return sound_and_readable(
            [(score, payloads[row]) for score, row in hits if row in payloads], query.scope
        )

    def _candidates(self, rows: Rows, scores: Float32s, query: QueryPoints) -> NDArray[np.intp]:
        """Places in `rows` of the best that say different things, and nothing that is known."""
        wanted = query.limit + _MORE_CANDIDATES
        known = self._identities_of(query)
        most = wanted
        while True:
            best = (
                np.argpartition(scores, len(scores) - most)[len(scores) - most :]
                if most < len(scores)
                else np.arange(len(scores))
            )
            best = best[np.lexsort((rows[best], -scores[best]))]
            said = self._surroundings.identity[rows[best]]
            _, first = np.unique(said, return_index=True)
            first.sort()
            candidates = best[first]
            if known:
                candidates = candidates[~np.isin(said[first], known)]
            if len(candidates) >= wanted or most >= len(scores):
                return candidates[:wanted]
            most *= 4

    def _identities_of(self, query: QueryPoints) -> list[int]:
        """What is said by the messages that the scope leaves out as known, and then by the query."""
        if not query.scope.exclude:
            return []
        known = self._surroundings.identity[self._excluded(query.scope)]
        return [*known.tolist(), identity(query.text)]


def index_of(points: Sequence[StoredPoint], dimensions: int) -> HybridIndex:
    """An index in memory of some points, each there once; those that are damaged are left out."""
    sized = [point for point in points if len(point.vector or ()) == dimensions]
    units, finite = unit_vectors([point.vector or () for point in sized], dimensions)
    messages = ((place, payload_of(sized[place].payload)) for place in finite.tolist())
    sound = [(place, message) for place, message in messages if message is not None]
    places = [place for place, _ in sound]
    kept = HeldRows(
        units[places], [sized[place].id for place in places], [sized[p].payload for p in places]
    )
    index = HybridIndex(kept, dimensions)
    index.put(range(len(sound)), [entry_of(message) for _, message in sound])
    return index
