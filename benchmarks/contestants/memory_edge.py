"""Qdrant's engine in this process (`qdrant-edge-py`): what it takes, and how long it holds the interpreter.

A shard of COUNT points of 384 numbers with a text each, on disk as far as it goes, without a graph. It
is opened and asked twenty times for the scores of all points, which is what our ranking needs of a
vector search. A thread asks for the interpreter meanwhile, as in `memory_kept`.

    python -m benchmarks.contestants.memory_edge COUNT
    python -m benchmarks.contestants.memory_edge full FOLDER

`full` writes into FOLDER until its disk is full, and says what came of it. Give it a small disk of its own:

    mount -t tmpfs -o size=60m tmpfs FOLDER
"""

import gc
import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, Final

import numpy as np
import qdrant_edge as edge  # type: ignore[import-not-found]  # of the peers' environment

from benchmarks.measure import Waiting, measured, memory_of, tell

_DIMENSIONS: Final = 384
_BATCH: Final = 256
_SEARCHES: Final = 20
_TEXT: Final = "word " * 70


def main(count: int) -> None:
    """Fill a shard, open it, search it, and tell."""
    with tempfile.TemporaryDirectory() as folder:
        if count:
            # In a process of its own: nothing of the making is left in the memory that is measured.
            if not (child := os.fork()):
                _fill(folder, count)
                os._exit(0)
            os.waitpid(child, 0)
        else:
            _shard(folder).close()
        dice = np.random.default_rng(1)
        with Waiting() as waiting:
            with measured() as opening:
                shard = edge.EdgeShard.load(folder)
            for _ in range(_SEARCHES):
                query = edge.Query.Nearest(dice.standard_normal(_DIMENSIONS).tolist())
                shard.query(
                    edge.QueryRequest(
                        query=query, limit=max(count, 1), params=edge.SearchParams(exact=True)
                    )
                )
        gc.collect()
        tell(
            memory=memory_of(os.getpid()) / 2**20,
            opening=opening.wall,
            opening_cpu=opening.cpu,
            wait=waiting.longest * 1_000,
        )
        shard.close()


def fill_the_disk(folder: str) -> None:
    """Write until the disk is full."""
    shard = _shard(folder)
    written = 0
    while True:
        shard.update(edge.UpdateOperation.upsert_points(_points(8)))
        written += 8
        print(written, flush=True)


def _shard(folder: str) -> Any:
    cold = edge.Memory.Cold
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(size=_DIMENSIONS, distance=edge.Distance.Cosine, memory=cold),
        payload_memory=cold,
    )
    Path(folder).mkdir(exist_ok=True)
    return edge.EdgeShard.create(folder, config)


def _fill(folder: str, count: int) -> None:
    shard = _shard(folder)
    for begin in range(0, count, _BATCH):
        shard.update(edge.UpdateOperation.upsert_points(_points(min(_BATCH, count - begin))))
    shard.flush()
    shard.close()


def _points(count: int) -> list[Any]:
    vectors = np.random.default_rng(count).standard_normal((count, _DIMENSIONS)).tolist()
    return [edge.Point(str(uuid.uuid4()), vector, {"content": _TEXT}) for vector in vectors]


if __name__ == "__main__":
    if sys.argv[1] == "full":
        fill_the_disk(sys.argv[2])
    else:
        main(int(sys.argv[1]))
