"""The memory, as the composition root builds it: `DatabaseClient` and where it may be.

The two places are `storage.embedded`, a folder of this machine, and `storage.qdrant.remote`, a Qdrant
server or cluster.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from storage.embedded.store import EmbeddedStore
from storage.memory.memory import Memory, VectorStore
from storage.memory.operations import DEFAULT_POLICY
from storage.memory.retrier import Retrier
from storage.memory.values import RecoveryPolicy
from storage.qdrant.remote import MemoryServer, ServerStore
from storage.qdrant.store import Spread

__all__ = ["DatabaseClient", "EmbeddedMemory", "MemoryLocation", "MemoryServer", "Spread"]


@dataclass(frozen=True, slots=True)
class EmbeddedMemory:
    """The store in this process, in a folder that it holds alone."""

    folder: Path


MemoryLocation = EmbeddedMemory | MemoryServer


class DatabaseClient(Memory):
    """The memory in a folder or on a server: see `Memory` for what to call."""

    def __init__(
        self,
        location: MemoryLocation,
        *,
        dimensions: int,
        fingerprint: str,
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        policy: RecoveryPolicy = DEFAULT_POLICY,
        embed: Callable[[str], Awaitable[Sequence[float]]] | None = None,
        timeout_seconds: float = 5.0,
    ) -> None:
        """Nothing is opened yet; call `open` next.

        Args:
            dimensions: size of the embedder's vectors.
            fingerprint: names the embedder; recorded with the collection.
            jitter: from 0 to 1, a new number each time.
            embed: embeds a message's content again where its vector is no use; raises
                `ChorusError` alone.
            timeout_seconds: the longest silence of a server; whole seconds, rounded up.
        """
        store: VectorStore
        match location:
            case EmbeddedMemory(folder):
                store = EmbeddedStore(folder, dimensions, fingerprint)
            case MemoryServer():
                store = ServerStore(location, dimensions, fingerprint, timeout_seconds)
            case _:
                assert_never(location)
        super().__init__(store, Retrier(policy, sleep, jitter, fingerprint, embed))
