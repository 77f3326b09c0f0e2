"""The messages that are searched, who may read them, and the folder that holds them.

Everything follows from a seed: `count` messages of 384 numbers and 52 words, 50 to a
thread. One thread in four is public, one in twenty is private and the searcher's own, and the rest,
seven in ten, are private threads of other users.

Filling a folder takes minutes, so it is made once for each shape and kept in `benchmarks/.cache`: one
by the store of an embedded memory, and one by `qdrant_client` in its embedded mode, in batches, with
the same ids and payloads.

    python -m benchmarks.contestants.search_population 100000 chorus|library
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from machines.models.domain import Role
from machines.models.ids import MessageId, PublicKey, ThreadId
from machines.models.thread import Visibility
from storage.embedded.database import FORMAT
from storage.embedded.store import EmbeddedStore
from storage.memory.points import Collection, MessagePayload, MessagePoint
from storage.memory.values import SearchScope, WritePoints

if TYPE_CHECKING:
    from storage.qdrant.client import DatabaseClient

Floats = NDArray[np.float32]

LIMIT: Final = 80
"""Priors that a search asks for."""

DIMENSIONS: Final = 384
FINGERPRINT: Final = "benchmark-384"

_IN_A_THREAD: Final = 50
_KINDS: Final = 20
"""Threads come in twenties, alike but for their words."""
_PUBLIC: Final = 5
_OWN: Final = 1

_SEED: Final = 20_260
_CACHE: Final = Path(__file__).parent.parent / ".cache"
_OURS: Final = "chorus"
_LIBRARY: Final = "library"
_EDITION: Final = 3
"""Raised whenever something above or below changes what is written."""

_QUICK_DISK: Final = Path("/dev/shm")
"""Where the folder grows up, if there is such a place."""
_BATCH: Final = 1_000
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Population:
    """`count` messages, and one who searches among them."""

    def __init__(self, count: int, *, with_vectors: bool = True) -> None:
        """Vectors are made at once, unless none are wanted; payloads when they are asked for."""
        self.count = count
        self.threads = -(-count // _IN_A_THREAD)
        made = count if with_vectors else 0
        self.vectors = _unit_vectors(np.random.default_rng((_SEED, count)), made)
        """One row for each message, of length 1."""

    def queries(self, count: int) -> list[tuple[float, ...]]:
        """So many vectors to search with, as an embedder gives them."""
        made = _unit_vectors(np.random.default_rng((_SEED, self.count, count)), count)
        return [tuple(row) for row in made.tolist()]

    def texts(self, count: int) -> list[str]:
        """So many queries of eight words."""
        random = Random(_SEED + count)
        return [_text(random, 8) for _ in range(count)]

    def scope(self) -> SearchScope:
        """What the searcher may read: public threads, and the private ones that are theirs."""
        own = (number for number in range(self.threads) if _is_own(number))
        return SearchScope(private_thread_ids=frozenset(map(thread_id, own)), include_public=True)

    def readable(self) -> NDArray[np.bool_]:
        """Which messages those are."""
        numbers = np.arange(self.count) // _IN_A_THREAD % _KINDS
        return numbers < _PUBLIC + _OWN

    def payloads(self) -> Iterator[MessagePayload]:
        """What is kept beside the vectors, in their order."""
        random = Random(_SEED)
        for number in range(self.count):
            thread = number // _IN_A_THREAD
            is_answer = number % 2 == 1
            yield MessagePayload(
                thread_id=thread_id(thread),
                message_id=message_id(number),
                author=None if is_answer else PublicKey(f"searcher{thread % 97:024}"),
                role=Role.CHORUS if is_answer else Role.USER,
                visibility=Visibility.PUBLIC if _is_public(thread) else Visibility.PRIVATE,
                content=_text(random, 52),
                created_at=_BEGAN + timedelta(seconds=number),
                seq=number % _IN_A_THREAD + 1,
                fingerprint=FINGERPRINT,
                index=number % _IN_A_THREAD,
            )

    def folder(self) -> Path:
        """The embedded memory that holds them; made first where it is missing.

        Raises:
            CalledProcessError: it could not be made.
        """
        return self._folder(_OURS)

    def library_folder(self) -> Path:
        """The embedded Qdrant that holds them. Raises as `folder`."""
        return self._folder(_LIBRARY)

    def _folder(self, kind: str) -> Path:
        folder = _folder_of(self.count, kind)
        if not folder.exists():
            # In a process of its own: nothing of the making is left in the memory that is measured.
            command = [sys.executable, "-m", __spec__.name, str(self.count), kind]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return folder


def message_id(number: int) -> MessageId:
    """Of the message in that row."""
    return MessageId(f"message-{number:08}")


def thread_id(number: int) -> ThreadId:
    """Of that thread."""
    return ThreadId(f"thread-{number:06}")


def memory_in(folder: Path) -> "DatabaseClient":
    """Chorus' memory on a folder, not open yet."""
    from storage.qdrant.client import DatabaseClient, EmbeddedMemory

    return DatabaseClient(
        EmbeddedMemory(folder),
        dimensions=DIMENSIONS,
        fingerprint=FINGERPRINT,
        jitter=lambda: 0.0,
    )


