"""Ours: `Memory.execute(Search(...))` on an embedded memory, as the server's memory service does it.

Each search is made of the query's vector and the scope of who searches, built anew as for every
request, and ends with the 80 priors as the validated values that the server hands on. Rights are
checked by the memory itself.

    python -m benchmarks.contestants.search_ours COUNT SEARCHES hybrid|vectors
"""

import sys
from itertools import cycle

import uvloop

from benchmarks.contestants.search_arena import Answer, Vector, compete
from benchmarks.contestants.search_population import LIMIT, Population, memory_in
from machines.models.outputs import Prior
from storage.memory.values import Search, SearchScope, Success


async def main(count: int, searches: int, mode: str) -> None:
    """Open the memory, and compete."""
    population = Population(count)
    memory = memory_in(population.folder())
    readable = population.scope()
    texts = iter(cycle(population.texts(searches)))

    async def search(vector: Vector) -> tuple[Prior, ...]:
        scope = SearchScope(
            private_thread_ids=readable.private_thread_ids, include_public=readable.include_public
        )
        text = next(texts) if mode == "hybrid" else ""
        result = await memory.execute(Search(vector=vector, scope=scope, limit=LIMIT, text=text))
        if not isinstance(result, Success):
            raise result.error
        return result.found

    await memory.open()
    try:
        await compete(population, search, _read, searches=searches, exact=mode == "vectors")
    finally:
        await memory.close()


def _read(found: tuple[Prior, ...]) -> Answer:
    return Answer(tuple(each.message_id for each in found), tuple(each.score for each in found))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
