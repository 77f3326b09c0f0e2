"""Exact search by numpy, as one would write it who has all vectors in one float32 matrix.

The mask of what may be read is made for each search, from the ids of the threads: who searches
changes from one search to the next. Then the product, the best 80 by partition, and those in order.

`values` (the one that we are held against) ends where ours ends: with the same validated
`Prior` values, of payloads that wait in a list; and it runs in a worker thread, since
100,000 rows take too long for an event loop. `rows` is the floor beneath that: no payloads, numbers
of rows alone, called on the loop itself, which stands still meanwhile.

    python -m benchmarks.contestants.search_numpy COUNT SEARCHES values|rows
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.contestants.search_arena import Answer, Vector, compete
from benchmarks.contestants.search_population import LIMIT, Population, message_id
from machines.models.outputs import Prior
from machines.models.thread import Visibility
from storage.memory.points import MessagePayload
from storage.memory.values import SearchScope

Rows = list[tuple[int, float]]


class Exact:
    """All vectors as one matrix, and who may read which row."""

    def __init__(self, population: Population) -> None:
        self._vectors: Final = population.vectors
        self._payloads: Final = list(population.payloads())
        threads = {payload.thread_id: payload.visibility for payload in self._payloads}
        self._threads: Final = {thread: number for number, thread in enumerate(threads)}
        self._public: Final = np.array([each is Visibility.PUBLIC for each in threads.values()])
        self._thread_of: Final = np.array(
            [self._threads[payload.thread_id] for payload in self._payloads]
        )

    def rows(self, vector: Vector, scope: SearchScope) -> Rows:
        """The best rows that may be read, best first, and their scores."""
        scores = self._vectors @ np.asarray(vector, dtype=np.float32)
        scores[~self._readable(scope)] = -np.inf
        best = np.argpartition(scores, -LIMIT)[-LIMIT:]
        best = best[np.argsort(-scores[best])]
        return list(zip(best.tolist(), scores[best].tolist(), strict=True))

    def values(self, vector: Vector, scope: SearchScope) -> list[Prior]:
        """The same as values."""
        return [_value(self._payloads[row], score) for row, score in self.rows(vector, scope)]

    def _readable(self, scope: SearchScope) -> NDArray[np.bool_]:
        threads = self._public.copy() if scope.include_public else np.zeros_like(self._public)
        threads[[self._threads[each] for each in scope.private_thread_ids]] = True
        readable: NDArray[np.bool_] = threads[self._thread_of]
        return readable


def _value(payload: MessagePayload, score: float) -> Prior:
    return Prior(
        message_id=payload.message_id,
        thread_id=payload.thread_id,
        content=payload.content,
        author=payload.author,
        score=score,
        created_at=payload.created_at,
    )


async def main(count: int, searches: int, gives: str) -> None:
    """Compete."""
    population = Population(count)
    exact = Exact(population)
    scope = population.scope()
    if gives == "rows":

        async def rows(vector: Vector) -> Rows:
            return exact.rows(vector, scope)

        await compete(population, rows, _read_rows, searches=searches)
        return
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as worker:

        async def values(vector: Vector) -> list[Prior]:
            return await loop.run_in_executor(worker, exact.values, vector, scope)

        await compete(population, values, _read_values, searches=searches)


def _read_rows(found: Rows) -> Answer:
    return Answer(tuple(message_id(row) for row, _ in found), tuple(score for _, score in found))


def _read_values(found: list[Prior]) -> Answer:
    return Answer(tuple(each.message_id for each in found), tuple(each.score for each in found))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
