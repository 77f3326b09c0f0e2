"""An OpenAI-compatible endpoint that streams at a steady pace, for the relays.

    python -m benchmarks.upstream --tokens 400 --rate 50

It runs in a process of its own, on a free port, and prints its address as the first line. Streams that
are asked for wait until `POST /begin`; then all of them go at once, `rate` tokens a second each,
staggered so that in every millisecond it is another part of them. Every token says which one it is and
when it was sent, by the clock that all processes of a machine share, so that who receives it knows how
long it took:

    0042.123456789     the 43rd token of its stream, sent at 123.456789 s by `time.monotonic`
                       (modulo 1,000 s), and a blank

    GET  /streams      how many wait or go
    POST /begin        lets them go

A request for JSON (`response_format`) is what follows the text in a run; it is never answered.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import uvloop
from aiohttp import web

MODEL: Final = "steady"

_MODULO: Final = 1_000.0
_TOKEN: Final = re.compile(rb"(\d{4})\.(\d{9}) ")
_HEAD: Final = (
    b'data: {"id":"chatcmpl-9aBcDeFgHiJkLmNoPqRsTuVwXyZ01","object":"chat.completion.chunk",'
    b'"created":1767225600,"model":"steady","system_fingerprint":"fp_0123456789",'
    b'"choices":[{"index":0,"delta":{"content":"'
)
_TAIL: Final = b'"},"logprobs":null,"finish_reason":null}]}\n\n'
_END: Final = (
    b'data: {"id":"chatcmpl-9aBcDeFgHiJkLmNoPqRsTuVwXyZ01","object":"chat.completion.chunk",'
    b'"created":1767225600,"model":"steady","choices":[{"index":0,"delta":{},'
    b'"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


class Token(NamedTuple):
    """A token as it was received."""

    number: int
    """From 0, within its stream."""
    sent: float
    """Seconds, modulo 1,000."""


def tokens_in(frame: bytes) -> Iterator[Token]:
    """The tokens that a frame carries, in whatever JSON they stand."""
    for number, micros in _TOKEN.findall(frame):
        yield Token(int(number), int(micros) / 1e6)


def delay(token: Token, received: float) -> float:
    """Seconds from the sending of a token to `received`, a time of `time.monotonic`."""
    return (received - token.sent) % _MODULO


@dataclass(frozen=True)
class Pace:
    """What every stream is."""

    tokens: int
    rate: float
    """Tokens a second."""


class Upstream:
    """The endpoint."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._waiting: list[tuple[web.StreamResponse, asyncio.Event]] = []
        self._begin = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/v1/models", self._models),
            web.post("/v1/chat/completions", self._complete),
            web.get("/streams", self._count),
            web.post("/begin", self._let_go),
        ]

    async def run(self) -> None:
        """Stream to every waiting relay when the beginning is told."""
        await self._begin.wait()
        streams = tuple(self._waiting)
        step = 1 / (self._pace.rate * len(streams))
        began = time.monotonic()
        for turn in range(self._pace.tokens * len(streams)):
            due = began + turn * step
            while (early := due - time.monotonic()) > 0:  # noqa: ASYNC110 - waits for a time
                await asyncio.sleep(max(early, 0.001))
            response, _ = streams[turn % len(streams)]
            await response.write(_chunk(turn // len(streams)))
        for response, done in streams:
            await response.write(_END)
            done.set()

    async def _models(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"data": [{"id": MODEL}]})

    async def _count(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(len(self._waiting))

    async def _let_go(self, request: web.Request) -> web.Response:
        del request
        self._begin.set()
        return web.Response()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        done = asyncio.Event()
        if "response_format" not in asked:
            await response.prepare(request)
            self._waiting.append((response, done))
        await done.wait()
        return response


def _chunk(number: int) -> bytes:
    micros = int(time.monotonic() % _MODULO * 1e6)
    return b"%b%04d.%09d %b" % (_HEAD, number, micros, _TAIL)


async def _serve(pace: Pace) -> None:
    upstream = Upstream(pace)
    app = web.Application()
    app.add_routes(upstream.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await upstream.run()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    told = parser.parse_args()
    uvloop.run(_serve(Pace(told.tokens, told.rate)))


if __name__ == "__main__":
    main()
