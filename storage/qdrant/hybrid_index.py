"""Search by vector, words and surroundings at once, among what a reader may see.

The exact index beneath gives the rows in scope and their cosines, `storage.memory.word_index` their
words, `storage.memory.surroundings` where they stand, and `storage.memory.ranking` says what counts
how much. All of it is arithmetic on arrays; only what is shown is looked at one by one. Importing
this module loads numpy.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from machines.models.outputs import Prior
from storage.memory import ranking
from storage.memory.surroundings import Stand, Surroundings, identity
from storage.memory.values import MessagePayload, QueryPoints, message_point_id
from storage.memory.visibility import sound_and_readable
from storage.memory.word_index import WordIndex
from storage.memory.words import asked
from storage.qdrant.exact_index import ExactIndex, Float32s, Rows

_MORE_CANDIDATES: Final = 24
"""Messages that are compared with each other, beyond those that are asked for."""

_DIGITS: Final = 4
"""Of a score: less than that is rounding."""


class HybridIndex(ExactIndex):
    """An exact index that also knows words and surroundings: `put`, `remove`, `find`."""

    def __init__(self, dimensions: int) -> None:
        super().__init__(dimensions)
        self._words = WordIndex()
        self._surroundings = Surroundings()

    def _placed(self, row: int, message: MessagePayload) -> None:
        self._words.put(row, message.said, message.day)
        self._surroundings.put(
            row, Stand(message.thread_id, message.index, message.speaker, message.content)
        )

    def _takes_out(self, row: int) -> None:
        self._words.take_out(row)
        self._surroundings.take_out(row)

    def find(self, query: QueryPoints) -> tuple[Prior, ...]:
        """The best of what the scope allows, best first; each said once.

        A score is the message's own closeness; the order also considers what stands around it.
        """
        direction = np.array(query.vector, np.float64)
        direction /= np.linalg.norm(direction)
        rows = self._rows_in(query.scope)
        if not len(rows):
            return ()
        within = self._surroundings.within(rows)
        words_asked = asked(query.text)
        cosines = self._cosines(rows, direction.astype(np.float32))
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
        shown = ranking.different(scores, self._units[rows[candidates]], query.limit)
        chosen = candidates[shown]
        hits = zip(near[chosen].tolist(), rows[chosen].tolist(), strict=True)
        # `put` took in sound payloads alone.
        return sound_and_readable(
            [(score, self._payloads[row]) for score, row in hits], query.scope
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
        ids = (message_point_id(message_id) for message_id in query.scope.exclude)
        rows = [row for id_ in ids if (row := self._row_of.get(id_)) is not None]
        return [*self._surroundings.identity[rows].tolist(), identity(query.text)]
