"""Embeddings of the model endpoint that the operator named with CHORUS_EMBEDDING_MODEL.

This module knows no HTTP and no SDK: the endpoint comes in as an object of one method, which the
llm port implements, and whose failures are AIError and NetworkError already. Here lives what a
vector from outside must pass before it counts as one.
"""

from collections.abc import Sequence
from typing import Protocol, Self

from machines.models.errors import VectorError
from server.memory.embedders.rules import encodable, unit_vector

MAX_TEXTS = 64
"""Texts in one request; compatible endpoints refuse longer lists at various lengths."""

MAX_CHARS = 8_000
"""Characters of a text that are sent: below the 8,192 tokens that OpenAI's models accept, in most
languages. The rest would make the endpoint refuse the whole request."""

_PROBE = "dimensions"


class EmbeddingsEndpoint(Protocol):
    """What the llm port offers to this one."""

    async def embed(self, model: str, texts: list[str], /) -> Sequence[Sequence[float]]:
        """One vector for each text, in order. Raises AIError and NetworkError."""
        ...


class EndpointEmbedder:
    """Vectors of one model of the endpoint. Made by `EndpointEmbedder.probed`."""

    semantic = True

    def __init__(self, endpoint: EmbeddingsEndpoint, model: str, dimensions: int) -> None:
        self._endpoint = endpoint
        self.name = model
        self.dimensions = dimensions
        self.fingerprint = f"endpoint:{model}:{dimensions}:{MAX_CHARS}"

    @classmethod
    async def probed(cls, endpoint: EmbeddingsEndpoint, model: str) -> Self:
        """An embedder whose number of dimensions was learned by one call.

        Raises AIError and NetworkError as the endpoint does, VectorError where its answer is none.
        """
        (vector,) = await _answer(endpoint, model, [_PROBE])
        unit_vector(vector, len(vector))
        return cls(endpoint, model, len(vector))

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One unit vector of `dimensions` for each text, in order.

        Raises VectorError for a wrong number of vectors, and for a vector of another size, with
        NaN or infinity, or of zeros only; AIError and NetworkError as the endpoint does. Nothing is
        returned of an answer of which one vector is bad.
        """
        sent = [encodable(text)[:MAX_CHARS] for text in texts]
        vectors: list[tuple[float, ...]] = []
        for start in range(0, len(sent), MAX_TEXTS):
            answer = await _answer(self._endpoint, self.name, sent[start : start + MAX_TEXTS])
            vectors += [unit_vector(vector, self.dimensions) for vector in answer]
        return vectors

    async def close(self) -> None:
        """Nothing to release: the endpoint belongs to who made it."""


async def _answer(
    endpoint: EmbeddingsEndpoint, model: str, texts: list[str]
) -> Sequence[Sequence[float]]:
    """The endpoint's vectors, as many as `texts`."""
    vectors = await endpoint.embed(model, texts)
    if len(vectors) != len(texts):
        raise VectorError(
            f"The embedding model answered {len(texts)} texts with {len(vectors)} vectors."
        )
    return vectors
