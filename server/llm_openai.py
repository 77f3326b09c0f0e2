"""The language model adapter: Chat Completions through the `openai` SDK.

Serves OpenAI, any compatible endpoint, and the offline responder, which is a transport under the
same client. Importing `openai` takes 0.6 s of CPU, and a client reads certificates from disk: import
this module and call `open_client` in a worker thread, as `server.llm_choice` does.

Requests go through `client.post(..., stream_cls=AsyncStream[object])`: the SDK's auth, errors and
event stream without building its chunk models, a third of the CPU of each token. Chunks are
therefore untrusted JSON, and `server.llm_reply` reads them as such.
"""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final, assert_never
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream

from machines.answers import is_structured, read_answer, schema_for
from machines.models.effects import AICall
from machines.models.errors import AIError, NetworkError
from server import llm_errors
from server.llm import AttemptFailed, Bounds, ModelAnswer, OnText
from server.llm_reply import Reply

_log = logging.getLogger(__name__)

NO_KEY: Final = "none"
"""Sent as the key where none is configured: the SDK insists on one, local servers ignore it."""

_KEEP_ALIVE_SECONDS: Final = 90.0
_CONNECT_SECONDS: Final = 10.0
_MAX_CONNECTIONS: Final = 256
_AFTER_FINISH_SECONDS: Final = 2.0
"""How long the usage may follow the last word before the answer is taken without it."""


class JsonMode(Enum):
    """How an endpoint is asked for JSON, best first."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    PROMPT = "prompt"
    """By the instruction alone, which describes the object in every mode."""

    @property
    def next(self) -> "JsonMode":
        """What to try where the endpoint does not know this one."""
        return JsonMode.OBJECT if self is JsonMode.SCHEMA else JsonMode.PROMPT


@dataclass(frozen=True)
class Dialect:
    """What an endpoint was found to understand; learned by its refusals."""

    json_mode: JsonMode = JsonMode.SCHEMA
    usage: bool = True
    """Whether it takes `stream_options`."""

    def after(self, refusal: Exception, *, structured: bool) -> "Dialect | None":
        """The dialect to try after `refusal`; None where it is about something else.

        Only a 400 that names the parameter counts.
        """
        if (
            structured
            and self.json_mode is not JsonMode.PROMPT
            and llm_errors.names_parameter(refusal, "response_format")
        ):
            return replace(self, json_mode=self.json_mode.next)
        if self.usage and llm_errors.names_parameter(refusal, "stream_options"):
            return replace(self, usage=False)
        return None


class OpenAIModel:
    """One model of one endpoint; a `LanguageModel`."""

    def __init__(
        self,
        client: AsyncOpenAI,
        model: str,
        *,
        clock: Callable[[], datetime],
        bounds: Bounds,
        offline: bool = False,
    ) -> None:
        """`client` comes from `open_client` and is closed with the model; `clock` gives UTC."""
        self.name = model
        self.offline = offline
        self._client = client
        self._clock = clock
        self._bounds = bounds
        self._dialect = Dialect()

    async def answer(self, call: AICall, on_text: OnText) -> ModelAnswer:
        """See `LanguageModel.answer`."""
        reply = Reply(call.step, on_text, self._bounds.characters)
        try:
            await self._ask(call, reply)
            checked = read_answer(call, reply.answer())
        except (AIError, NetworkError) as error:
            raise _failed(call, error, reply) from error
        except Exception as error:
            # Of any kind: a run that never heard of its attempt's end would wait for ever.
            if not isinstance(error, llm_errors.FOREIGN_ERRORS):
                _log.exception("an attempt failed in a way that is not known")
            mapped = llm_errors.from_exception(error, self._clock())
            raise _failed(call, mapped, reply) from error
        return ModelAnswer(
            text=checked.text,
            output=checked.output,
            usage=reply.usage,
            model=reply.model or self.name,
            dropped=checked.dropped,
        )

    async def close(self) -> None:
        """See `LanguageModel.close`."""
        await self._client.close()

    async def _ask(self, call: AICall, reply: Reply) -> None:
        """Stream the answer into `reply`, in the best dialect that the endpoint understands.

        A refused dialect cost no generation, so trying the next one is no new attempt. Ends:
        every turn of the loop gives something up, and there is little to give up.
        """
        structured = is_structured(call.step)
        dialect = self._dialect
        while True:
            try:
                await self._stream(_body(call, self.name, dialect), reply)
            except openai.BadRequestError as refusal:
                simpler = dialect.after(refusal, structured=structured)
                if simpler is None:
                    raise
                _log.info("%s does not know %s; using %s", self.name, dialect, simpler)
                self._dialect = dialect = simpler
            else:
                return

    async def _stream(self, body: dict[str, object], reply: Reply) -> None:
        """One request, streamed into `reply`. Raises NetworkError and `FOREIGN_ERRORS`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._bounds.total_seconds
        idle = self._bounds.idle_seconds
        try:
            async with (
                asyncio.timeout_at(min(end, loop.time() + idle)) as deadline,
                self._opened(body) as stream,
            ):
                async for chunk in stream:
                    reply.take(chunk)
                    patience = _AFTER_FINISH_SECONDS if reply.finish_reason else idle
                    deadline.reschedule(min(end, loop.time() + patience))
        except TimeoutError as silence:
            if reply.finish_reason is None:
                ended = loop.time() >= end
                limit = self._bounds.total_seconds if ended else idle
                raise llm_errors.too_slow(limit) from silence
        except llm_errors.FOREIGN_ERRORS:
            if reply.finish_reason is None:
                raise
            # The answer is complete: what broke behind it was the usage at most.

    @contextlib.asynccontextmanager
    async def _opened(self, body: dict[str, object]) -> AsyncIterator[AsyncStream[object]]:
        """The response stream. Leaving it, however, stops the endpoint's generation."""
        stream = await self._client.post(
            "/chat/completions",
            cast_to=object,
            body=body,
            stream=True,
            stream_cls=AsyncStream[object],
        )
        async with stream:
            yield stream


