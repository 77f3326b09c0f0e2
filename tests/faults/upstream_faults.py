"""The catalogue: everything that a model endpoint does wrong, and its declared consequences.

`FAULTS` says of each fault which edge of the run's chart it takes, under which code, whether another
attempt is made, and what people have read by then. Runs meet them in `tests.faults.upstream`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from machines.models.breaker import BreakerPolicy
from server.llm.policy import ModelPolicy
from server.llm.port import Bounds
from tests.support.scripted_endpoint import (
    DONE,
    Script,
    ScriptedEndpoint,
    chunk,
    cuts_after,
    gives,
    hangs_up,
    line,
    never_ends,
    page,
    raw,
    refuses,
    says,
    says_json,
    stalls_after,
    writes,
)

LONGEST_WAIT_MS: Final = 30_000
HALF: Final = "HALF A THOUGHT"
"""Text of an answer that breaks: it must be in the journal, and in no prompt that follows."""

UNAVAILABLE: Final = "ai_unavailable"
REJECTED: Final = "ai_rejected"
UNUSABLE: Final = "ai_invalid_output"

NEVER_OPENS: Final = BreakerPolicy(threshold=1_000_000)
"""The catalogue is about single runs; what a breaker does of many failures is `breaking`'s."""

USUAL: Final = ModelPolicy(backoff_base_ms=20, breaker=NEVER_OPENS)
HASTY: Final = ModelPolicy(
    bounds=Bounds(idle_seconds=4.0, total_seconds=6.0), backoff_base_ms=20, breaker=NEVER_OPENS
)
"""For endpoints that are silent, or do not end. Good answers are held to it as well, so it leaves them
time on a busy machine."""


@dataclass(frozen=True)
class Fault:
    """One thing that an endpoint does wrong, and its declared consequences."""

    name: str
    does: Script
    edge: str | None = "ai_failed"
    """The event of the run's chart; None where the run must not mind."""
    code: str = UNUSABLE
    retried: bool = True
    too_long: bool = False
    """Whether the request is: it is asked once more, in half of the context."""
    partial: str = ""
    """What people have read of the attempt."""
    step: str = "action"
    wait_ms: int = 0
    """What the endpoint asks to wait: the least that a run does."""
    longest_ms: int = LONGEST_WAIT_MS
    model_policy: ModelPolicy = USUAL
    says: str = ""
    """What people must be told, in part."""


# --- Scripts that only faults need ---------------------------------------------------------------


