"""Bare aiohttp: one string that was encoded beforehand, sent to every socket in a plain loop.

The first socket asks, by a frame of any content; the server then calls `send_str` of each of the
others, one after the other, with a text of the length of Chorus' entry. It decides nothing and keeps
nothing. aiohttp on uvloop, a heartbeat of 25 s, no compression, as in Chorus. (`gather` over all
sockets takes longer than this loop.)

    python -m benchmarks.contestants.fanout_bare 1000     the contestant
    python -m benchmarks.contestants.fanout_bare serve    its server
"""

import asyncio
import json
import sys
from typing import Final

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.contestants import connections_load as load
from benchmarks.contestants.fanout_measured import FRAME_BYTES, Ask, measure
from benchmarks.measure import tell

ENTRY: Final = json.dumps({"entry": "x" * (FRAME_BYTES - 13)})

SOCKETS: Final = web.AppKey("sockets", list[web.WebSocketResponse])


async def handle(request: web.Request) -> web.WebSocketResponse:
    """Keep the socket; whatever it says makes all others hear of an entry."""
    ws = web.WebSocketResponse(
        protocols=("chorus.v1",), heartbeat=25.0, max_msg_size=65_537, compress=False
    )
    await ws.prepare(request)
    sockets = request.app[SOCKETS]
    sockets.append(ws)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            for other in sockets:
                if other is not ws:
                    await other.send_str(ENTRY)
    return ws


async def serve() -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app[SOCKETS] = []
    app.router.add_get("/ws", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


async def gather(url: str, count: int) -> tuple[load.Line, list[load.Line], Ask]:
    """The line that asks, and those that hear."""
    asking = await load.dial(url)
    lines = [await load.dial(url) for _ in range(count)]
    await asyncio.sleep(1.0)  # for the last handshakes; one that is missing fails the count
    frame = load.masked("now")
    return asking, lines, lambda _: frame


def main() -> None:
    """Be the server, or measure it."""
    if sys.argv[1] == "serve":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    else:
        server = load.bare("benchmarks.contestants.fanout_bare")
        tell(**measure(server, int(sys.argv[1]), gather))


if __name__ == "__main__":
    main()