def _text(random: Random, words: int) -> str:
    """Words as Zipf's law has them: a few are everywhere, and most are rare."""
    return " ".join(f"word{int(random.paretovariate(0.8))}" for _ in range(words))


def _is_public(thread: int) -> bool:
    return thread % _KINDS < _PUBLIC


def _is_own(thread: int) -> bool:
    return _PUBLIC <= thread % _KINDS < _PUBLIC + _OWN


def _unit_vectors(random: np.random.Generator, count: int) -> Floats:
    made = random.standard_normal((count, DIMENSIONS), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


# ------------------------------------------------------------------------------------- the folder


def _folder_of(count: int, kind: str) -> Path:
    edition = f"format-{FORMAT}" if kind == _OURS else f"qdrant-{version('qdrant-client')}"
    return _CACHE / f"search-{count}-{_EDITION}-{edition}"


def _make(count: int, kind: str) -> None:
    """Make the folder where it is missing: it appears whole, or not at all."""
    folder = _folder_of(count, kind)
    _CACHE.mkdir(exist_ok=True)
    # Each commit is durable. Where that needs no disk, it is quick.
    quick = _QUICK_DISK if _QUICK_DISK.is_dir() else None
    with TemporaryDirectory(dir=quick) as nursery, TemporaryDirectory(dir=_CACHE) as beside:
        young = Path(nursery) / "memory"
        (_fill if kind == _OURS else _fill_library)(young, Population(count))
        shutil.copytree(young, Path(beside) / "memory")
        (Path(beside) / "memory").rename(folder)


def _fill(folder: Path, population: Population) -> None:
    store = EmbeddedStore(folder, DIMENSIONS, FINGERPRINT)
    store.prepare(accept_other=False)
    rows = zip(population.payloads(), population.vectors, strict=True)
    while batch := list(islice(rows, _BATCH)):
        points = tuple(
            MessagePoint.model_construct(payload=payload, vector=tuple(vector.tolist()))
            for payload, vector in batch
        )
        store.perform(WritePoints(collection=Collection.MESSAGES, points=points, when="newer"))
    store.close()


def _fill_library(folder: Path, population: Population) -> None:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(folder))
    client.create_collection(
        Collection.MESSAGES,
        vectors_config=models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE),
    )
    rows = zip(population.payloads(), population.vectors.tolist(), strict=True)
    while batch := list(islice(rows, _BATCH)):
        client.upsert(
            Collection.MESSAGES,
            [
                models.PointStruct(
                    id=payload.point_id, vector=vector, payload=payload.model_dump(mode="json")
                )
                for payload, vector in batch
            ],
        )
    client.close()


if __name__ == "__main__":
    _make(int(sys.argv[1]), sys.argv[2])
