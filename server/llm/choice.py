"""Which language model answers, and why: what the operator names, what runs here, or none.

`--llm auto` takes what the environment names (OPENAI_API_KEY, OPENAI_BASE_URL, CHORUS_MODEL), else
a model that a local Ollama or LM Studio lists, else the offline responder. Local servers are only
asked for their lists: nothing is loaded to make the choice. The SDK is imported when an endpoint's
model is opened, in a thread.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import aiohttp

from server.addresses import host_of, parts_of
from server.llm.offline import OfflineModel
from server.llm.port import Bounds, LanguageModel
from server.llm.text import is_model_name

OPENAI_URL: Final = "https://api.openai.com/v1"
OPENAI_MODEL: Final = "gpt-5.4-mini"
"""Where OPENAI_API_KEY is all that is named."""

LOCAL_SERVERS: Final = {
    "Ollama": "http://127.0.0.1:11434/v1",
    "LM Studio": "http://127.0.0.1:1234/v1",
}
"""Asked in this order, at their default ports."""

_CANNOT_TALK: Final = ("embed", "minilm", "bge-", "rerank", "whisper", "tts")
"""Parts of the names of models for embeddings and speech, which stand in the same lists."""

AUTO: Final = "auto"
OFFLINE: Final = "offline"

_LOCAL_LIST_SECONDS: Final = 1.0
_LIST_SECONDS: Final = 5.0
_LIST_BYTES: Final = 4_194_304

Probe = Callable[[str, str | None], Awaitable[tuple[str, ...]]]
"""From a base URL and a key to the ids of the models that are listed there; empty for none."""


class ModelNotChosen(ValueError):
    """What the operator asked for cannot be had; the text is one line that names the fix."""


@dataclass(frozen=True)
class Wanted:
    """What the operator says about the model; an empty string is the same as None."""

    llm: str = AUTO
    """`auto`, `offline`, or the base URL of an endpoint."""
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    model: str | None = None
    others: tuple[str, ...] = ()
    """Names of models of the same endpoint that threads may choose besides."""


@dataclass(frozen=True)
class Endpoint:
    """A model that is served somewhere."""

    base_url: str
    model: str
    api_key: str | None = field(repr=False)
    why: str


@dataclass(frozen=True)
class ModelChoice:
    """The model of this server, with what the start prints about it."""

    model: LanguageModel
    why: str
    """One sentence: why this one."""
    how_to_change: str
    """One sentence: how to have another one."""
    endpoint: Endpoint | None = None
    """Where the model is; None for the offline responder."""
    others: tuple[LanguageModel, ...] = ()
    """Models of the same endpoint that threads may choose besides."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all models that a thread may choose, this server's own first; none where it is offline."""
        return () if self.model.offline else tuple(each.name for each in (self.model, *self.others))


async def choose_model(
    wanted: Wanted,
    *,
    clock: Callable[[], datetime],
    bounds: Bounds | None = None,
    probe: Probe | None = None,
) -> ModelChoice:
    """The model that `wanted` leads to, opened; whether it answers shows when it is asked.

    `clock` gives UTC. `bounds` are the defaults and `probe` is `list_models` unless given. Raises
    ModelNotChosen.
    """
    bounds = bounds or Bounds()
    endpoint = await find_endpoint(wanted, probe or list_models)
    if endpoint is not None:
        others = [each for each in dict.fromkeys(wanted.others) if each != endpoint.model]
        opened = await asyncio.to_thread(_open_endpoint, endpoint, others, clock, bounds)
        how_to_change = (
            "Set CHORUS_MODEL for another model, --llm URL for another endpoint, or --llm offline "
            "for none; then start again."
        )
        return ModelChoice(opened[0], endpoint.why, how_to_change, endpoint, opened[1:])
    model = OfflineModel(clock)
    connect = (
        "set OPENAI_API_KEY, or OPENAI_BASE_URL and CHORUS_MODEL, or start Ollama with a model"
    )
    if _means(wanted.llm) == OFFLINE:
        why = "The offline responder, which is no language model, is asked for (--llm offline)."
        how_to_change = f"Start again without --llm offline; for a model, {connect}."
    else:
        why = (
            "No model is configured, and no local Ollama or LM Studio lists one: the offline "
            "responder answers, which is no language model."
        )
        how_to_change = f"For a model, {connect}; then start again."
    return ModelChoice(model, why, how_to_change)


