"""The language model adapter: Chat Completions through the `openai` SDK.

Serves OpenAI and any compatible endpoint. Importing `openai` takes 0.6 s of CPU, and a client reads
certificates from disk: import this module and call `open_client` in a worker thread, as
`server.llm.choice` does.

Requests go through `client.post(..., stream_cls=AsyncStream[object])`: the SDK's auth and errors. Of
the stream that it gives only the response is used: to read events costs the SDK 11 us of CPU for
each token, and us 3. Its bytes become payloads in `server.llm.sse`, and those, which are untrusted
JSON, an answer in `server.llm.reply`.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream
from pydantic_core import from_json

from machines.models.chorus import StepCompleted
from machines.models.effects import AICall, attempt_of
from machines.models.errors import AIError, NetworkError
from machines.prompting.answers import is_structured
from server.addresses import is_loopback
from server.llm import errors as llm_errors
from server.llm.capabilities import Capabilities, Served, body_of
from server.llm.dialects import failure_in
from server.llm.port import AnswerFailed, Bounds, OnText, unheard
from server.llm.reading import read_whole_answer
from server.llm.reply import StreamedAnswer
from server.llm.sse import EventReader

_log = logging.getLogger(__name__)

NO_KEY: Final = "none"
"""Sent as the key where none is configured: the SDK insists on one, local servers ignore it."""

_KEEP_ALIVE_SECONDS: Final = 90.0
_CONNECT_SECONDS: Final = 10.0
_MAX_CONNECTIONS: Final = 256
_AFTER_FINISH_SECONDS: Final = 2.0
"""How long the usage may follow the last word before the answer is taken without it."""

_DONE: Final = b"[DONE]"
_DRAIN_SECONDS: Final = 0.1
"""How long the end of the response may follow the end of the stream."""


@dataclass(frozen=True)
class Habits:
    """How an endpoint was found to answer; learned from its answers."""

    thinks: bool = False
    """Whether the model thinks before it answers."""
    thinks_first: bool = False
    """Whether texts begin inside the model's thoughts."""
    ends_unnamed: bool = False
    """Whether answers end without a reason: one that broke off looks the same, so such an end is
    believed from the second on, and never of an endpoint that named a reason once."""
    names_endings: bool = False
    names_wrong_endings: bool = False
    """Whether text was found to follow an ending."""
    hangs_up: bool = False
    """Whether a request was left without an answer: llama.cpp's server announces keep-alive and
    closes the connection behind a streamed answer. Each further request has one of its own."""

    def after(self, reply: StreamedAnswer) -> "Habits":
        """The habits known once `reply` has ended."""
        names = self.names_endings or reply.names_its_end
        return replace(
            self,
            thinks=self.thinks or reply.thinks,
            thinks_first=self.thinks_first or reply.has_untagged_thoughts,
            ends_unnamed=not names and (self.ends_unnamed or reply.ends_unnamed),
            names_endings=names,
            names_wrong_endings=self.names_wrong_endings or reply.names_wrong_endings,
        )


