"""How many tokens the context of a model has, where its endpoint tells.

Endpoints tell it in places of their own: beside the model in the list of models (vLLM, SGLang,
OpenRouter, Groq), or on routes that only they have (llama.cpp, LM Studio, Ollama), which stand beside
the `/v1` of their address. They are asked one after the other, and what is no answer tells nothing.
"""

import json
import re
from collections.abc import AsyncIterator
from typing import Final

import aiohttp

from server.addresses import host_of

_SECONDS: Final = 3.0
"""Of one question."""

_ANSWER_BYTES: Final = 4_194_304

_LEAST: Final = 256
_MOST: Final = 100_000_000
"""What is not between them is no length of a context."""

_IN_LIST: Final = ("max_model_len", "context_length", "context_window", "max_context_length")
"""Keys of a model in the list of models; all of them name what the endpoint serves."""

_NUM_CTX: Final = re.compile(r"^num_ctx\s+(\d+)", re.MULTILINE)

OLLAMA_DEFAULT: Final = 4_096
"""What Ollama gives a model where nothing names more. What is longer it cuts without a word, so the
length that the model was trained with is no use there."""

_TELL_NOTHING: Final = frozenset({"api.openai.com"})
"""Not asked."""


async def context_tokens_of(base_url: str, model: str, api_key: str | None) -> int | None:
    """The context of `model` at the endpoint; None where it does not tell. Raises nothing.

    `base_url` is that of the OpenAI-compatible routes, without a slash at its end.
    """
    if host_of(base_url) in _TELL_NOTHING:
        return None
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        async for told in _told(session, base_url, model):
            if type(told) is int and _LEAST <= told <= _MOST:
                return told
    return None


async def _told(session: aiohttp.ClientSession, base_url: str, model: str) -> AsyncIterator[object]:
    """What each place tells, in the order in which they are asked."""
    listed = _named(await _asked(session, f"{base_url}/models"), "data", model)
    for key in _IN_LIST:
        yield listed.get(key)
    root = base_url.removesuffix("/v1")
    match await _asked(session, f"{root}/props"):  # llama.cpp
        case {"default_generation_settings": {"n_ctx": told}} | {"n_ctx": told}:
            yield told
    studio = _named(await _asked(session, f"{root}/api/v0/models"), "data", model)
    yield studio.get("loaded_context_length")
    if studio.get("state") == "loaded":
        yield studio.get("max_context_length")
    async for told in _told_by_ollama(session, root, model):
        yield told


async def _told_by_ollama(
    session: aiohttp.ClientSession, root: str, model: str
) -> AsyncIterator[object]:
    loaded = _named(await _asked(session, f"{root}/api/ps"), "models", model)
    yield loaded.get("context_length")
    match await _asked(session, f"{root}/api/show", {"model": model}):
        case {"model_info": dict(info), **rest}:
            if named := _NUM_CTX.search(str(rest.get("parameters"))):
                yield int(named[1])
            trained = [info[key] for key in info if str(key).endswith(".context_length")]
            for told in trained:
                yield min(told, OLLAMA_DEFAULT) if type(told) is int else None


def _named(answer: object, key: str, model: str) -> dict[str, object]:
    """The entry of `model` in a list of models; empty where there is none."""
    listed = answer.get(key) if isinstance(answer, dict) else None
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and model in {each.get("id"), each.get("model")}:
            return each
    return {}


async def _asked(
    session: aiohttp.ClientSession, url: str, body: dict[str, str] | None = None
) -> object:
    """The JSON that a route answers with; None where there is none."""
    method = "GET" if body is None else "POST"
    try:
        async with session.request(method, url, json=body, allow_redirects=False) as response:
            if response.status != 200:
                return None
            raw = bytearray()
            async for part in response.content.iter_any():
                raw += part
                if len(raw) > _ANSWER_BYTES:
                    return None
            answer: object = json.loads(raw)
            return answer
    except (aiohttp.ClientError, OSError, ValueError, RecursionError):
        return None
