"""Embeddings of an endpoint through the `openai` SDK: the adapter of `EmbeddingsEndpoint`.

It is light to make: the SDK is imported, in a thread, by the first call. What a vector must be like
is checked by the caller (`server.memory.embedders.endpoint`); here only the shape of the answer is.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from machines.models.errors import AIError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

SECONDS: Final = 60.0
"""For one answer, from the request to its end."""


class OpenAIEmbeddings:
    """The embeddings of one endpoint."""

    def __init__(
        self, base_url: str, api_key: str | None, *, clock: Callable[[], datetime]
    ) -> None:
        """`clock` gives UTC."""
        self._base_url = base_url
        self._api_key = api_key
        self._clock = clock
        self._client: AsyncOpenAI | None = None
        self._opening = asyncio.Lock()

    async def embed(self, model: str, texts: list[str], /) -> Sequence[Sequence[float]]:
        """One vector for each of `texts`, in their order. Raises AIError and NetworkError."""
        client = await self._opened()
        from server.llm import errors as llm_errors

        try:
            async with asyncio.timeout(SECONDS):
                answer = await client.post(
                    "/embeddings",
                    cast_to=object,
                    body={"model": model, "input": texts, "encoding_format": "float"},
                )
        except TimeoutError as error:
            raise llm_errors.too_slow(SECONDS) from error
        except llm_errors.FOREIGN_ERRORS as error:
            raise llm_errors.from_exception(error, self._clock()) from error
        return _vectors(answer)

    async def close(self) -> None:
        """Ends the connections."""
        if self._client is not None:
            await self._client.close()

    async def _opened(self) -> "AsyncOpenAI":
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(_open, self._base_url, self._api_key)
            return self._client


def _open(base_url: str, api_key: str | None) -> "AsyncOpenAI":
    from server.llm.openai import open_client

    return open_client(base_url, api_key)


def _vectors(answer: object) -> list[list[float]]:
    """The vectors of an answer, in the order of their indices. Raises AIError for another shape."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        raise _unreadable()
    placed: dict[object, list[float]] = {}
    for place, item in enumerate(data):
        match item:
            case {"embedding": list(vector), "index": int(index)}:
                pass
            case {"embedding": list(vector)}:  # some endpoints number nothing
                index = place
            case _:
                raise _unreadable()
        if not all(type(number) in (int, float) for number in vector):
            raise _unreadable()
        placed[index] = [float(number) for number in vector]
    try:
        return [placed[place] for place in range(len(data))]
    except KeyError as gap:
        raise _unreadable() from gap


def _unreadable() -> AIError:
    return AIError("The embedding model gave an unreadable answer.")