def keeps_silent() -> Script:
    """The request is taken, and nothing follows."""

    async def script(_: ScriptedEndpoint, __: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return script


def drips(data: object, seconds: float) -> Script:
    """The same event for ever, with these pauses."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(line(data))
            await asyncio.sleep(seconds)

    return script


def moves(location: str) -> Script:
    """A redirect."""

    async def script(_: ScriptedEndpoint, __: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"location": location})

    return script


def cuts_behind(*pieces: str) -> Script:
    """All pieces and their good end; the line breaks where `[DONE]` would stand."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(line(chunk(piece)))
        await response.write(line(chunk(finish="stop")))
        assert request.transport is not None
        request.transport.close()
        return response

    return script


# --- The catalogue -------------------------------------------------------------------------------

_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
_INTENTION: Final[Mapping[str, Any]] = {
    "explicit_intent": "To know what this word tells.",
    "implicit_intent": "To be sure.",
    "confidence": 0.5,
    "selected": [],
}


def _statuses() -> Sequence[Fault]:
    """The endpoint says no: some of it passes, the rest an operator must mend."""

    def status(number: int, name: str = "", **error: str) -> Script:
        return refuses(number, {"type": name, **error} if name or error else None)

    passing = {
        408: "request timeout",
        409: "conflict",
        425: "too early",
        429: "too many requests",
        500: "internal error",
        501: "not implemented",
        502: "bad gateway",
        503: "overloaded",
        504: "gateway timeout",
        529: "overloaded, by another name",
    }
    lasting = {
        400: "bad request",
        401: "wrong key",
        402: "payment required",
        403: "forbidden",
        404: "unknown model or address",
        405: "method not allowed",
        422: "not understood",
    }
    return (
        *(
            Fault(f"{number} {why}", status(number), code=UNAVAILABLE)
            for number, why in passing.items()
        ),
        Fault(
            "429 with retry-after in seconds",
            refuses(429, headers={"retry-after": "0.4"}),
            code=UNAVAILABLE,
            wait_ms=400,
        ),
        Fault(
            "429 with retry-after-ms",
            refuses(429, headers={"retry-after-ms": "350"}),
            code=UNAVAILABLE,
            wait_ms=350,
        ),
        Fault(
            "429 with retry-after of an hour and a half",
            refuses(429, headers={"retry-after": "5400"}),
            code=UNAVAILABLE,
            retried=False,
            says="try again in 90 minutes",
        ),
        Fault(
            "503 with retry-after of some days",
            refuses(503, headers={"retry-after": "999999"}),
            code=UNAVAILABLE,
            retried=False,
            says="try again in a day or later",
        ),
        Fault(
            "503 with a retry-after that is no time",
            refuses(503, headers={"retry-after": "soon"}),
            code=UNAVAILABLE,
        ),
        *(
            Fault(f"{number} {why}", status(number), code=REJECTED, retried=False)
            for number, why in lasting.items()
        ),
        Fault(
            "429 insufficient_quota",
            status(429, code="insufficient_quota"),
            code=REJECTED,
            retried=False,
        ),
        *(
            Fault(name, does, code=REJECTED, retried=False, too_long=True)
            for name, does in {
                "400 context_length_exceeded": status(400, code="context_length_exceeded"),
                "413 too large": status(413),
                "too long, said with 200": writes(
                    line({"error": {"code": 400, "type": "exceed_context_size_error"}})
                ),
            }.items()
        ),
    )


def _answers() -> Sequence[Fault]:
    """An answer comes with status 200, and is none."""
    piece, stop = line(chunk(HALF)), line(chunk(finish="stop"))
    ends = {
        "end without finish_reason": says(HALF, finish=None),
        "clean end of file in the middle": writes(piece),
        "content filter": says(HALF, finish="content_filter"),
        "tool call in place of an answer": says(HALF, finish="tool_calls"),
        "unknown finish_reason": says(HALF, finish="bored"),
        "malformed chunk": writes(piece, line(b'{"choices": [')),
        "content that is a number": writes(piece, line(chunk(content=5)), stop, DONE),
        "error event without an error": writes(
            piece, b"event: error\n" + line({"message": "SECRET"})
        ),
    }
    nothing = {
        "HTML page with 200": page(),
        "JSON body in place of a stream": gives({"object": "chat.completion", "choices": []}),
        "no body at all": writes(),
        "empty answer": says(),
        "blank answer": says("  ", "\n"),
        "refusal": writes(line(chunk(refusal="I will not")), stop, DONE),
        "chunk that is a list": writes(line(b"[1, 2]")),
        "choices that are a number": writes(line({"choices": 5})),
        "bytes that are no UTF-8": writes(b"data: \xff\xfe\n\n"),
    }
    return (
        *(Fault(name, does, partial=HALF) for name, does in ends.items()),
        *(
            Fault(name, does, partial="  \n" if name == "blank answer" else "")
            for name, does in nothing.items()
        ),
        Fault(
            "error event in the middle",
            writes(piece, line({"error": {"message": "SECRET", "code": "server_error"}})),
            code=UNAVAILABLE,
            partial=HALF,
        ),
        Fault(
            "quota used up in the middle",
            writes(piece, line({"error": {"message": "SECRET", "code": "insufficient_quota"}})),
            code=REJECTED,
            retried=False,
            partial=HALF,
        ),
        Fault("endless stream", never_ends("again and " * 400), partial="again and "),
    )


def _structured() -> Sequence[Fault]:
    """The steps that answer in JSON."""
    invented = {**_INTENTION, "selected": [{"label": "P99", "why": "It is not there."}]}
    return (
        Fault("prose for a schema", says("I would rather talk."), step="intention"),
        Fault("wrong schema", says_json({"answer": 42}), step="observation"),
        Fault(
            "wrong types",
            says_json({**_INTENTION, "confidence": "high"}),
            step="intention",
            partial=_INTENTION["explicit_intent"],
        ),
        Fault("truncated JSON", says('{"reasoning": "' + HALF), step="update", partial=HALF),
        Fault(
            "cut off at its length",
            says('{"reasoning": "' + HALF, finish="length"),
            step="update",
            partial=HALF,
        ),
        Fault("invented ids", says_json(invented), step="intention", edge=None),
        Fault("invented citations", says("So it is [P99]."), step="yield", edge=None),
    )


def _lines() -> Sequence[Fault]:
    """The line breaks, or what is on it is no HTTP."""

    def cut(name: str, does: Script, partial: str = "") -> Fault:
        return Fault(name, does, edge="network_failed", code=UNAVAILABLE, partial=partial)

    return (
        cut("disconnect before the answer", hangs_up()),
        cut("disconnect before the first chunk", cuts_after()),
        cut("disconnect in the middle", cuts_after(HALF), HALF),
        Fault("disconnect after the last chunk", cuts_behind("Whole."), edge=None),
        cut("no HTTP", raw(b"SSH-2.0-OpenSSH_9.2\r\n")),
        cut("header without an end", raw(b"HTTP/1.1 200 OK\r\nx: ")),
        cut(
            "body shorter than its length",
            raw(_HEAD + b"content-length: 999\r\n\r\n" + line(chunk(HALF))),
            HALF,
        ),
        cut(
            "broken chunked framing",
            raw(_HEAD + b"transfer-encoding: chunked\r\n\r\n", b"zz\r\nno length\r\n"),
        ),
        cut("body that is no gzip", writes(b"this is no gzip", encoding="gzip")),
        cut("redirect to nowhere", moves("http://127.0.0.1:9/v1")),
    )


def _silence() -> Sequence[Fault]:
    """The endpoint is there, and does not go on."""

    def slow(name: str, does: Script, partial: str = "") -> Fault:
        return Fault(
            name, does, edge="network_failed", code=UNAVAILABLE, partial=partial, model_policy=HASTY
        )

    return (
        slow("silence before the answer", keeps_silent()),
        slow("silence before the first chunk", stalls_after()),
        slow("silence in the middle", stalls_after(HALF), HALF),
        slow("one token a minute", drips(chunk(HALF), 1.3), HALF),
        slow("empty chunks for ever", drips(chunk(), 0.05)),
    )


FAMILIES: Final[Mapping[str, Sequence[Fault]]] = {
    "upstream refuses": _statuses(),
    "upstream answers nonsense": (*_answers(), *_structured()),
    "upstream cuts the line": _lines(),
    "upstream is silent": _silence(),
}
FAULTS: Final[tuple[Fault, ...]] = tuple(fault for family in FAMILIES.values() for fault in family)
