"""The floor: what relays a model's stream to websockets by aiohttp, and does nothing else.

    python -m benchmarks.contestants.streaming_relay_server UPSTREAM

`/own` opens a stream for the websocket that asks, and `/shared` makes it one of those that hear the
one stream which `POST /open` opens. What arrives is cut at the blank lines between events, and the
payload of each, unread, is one text frame; to many it goes in a plain loop. No parsing, no checks,
no journal, no bound on what waits.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import uvloop
from aiohttp import web

_DATA: Final = len(b"data: ")
_BODY: Final = {
    "model": "steady",
    "messages": [{"role": "user", "content": "Tell me of steady streams."}],
    "stream": True,
}


class Relay:
    """The server."""

    def __init__(self, session: aiohttp.ClientSession, upstream: str) -> None:
        self._session = session
        self._url = f"{upstream}/v1/chat/completions"
        self._shared: set[web.WebSocketResponse] = set()
        self._broadcast: asyncio.Task[None] | None = None

    async def own(self, request: web.Request) -> web.WebSocketResponse:
        """A stream for this websocket alone."""
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        async for payload in self._events():
            await ws.send_str(payload)
        await ws.receive()
        return ws

    async def shared(self, request: web.Request) -> web.WebSocketResponse:
        """Hear the one stream."""
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        self._shared.add(ws)
        await ws.receive()
        self._shared.discard(ws)
        return ws

    async def open(self, request: web.Request) -> web.Response:
        """Open the stream that every socket gets."""
        del request
        self._broadcast = asyncio.create_task(self._tell_everybody())
        return web.Response()

    async def _tell_everybody(self) -> None:
        async for payload in self._events():
            for ws in tuple(self._shared):
                await ws.send_str(payload)

    async def _events(self) -> AsyncIterator[str]:
        async with self._session.post(self._url, json=_BODY) as response:
            rest = b""
            async for data in response.content.iter_any():
                *events, rest = (rest + data).split(b"\n\n")
                for event in events:
                    yield event[_DATA:].decode()


async def _serve(upstream: str) -> None:
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        relay = Relay(session, upstream)
        app = web.Application()
        app.add_routes(
            [
                web.get("/own", relay.own),
                web.get("/shared", relay.shared),
                web.post("/open", relay.open),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        host, port = runner.addresses[0][:2]
        print(f"http://{host}:{port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
