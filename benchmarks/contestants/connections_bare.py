"""The same sockets on bare aiohttp: the messages of a sign-in are exchanged, and nothing is done.

The server sends `hello`, then for the two frames that a client sends a `challenge` and an `init`:
texts that were encoded beforehand, of the lengths that Chorus sends. It decodes no frame, checks no
signature, remembers no user. What it shares with Chorus is what the transport costs: aiohttp on
uvloop, a heartbeat of 25 s, no compression, the same limit on frames and the same backlog.

    python -m benchmarks.contestants.connections_bare 1000     the contestant
    python -m benchmarks.contestants.connections_bare serve    its server
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.contestants import connections_load as load
from benchmarks.contestants.connections_signed_in import measure
from benchmarks.measure import tell

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_KEY: Final = "J" * 44
_STATEMENT: Final = (
    "127.0.0.1:40000 wants you to sign in with your Ed25519 key:\n"
    f"{_KEY}\n\nSign in to Chorus.\n\nURI: http://127.0.0.1:40000\nVersion: 1\nNonce: {'0' * 32}\n"
    "Issued At: 2026-01-01T00:00:00Z\nExpiration Time: 2026-01-01T00:01:00Z"
)
_TIME: Final = "2026-01-01T00:00:00.000000Z"
_ID: Final = "00000000-0000-4000-8000-000000000000"


def _frame(type_: str, re: str | None, data: dict[str, object]) -> str:
    return json.dumps({"type": type_, "re": re, "data": data}, separators=(",", ":"))


HELLO: Final = _frame(
    "hello",
    None,
    {
        "protocol": 1,
        "server_time": _TIME,
        "epoch": _ID,
        "limits": {
            "max_frame_bytes": 65536,
            "max_prompt_chars": 32000,
            "max_name_chars": 80,
            "prompts_per_minute": 0,
            "frames_per_second": 0,
            "read_kib_per_second": 0,
        },
        "model": {"name": "chorus-offline", "offline": True},
        "embedder": {"name": "hashed-ngrams", "semantic": False},
        "heartbeat_seconds": 25.0,
    },
)
CHALLENGE: Final = _frame(
    "challenge", "c", {"statement": _STATEMENT, "nonce": "0" * 32, "expires_at": _TIME}
)
INIT: Final = _frame(
    "init",
    "a",
    {
        "user": {"id": _ID, "public_key": _KEY, "name": None, "created_at": _TIME},
        "threads": [],
        "session": {"token": "0" * 64, "expires_at": _TIME},
        "resumed": False,
        "thread_id": None,
    },
)


async def prepared(request: web.Request) -> web.WebSocketResponse:
    """A websocket with the limits of Chorus' own."""
    ws = web.WebSocketResponse(
        protocols=("chorus.v1",), heartbeat=25.0, max_msg_size=65_537, compress=False
    )
    await ws.prepare(request)
    return ws


async def handle(request: web.Request) -> web.WebSocketResponse:
    """Say the three texts, and stay until the client goes."""
    ws = await prepared(request)
    await ws.send_str(HELLO)
    answers = iter((CHALLENGE, INIT))
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(next(answers))
    return ws


async def serve(app: web.Application, handle: Handler) -> None:
    """Print the address, and serve until the process is ended."""
    app.router.add_get("/ws", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Be the server, or measure it."""
    if sys.argv[1] == "serve":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(web.Application(), handle))
    else:
        server = load.bare("benchmarks.contestants.connections_bare")
        tell(**measure(server, int(sys.argv[1])))


if __name__ == "__main__":
    main()
