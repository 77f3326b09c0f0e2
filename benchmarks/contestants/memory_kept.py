"""How much memory the searched memory takes, and how long it takes to open: ours, or the library's.

A memory of COUNT messages is opened and searched twenty times by vector and by words, as in
`search_ours`; 0 is one that is empty. `chorus` is `DatabaseClient` on a folder of this machine,
`library` an embedded `QdrantClient` in a worker thread, with the rights as its filter and by vector
alone. Beside them a thread asks for the interpreter every half millisecond: how long it waits at most
is what an event loop would.

    python -m benchmarks.contestants.memory_kept COUNT chorus|library
"""

import asyncio
import gc
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.contestants.search_population import LIMIT, Population, memory_in
from benchmarks.measure import Waiting, measured, memory_of, tell
from storage.memory.values import Search, Success

_SEARCHES: Final = 20


async def ours(count: int, population: Population) -> None:
    """Open our memory, search it, and tell."""
    texts, vectors, scope = (
        population.texts(_SEARCHES),
        population.queries(_SEARCHES),
        population.scope(),
    )
    with tempfile.TemporaryDirectory() as empty:
        memory = memory_in(population.folder() if count else Path(empty))
        with Waiting() as waiting:
            with measured() as opening:
                await memory.open()
            for vector, text in zip(vectors, texts, strict=True):
                search = Search(vector=vector, scope=scope, limit=LIMIT, text=text)
                assert isinstance(await memory.execute(search), Success)
        _tell(opening.wall, opening.cpu, waiting.longest)
        await memory.close()


async def library(population: Population) -> None:
    """Open an embedded Qdrant, search it, and tell."""
    from qdrant_client import QdrantClient

    from benchmarks.contestants.search_qdrant import filter_of

    vectors, scope = population.queries(2), filter_of(population.scope())
    folder = str(population.library_folder())
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as worker, Waiting() as waiting:
        with measured() as opening:
            client = await loop.run_in_executor(worker, lambda: QdrantClient(path=folder))
        for vector in vectors:
            search = partial(
                client.query_points, query=list(vector), query_filter=scope, limit=LIMIT
            )
            await loop.run_in_executor(worker, search, "messages")
        _tell(opening.wall, opening.cpu, waiting.longest)
        await loop.run_in_executor(worker, client.close)


def _tell(wall: float, cpu: float, wait: float) -> None:
    gc.collect()
    tell(
        memory=memory_of(os.getpid()) / 2**20,
        opening=wall,
        opening_cpu=cpu,
        wait=wait * 1_000,
    )


def main(count: int, kind: str) -> None:
    """Make the folder where it is missing, and measure."""
    population = Population(count, with_vectors=False)
    uvloop.run(ours(count, population) if kind == "chorus" else library(population))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