def _failed(call: AICall, error: AIError | NetworkError, reply: Reply) -> AttemptFailed:
    _log.warning(
        "run %s, %s, pass %d, attempt %d: %s (%s)",
        *(call.run_id, call.step, call.iteration, call.attempt, error.message, error.detail),
    )
    return AttemptFailed(error, reply.told)


def _body(call: AICall, model: str, dialect: Dialect) -> dict[str, object]:
    """The request as the endpoint gets it."""
    body: dict[str, object] = {
        "model": model,
        "messages": [message.model_dump() for message in call.messages],
        "stream": True,
    }
    if dialect.usage:
        body["stream_options"] = {"include_usage": True}
    if (schema := schema_for(call.step)) is not None:
        match dialect.json_mode:
            case JsonMode.SCHEMA:
                named = {"name": f"chorus_{call.step}", "strict": True, "schema": schema}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            case JsonMode.OBJECT:
                body["response_format"] = {"type": "json_object"}
            case JsonMode.PROMPT:
                pass
            case mode:
                assert_never(mode)
    return body


# --- Clients -------------------------------------------------------------------------------------


def open_client(
    base_url: str, api_key: str | None, *, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncOpenAI:
    """A client of `base_url`, without retries of its own; `transport` stands in for the network.

    Reads certificates from disk. A proxy of the environment is used except for this machine itself.
    """
    timeout = httpx2.Timeout(None, connect=_CONNECT_SECONDS)
    http_client = openai.DefaultAioHttpClient(
        timeout=timeout,
        limits=httpx2.Limits(
            max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_SECONDS
        ),
        trust_env=not is_loopback(base_url),
        transport=transport,
    )
    return AsyncOpenAI(
        base_url=base_url,
        api_key=api_key or NO_KEY,
        max_retries=0,
        timeout=timeout,
        http_client=http_client,
    )


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine."""
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")
