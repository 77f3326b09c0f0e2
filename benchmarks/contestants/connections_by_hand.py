"""A sign-in by hand on bare aiohttp: what it is to mean it, plainly written.

As `connections_bare`, and beyond it what a server that means it does: the two frames of the client are
decoded, the challenge holds the person's key and a fresh nonce, libsodium checks the signature over
the statement that was sent, and a row for the person and one for the session, with its token hashed,
are durable in SQLite (WAL, `synchronous=FULL`) before `init` is sent. Those who come while a commit is
under way share the next one. Nothing else: no limits, no rights, no machine, no journal, no timers,
no list of threads, no check of what a frame's fields hold, no metrics, and no way out but the socket's;
and none of the care for speed that could be taken: it is what one writes first.

    python -m benchmarks.contestants.connections_by_hand 1000     the contestant
    python -m benchmarks.contestants.connections_by_hand serve    its server
"""

import asyncio
import hashlib
import json
import secrets
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import base58
import uvloop
from aiohttp import web
from nacl.signing import VerifyKey

from benchmarks.contestants import connections_load as load
from benchmarks.contestants.connections_bare import CHALLENGE, HELLO, INIT, prepared, serve
from benchmarks.contestants.connections_signed_in import measure
from benchmarks.measure import tell

_TABLES: Final = (
    "CREATE TABLE users (key TEXT PRIMARY KEY, id TEXT); "
    "CREATE TABLE sessions (token TEXT PRIMARY KEY, key TEXT)"
)


class Sessions:
    """Rows in a file, written on one thread: all that wait for a commit share it."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_TABLES)
        self._waiting: list[tuple[tuple[str, str], asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def begin(self, key: str) -> str:
        """The token of a new session of this person, which is durable."""
        token = secrets.token_hex(32)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((hashlib.sha256(token.encode()).hexdigest(), key), done))
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        await done
        return token

    async def _serve(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await asyncio.to_thread(self._commit, [row for row, _ in group])
            for _, done in group:
                done.set_result(None)
        self._task = None

    def _commit(self, rows: Sequence[tuple[str, str]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        users = [(key, secrets.token_hex(16)) for _, key in rows]
        self._connection.executemany("INSERT OR IGNORE INTO users VALUES (?, ?)", users)
        self._connection.executemany("INSERT INTO sessions VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")


_SESSIONS: Final = web.AppKey("sessions", Sessions)


async def handle(request: web.Request) -> web.WebSocketResponse:
    """Sign a user in, and stay until they go."""
    ws = await prepared(request)
    await ws.send_str(HELLO)
    key = (await _data(ws))["public_key"]
    challenge = json.loads(CHALLENGE)
    nonce = secrets.token_hex(16)
    statement = challenge["data"]["statement"].replace("J" * 44, key).replace("0" * 32, nonce)
    challenge["data"] |= {"statement": statement, "nonce": nonce}
    await ws.send_str(json.dumps(challenge, separators=(",", ":")))
    signature = (await _data(ws))["signature"]
    VerifyKey(base58.b58decode(key)).verify(statement.encode(), base58.b58decode(signature))
    token = await request.app[_SESSIONS].begin(key)
    await ws.send_str(INIT.replace("J" * 44, key).replace("0" * 64, token))
    async for _ in ws:
        pass
    return ws


async def _data(ws: web.WebSocketResponse) -> Any:
    return json.loads(await ws.receive_str())["data"]


def main() -> None:
    """Be the server, or measure it."""
    if sys.argv[1] != "serve":
        server = load.bare("benchmarks.contestants.connections_by_hand")
        tell(**measure(server, int(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory(prefix="chorus-bench-") as folder:
        app = web.Application()
        app[_SESSIONS] = Sessions(Path(folder) / "sessions.sqlite3")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(app, handle))


if __name__ == "__main__":
    main()