class OpenAIModel:
    """One model of one endpoint; a `LanguageModel`."""

    offline = False

    def __init__(
        self,
        client: AsyncOpenAI,
        model: str,
        *,
        clock: Callable[[], datetime],
        bounds: Bounds,
    ) -> None:
        """`client` comes from `open_client` and is closed with the model; `clock` gives UTC."""
        self.name = model
        self._client = client
        self._clock = clock
        self._bounds = bounds
        self._capabilities = Capabilities()
        self._served = Served()
        self._habits = Habits()

    async def answer(
        self, call: AICall, on_text: OnText, on_thought: OnText = unheard
    ) -> StepCompleted:
        """See `LanguageModel.answer`."""
        reply = StreamedAnswer(
            call.step,
            on_text,
            self._bounds.characters,
            on_thought=on_thought,
            citable=frozenset(each.label for each in call.priors),
            doubts_endings=self._habits.names_wrong_endings,
            trusts_done=self._habits.ends_unnamed,
            thinks_first=self._habits.thinks_first,
        )
        try:
            await self._ask(call, reply)
            checked = await read_whole_answer(call, reply.answer())
        except (AIError, NetworkError) as error:
            raise _failed(call, error, reply) from error
        except Exception as error:
            # Of any kind: a run that never heard of its attempt's end would wait for ever.
            if not isinstance(error, llm_errors.FOREIGN_ERRORS):
                _log.exception("an attempt failed in a way that is not known")
            mapped = llm_errors.from_exception(error, self._clock())
            raise _failed(call, mapped, reply) from error
        finally:
            self._habits = self._habits.after(reply)
        if checked.dropped:
            _log.info("the model invented %d labels; they were dropped", len(checked.dropped))
        return StepCompleted(
            **attempt_of(call, self._clock()),
            text=checked.text,
            output=checked.output,
            usage=reply.usage,
            model=reply.model or self.name,
            cut=reply.is_cut,
        )

    async def close(self) -> None:
        """See `LanguageModel.close`."""
        await self._client.close()

    async def _ask(self, call: AICall, reply: StreamedAnswer) -> None:
        """Stream the answer into `reply`, asked for in the best form that the endpoint serves.

        A refused request cost no generation, so trying another form is no new attempt. Ends: every
        named part is given up once, and there are few forms besides.
        """
        structured = is_structured(call.step)
        known = form = self._capabilities
        simpler: Iterator[Capabilities] | None = None
        first: openai.APIError | None = None
        while True:
            try:
                body = body_of(call, self.name, form, thinks=self._habits.thinks)
                await self._stream(body, reply)
            except openai.APIError as error:
                refusal = llm_errors.refusal_of(error)
                if refusal is None or reply.has_begun or not refusal.may_be_about_the_form:
                    raise
                first = first or error
                without = known.without_named(refusal, structured=structured)
                if without is not None:
                    known, form, simpler = without, without, None
                    continue
                if simpler is None:
                    passes = not refusal.is_lasting and call.attempt == 1
                    if refusal.is_about_another_matter or passes:
                        raise
                    simpler = known.simpler(self._served, structured=structured)
                following = next(simpler, None)
                if following is None:
                    raise first from None
                form = following
            else:
                self._learn(form, structured=structured)
                return

    def _learn(self, form: Capabilities, *, structured: bool) -> None:
        """A request of this form was served."""
        self._served = self._served.also(form, structured=structured)
        known = self._capabilities.also_without(form)
        if known != self._capabilities:
            self._capabilities = known
            _log.warning("%s does not serve all requests; from now on: %s", self.name, known)

    async def _stream(self, body: dict[str, object], reply: StreamedAnswer) -> None:
        """One request, streamed into `reply`. Raises NetworkError, AIError and `FOREIGN_ERRORS`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._bounds.total_seconds
        idle = self._bounds.idle_seconds
        try:
            async with asyncio.timeout_at(end) as deadline:
                with _Silence(deadline, idle) as silence:
                    async with self._opened(body) as response:
                        await _read(response, reply, silence)
        except TimeoutError as late:
            if not reply.is_over:
                limit = self._bounds.total_seconds if loop.time() >= end else idle
                raise llm_errors.too_slow(limit) from late
        except httpx2.RequestError as cut:
            if not reply.is_over:
                raise llm_errors.unreachable(type(cut).__name__) from cut
        except openai.OpenAIError:
            raise  # an endpoint that says that it failed is believed, whatever it said before
        except llm_errors.FOREIGN_ERRORS:
            if not reply.is_over:
                raise
            # The answer is complete: what broke behind it was the usage at most.

    @contextlib.asynccontextmanager
    async def _opened(self, body: dict[str, object]) -> AsyncIterator[httpx2.Response]:
        """The streaming response. Leaving it, however, stops the endpoint's generation."""
        try:
            stream = await self._client.post(
                "/chat/completions",
                cast_to=object,
                body=body,
                options={"headers": {"Connection": "close"}} if self._habits.hangs_up else {},
                stream=True,
                stream_cls=AsyncStream[object],
            )
        except openai.APIConnectionError as error:
            if llm_errors.is_hang_up(error):
                self._habits = replace(self._habits, hangs_up=True)
            raise
        async with stream:
            yield stream.response


async def _read(response: httpx2.Response, reply: StreamedAnswer, silence: "_Silence") -> None:
    """Read a response to its end."""
    events, request = EventReader(), response.request
    async with contextlib.aclosing(_bytes_of(response)) as stream:
        async for data in stream:
            silence.is_broken()
            for payload in events.feed(data):
                was_over = reply.is_over
                if take_payload(payload, reply, request):
                    silence.end_in(_DRAIN_SECONDS)
                    # A connection whose response was read to its end serves the next request.
                    async for _ in stream:
                        pass
                    return
                if reply.is_over:
                    silence.end_in(_AFTER_FINISH_SECONDS)
                elif was_over:
                    silence.resume()
    for payload in events.end():
        take_payload(payload, reply, request)
    if _has_framing(response):
        reply.close()