async def find_endpoint(wanted: Wanted, probe: Probe) -> Endpoint | None:
    """Where the model is, by the rules above; None for the offline responder.

    Raises ModelNotChosen where a name or an address is wrong or missing.
    """
    means = _means(wanted.llm)
    if means == OFFLINE:
        return None
    if means != AUTO:
        return await _named(means, "--llm", wanted, probe)
    if wanted.base_url:
        return await _named(_address(wanted.base_url), "OPENAI_BASE_URL", wanted, probe)
    if wanted.api_key:
        return await _named(OPENAI_URL, "OPENAI_API_KEY", wanted, probe)
    return await _local(wanted.model, probe)


def _means(llm: str) -> str:
    """`auto`, `offline`, or an address."""
    meant = llm.strip() or AUTO
    return meant if meant in {AUTO, OFFLINE} else _address(meant)


def _address(url: str) -> str:
    """`url` without a slash at its end. Raises ModelNotChosen where it is no address."""
    if parts_of(url) is None:
        raise ModelNotChosen(
            f"{url[:200]!r} is no model endpoint; use auto, offline, or an address such as "
            "http://127.0.0.1:8000/v1"
        )
    return url.rstrip("/")


async def _named(base_url: str, source: str, wanted: Wanted, probe: Probe) -> Endpoint:
    """The endpoint that the operator names, with the model named or the first that it lists.

    OpenAI lists its models in no order that says anything, so there the default is ours.
    """
    names = f"{source} leads to {host_of(base_url)}"
    if wanted.model:
        why = f"{names}, and CHORUS_MODEL names {wanted.model}."
        return Endpoint(base_url, wanted.model, wanted.api_key, why)
    if host_of(base_url) == host_of(OPENAI_URL):
        why = f"{names}, and {OPENAI_MODEL} is the default there."
        return Endpoint(base_url, OPENAI_MODEL, wanted.api_key, why)
    listed = await _chat_models(base_url, wanted.api_key, probe)
    if not listed:
        raise ModelNotChosen(
            f"the endpoint at {base_url} lists no model; check that it runs and that the address "
            "is whole (most end in /v1), or set CHORUS_MODEL"
        )
    why = f"{names}, and {listed[0]} is the first model that it lists."
    return Endpoint(base_url, listed[0], wanted.api_key, why)


async def _local(model: str | None, probe: Probe) -> Endpoint | None:
    """A model that a local server lists: the one named, or its first."""
    lists = await asyncio.gather(
        *(_chat_models(base_url, None, probe) for base_url in LOCAL_SERVERS.values())
    )
    for (server, base_url), listed in zip(LOCAL_SERVERS.items(), lists, strict=True):
        if model and model in listed:
            why = f"CHORUS_MODEL names {model}, and {server} at {base_url} lists it."
            return Endpoint(base_url, model, None, why)
        if not model and listed:
            why = f"Nothing is configured, and {server} at {base_url} lists {listed[0]}."
            return Endpoint(base_url, listed[0], None, why)
    if model:
        raise ModelNotChosen(
            f"CHORUS_MODEL names {model[:200]!r}, but no local server lists it; set OPENAI_API_KEY "
            "or OPENAI_BASE_URL too, or unset CHORUS_MODEL"
        )
    return None


async def _chat_models(base_url: str, api_key: str | None, probe: Probe) -> tuple[str, ...]:
    """Listed models that can talk, as far as their names tell."""
    return tuple(
        model
        for model in await probe(base_url, api_key)
        if not any(sign in model.lower() for sign in _CANNOT_TALK)
    )


async def list_models(base_url: str, api_key: str | None = None) -> tuple[str, ...]:
    """The ids that `GET /models` lists, in its order; empty where nothing usable answers soon.

    What is long, or no printable text, is no id: it would be shown to operators and users.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    local = base_url in LOCAL_SERVERS.values()
    timeout = aiohttp.ClientTimeout(total=_LOCAL_LIST_SECONDS if local else _LIST_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{base_url}/models", allow_redirects=False) as response,
        ):
            if response.status != 200:
                return ()
            raw = bytearray()
            async for chunk in response.content.iter_any():
                raw += chunk
                if len(raw) > _LIST_BYTES:
                    return ()
            return tuple(
                each["id"] for each in json.loads(raw)["data"] if is_model_name(each["id"])
            )
    except (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError):
        return ()


def _open_endpoint(
    endpoint: Endpoint, others: list[str], clock: Callable[[], datetime], bounds: Bounds
) -> tuple[LanguageModel, ...]:
    """The endpoint's models, which share its connections."""
    from server.llm.openai import OpenAIModel, open_client  # in a thread: it imports the SDK

    client = open_client(endpoint.base_url, endpoint.api_key)
    names = (endpoint.model, *others)
    return tuple(OpenAIModel(client, name, clock=clock, bounds=bounds) for name in names)
