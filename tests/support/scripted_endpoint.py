"""A model endpoint that answers as a test wrote down: a real HTTP server, one script per request.

A script is an async function of the request and gives the response; those that tests need are made
below. Requests are kept, and so is whether the client hung up while it was being answered.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Script = Callable[["ScriptedEndpoint", web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ScriptedEndpoint:
    """What `serve` yields. The last script answers all further requests."""

    scripts: list[Script]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests, in order."""
    headers: list[dict[str, str]] = field(default_factory=list)
    clients: set[object] = field(default_factory=set)
    """The address of each connection."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first request has come."""
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client leaves before its answer ended."""
    told: list[str] = field(default_factory=list)
    """Paths of the other routes that were asked."""
    sent: int = 0
    """Chunks that endless scripts have written."""

    def teller(self, told: object) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A route that tells `told`."""

        async def tell(request: web.Request) -> web.Response:
            self.told.append(request.path)
            return web.json_response(told)

        return tell

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        assert request.transport is not None
        self.clients.add(request.transport.get_extra_info("peername"))
        self.reached.set()
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            return await script(self, request)
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up.set()
            raise


@asynccontextmanager
async def serve(
    *scripts: Script, tells: Mapping[str, object] | None = None
) -> AsyncIterator[ScriptedEndpoint]:
    """An endpoint on a free port of this machine; `tells` is JSON by path, for other routes."""

    endpoint = ScriptedEndpoint(list(scripts))
    app = web.Application()
    for path, told in (tells or {}).items():
        app.router.add_route("*", path, endpoint.teller(told))
    app.router.add_post("/v1/{rest:.*}", endpoint.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield endpoint
    finally:
        await runner.cleanup()


# --- Chunks --------------------------------------------------------------------------------------


def chunk(text: str = "", finish: str | None = None, **delta: object) -> dict[str, Any]:
    """A chunk of a chat completion."""
    content = {"content": text} if text else {}
    return {
        "object": "chat.completion.chunk",
        "model": "scripted-1",
        "choices": [{"index": 0, "delta": {**content, **delta}, "finish_reason": finish}],
    }


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """The chunk that counts the tokens."""
    counted = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    return {"model": "scripted-1", "choices": [], "usage": counted}


def line(data: object) -> bytes:
    """A server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


DONE = line(b"[DONE]")


# --- Scripts -------------------------------------------------------------------------------------


async def _opened(request: web.Request, **headers: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream", **headers})
    await response.prepare(request)
    return response


def writes(*events: bytes, encoding: str = "identity") -> Script:
    """These bytes as an event stream that ends well, as far as HTTP knows."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = await _opened(request, **{"content-encoding": encoding})
        for event in events:
            await response.write(event)
        return response

    return script


def says(
    *pieces: str, finish: str | None = "stop", counted: dict[str, Any] | None = None
) -> Script:
    """A good answer in these pieces."""
    tail = [line(counted)] if counted else []
    return writes(
        *(line(chunk(piece)) for piece in pieces), line(chunk(finish=finish)), *tail, DONE
    )


def says_json(value: object) -> Script:
    """A good answer that is this value, in pieces of 7 characters."""
    text = json.dumps(value)
    return says(*(text[start : start + 7] for start in range(0, len(text), 7)))


def refuses(
    status: int, error: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Script:
    """An error status, with OpenAI's error body."""

    async def script(_: ScriptedEndpoint, __: web.Request) -> web.StreamResponse:
        body = {"error": {"message": "SECRET upstream text sk-123", **(error or {})}}
        return web.json_response(body, status=status, headers=headers)

    return script


def page() -> Script:
    """An HTML page with status 200, as captive portals and wrong addresses give."""

    async def script(_: ScriptedEndpoint, __: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>\n<body>Welcome</body>\n</html>", content_type="text/html")

    return script


def raw(*parts: bytes) -> Script:
    """These bytes on the line in place of a response, which then ends."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        for part in parts:
            request.transport.write(part)
        request.transport.close()
        return web.Response()

    return script


def hangs_up() -> Script:
    """The line is cut in place of an answer."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return script


def cuts_after(*pieces: str) -> Script:
    """The line breaks after these pieces, in the middle of the response."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = await _opened(request)
        for piece in pieces:
            await response.write(line(chunk(piece)))
        assert request.transport is not None
        request.transport.close()  # what was written still arrives; the end of the body never does
        return response

    return script


def stalls_after(*pieces: str, tail: Sequence[dict[str, Any]] = ()) -> Script:
    """Silence for ever after these pieces."""

    async def script(endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = await _opened(request)
        for event in [*map(chunk, pieces), *tail]:
            await response.write(line(event))
        await asyncio.Event().wait()
        return response

    return script


def never_ends(piece: str) -> Script:
    """The same piece for ever, as fast as it is read."""

    async def script(endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = await _opened(request)
        while True:
            await response.write(line(chunk(piece)))
            endpoint.sent += 1
            await asyncio.sleep(0)

    return script


def gives(value: object) -> Script:
    """A JSON body that is no stream."""

    async def script(_: ScriptedEndpoint, __: web.Request) -> web.StreamResponse:
        return web.json_response(value)

    return script