def _has_framing(response: httpx2.Response) -> bool:
    """Whether the end of the body is told apart from the end of the connection (RFC 9112, 6.3)."""
    return "content-length" in response.headers or "transfer-encoding" in response.headers


def take_payload(payload: bytes, reply: StreamedAnswer, request: httpx2.Request) -> bool:
    """Read one payload; whether it says that nothing follows."""
    if payload.startswith(_DONE):
        reply.is_done = True
        return True
    if not payload.startswith(b":"):  # a comment, wrapped by some proxy
        try:
            chunk = _chunk(payload, request)
        except ValueError:
            if b"\n" not in payload:
                raise
            # Some end an event with one line feed only, so several come as the lines of one.
            return any(take_payload(line, reply, request) for line in payload.split(b"\n") if line)
        reply.take(chunk)
    return False


def _bytes_of(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """The body as it comes, decompressed where it has to be."""
    if "content-encoding" not in response.headers and isinstance(
        response.stream, httpx2.AsyncByteStream
    ):
        # `aiter_bytes` is three more generators on the way of each token, and does nothing else.
        stream = aiter(response.stream)
        if isinstance(stream, AsyncGenerator):
            return stream
    return response.aiter_bytes()


def _chunk(payload: bytes, request: httpx2.Request) -> object:
    """The JSON of a payload. Raises ValueError where it is none, APIError where it is an error."""
    try:
        chunk = from_json(payload)
    except ValueError:
        # Half a surrogate pair is JSON, though no Unicode; the quick parser refuses it.
        chunk = json.loads(payload.decode())
    if isinstance(chunk, dict) and (failure := failure_in(chunk)):
        raise openai.APIError("an error came in the stream", request, body=failure)
    return chunk


class _Silence:
    """Ends an answer that falls silent.

    A timer of its own for each token would be a third of all that a token costs: it notes the time,
    and one timer looks now and then how long ago that was.
    """

    def __init__(self, deadline: asyncio.Timeout, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._end = deadline.when()
        self._seconds = seconds
        self._broken_at = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._look)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def is_broken(self) -> None:
        """Something came."""
        self._broken_at = self._loop.time()

    def end_in(self, seconds: float) -> None:
        """Nothing that matters can come any more: wait so long at most, whatever comes."""
        self._timer.cancel()
        limit = self._loop.time() + seconds
        if self._deadline.expired():
            return
        self._deadline.reschedule(min(limit, self._deadline.when() or limit))

    def resume(self) -> None:
        """Text follows what looked like the end: wait again as before."""
        self._timer.cancel()
        self.is_broken()
        if not self._deadline.expired():
            self._timer = self._loop.call_later(self._seconds, self._look)
            self._deadline.reschedule(self._end)

    def _look(self) -> None:
        due = self._broken_at + self._seconds
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
        elif not self._deadline.expired():
            self._deadline.reschedule(due)


def _failed(call: AICall, error: AIError | NetworkError, reply: StreamedAnswer) -> AnswerFailed:
    _log.warning(
        "run %s, %s, pass %d, attempt %d: %s (%s)",
        *(call.run_id, call.step, call.iteration, call.attempt, error.message, error.detail),
    )
    reply.tell_rest()
    return AnswerFailed(error, reply.told)


# --- Clients -------------------------------------------------------------------------------------


def open_client(base_url: str, api_key: str | None) -> AsyncOpenAI:
    """A client of `base_url`, without retries of its own.

    Reads certificates from disk: the system's, or those that SSL_CERT_FILE names. A proxy of the
    environment is used except for this machine itself.
    """
    timeout = httpx2.Timeout(None, connect=_CONNECT_SECONDS)
    http_client = openai.DefaultAioHttpClient(
        timeout=timeout,
        limits=httpx2.Limits(
            max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_SECONDS
        ),
        verify=httpx2.create_ssl_context(),
        trust_env=not is_loopback(base_url),
    )
    return AsyncOpenAI(
        base_url=base_url,
        api_key=api_key or NO_KEY,
        max_retries=0,
        timeout=timeout,
        http_client=http_client,
    )
