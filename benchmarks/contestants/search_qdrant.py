"""qdrant-client used plainly: `query_points` on the embedded store, in a worker thread.

With `filter`, the library keeps the rights: one condition for public threads, one that names the
searcher's own. Without (`all`) it searches everything, which answers another question, but tells
what the filter costs. Hits come with their payloads as dicts, and no values are made of them: what
one gets from the library is what one has.

    python -m benchmarks.contestants.search_qdrant COUNT SEARCHES filter|all
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import uvloop
from qdrant_client import QdrantClient, models

from benchmarks.contestants.search_arena import Answer, Vector, compete
from benchmarks.contestants.search_population import LIMIT, Population
from machines.models.ids import MessageId
from storage.memory.points import Collection
from storage.memory.values import SearchScope


async def main(count: int, searches: int, *, filtered: bool) -> None:
    """Open the store in the thread where it is used, and compete."""
    population = Population(count)
    folder = population.library_folder()
    scope = filter_of(population.scope()) if filtered else None
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as worker:
        client = await loop.run_in_executor(worker, lambda: QdrantClient(path=str(folder)))

        def nearest(vector: Vector) -> list[models.ScoredPoint]:
            return client.query_points(
                Collection.MESSAGES,
                query=list(vector),
                query_filter=scope,
                limit=LIMIT,
                with_payload=True,
            ).points

        async def search(vector: Vector) -> list[models.ScoredPoint]:
            return await loop.run_in_executor(worker, nearest, vector)

        try:
            await compete(population, search, _read, searches=searches, unfiltered=not filtered)
        finally:
            await loop.run_in_executor(worker, client.close)


def filter_of(scope: SearchScope) -> models.Filter:
    """The rights in the library's terms."""
    own: list[str] = sorted(scope.private_thread_ids)
    return models.Filter(
        should=[
            models.FieldCondition(key="visibility", match=models.MatchValue(value="public")),
            models.FieldCondition(key="thread_id", match=models.MatchAny(any=own)),
        ]
    )


def _read(found: list[models.ScoredPoint]) -> Answer:
    ids = tuple(cast("MessageId", (hit.payload or {})["message_id"]) for hit in found)
    return Answer(ids, tuple(hit.score for hit in found))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), filtered=sys.argv[3] == "filter"))
