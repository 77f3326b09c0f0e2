"""The load of the connections and fan-out questions: many websockets in one cheap process.

Made of plain protocols with a hand-written handshake, so that the client costs a fraction of what
any server does. The same client drives every contestant: it dials, answers `hello` with `connect`,
signs the challenge (keys are made beforehand), and is signed in when `init` comes. Servers run in a
process of their own and are told apart by their address alone.
"""

import asyncio
import base64
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import base58
from nacl.signing import SigningKey

TIMEOUT_SECONDS: Final = 120.0
"""Seconds after which something that never comes fails the contestant."""

IN_FLIGHT: Final = 100
"""Sign-ins that are under way at once."""

_MASKED: Final = 0x80
_PING: Final = 0x89
_CLOSE: Final = 0x88


@dataclass(frozen=True, slots=True)
class Person:
    """A key, and the frame that names it."""

    key: SigningKey
    public_key: str
    connect: bytes


class Line(asyncio.Protocol):
    """One websocket: writes masked text frames, and gives what comes to `on_text`."""

    __slots__ = ("_buffer", "_open", "on_text", "transport")

    def __init__(self) -> None:
        self.on_text: Callable[[bytes], None] = _ignore
        self._buffer = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        # A request must not wait for the acknowledgement of the one before it.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not self._open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                raise ConnectionError(head.decode())
            self._open = True
        start, end = 0, len(data)
        while end - start >= 2:
            size, header = data[start + 1], 2
            if size == 126:
                size, header = int.from_bytes(data[start + 2 : start + 4], "big"), 4
            elif size == 127:
                size, header = int.from_bytes(data[start + 2 : start + 10], "big"), 10
            after = start + header + size
            if after > end:
                break
            self._take(data[start], data[start + header : after])
            start = after
        self._buffer = data[start:]

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == _PING:
            self.transport.write(bytes((0x8A, _MASKED | len(payload), 0, 0, 0, 0)) + payload)
        elif kind == _CLOSE:
            raise ConnectionError(f"closed by the server: {payload!r}")
        else:
            self.on_text(payload)

    def send(self, frame: bytes) -> None:
        """Write a frame of `masked`."""
        self.transport.write(frame)

    def close(self) -> None:
        """Cut the line."""
        self.transport.abort()


def _ignore(payload: bytes) -> None:
    del payload


def masked(text: str) -> bytes:
    """A client's text frame. The mask is zero, which costs the server the same as any other."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        header = bytes((0x81, _MASKED | size))
    else:
        header = bytes((0x81, _MASKED | 126)) + size.to_bytes(2, "big")
    return header + bytes(4) + payload


def request(type_: str, id_: str, **data: object) -> bytes:
    """A request of PROTOCOL as a frame."""
    return masked(json.dumps({"type": type_, "id": id_, "data": data}))


def people(count: int) -> list[Person]:
    """So many fresh users."""
    made = []
    for _ in range(count):
        key = SigningKey.generate()
        public_key = base58.b58encode(bytes(key.verify_key)).decode()
        made.append(Person(key, public_key, request("connect", "c", public_key=public_key)))
    return made


async def dial(url: str) -> Line:
    """Open a socket and ask for a websocket on it; frames come once the server agreed."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(Line, parts.hostname or "", parts.port or 80)
    line.transport.write(_handshake(parts.netloc))
    return line


def _handshake(host: str) -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    return (
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: chorus.v1\r\n\r\n"
    ).encode()


async def sign_in(url: str, person: Person) -> Line:
    """A line on which `init` came."""
    line = await dial(url)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(payload: bytes) -> None:
        type_ = payload[: payload.find(b",")]
        if type_ == b'{"type":"hello"':
            line.send(person.connect)
        elif type_ == b'{"type":"challenge"':
            statement = json.loads(payload)["data"]["statement"]
            signature = person.key.sign(statement.encode()).signature
            line.send(request("authenticate", "a", signature=base58.b58encode(signature).decode()))
        elif type_ == b'{"type":"init"':
            done.set_result(None)
        else:
            done.set_exception(ConnectionError(payload.decode()))

    line.on_text = take
    await done
    line.on_text = _ignore
    return line


async def sign_in_all(url: str, everybody: Sequence[Person]) -> list[Line]:
    """Each on a line of their own, `IN_FLIGHT` at a time."""
    waiting = iter(everybody)
    lines: list[Line] = []

    async def in_turn() -> None:
        lines.extend([await sign_in(url, person) for person in waiting])

    async with asyncio.timeout(TIMEOUT_SECONDS):
        await asyncio.gather(*(in_turn() for _ in range(IN_FLIGHT)))
    return lines


async def ask(line: Line, frame: bytes, reply: str) -> Any:
    """Send a request, and give the data of the reply of that type."""
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def take(payload: bytes) -> None:
        message = json.loads(payload)
        if message["type"] == reply and not answered.done():
            answered.set_result(message["data"])
        elif message["type"] == "error":
            answered.set_exception(RuntimeError(payload.decode()))

    line.on_text = take
    line.send(frame)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        data = await answered
    line.on_text = _ignore
    return data


# --- Servers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens."""

    url: str
    pid: int


@contextmanager
def chorus() -> Iterator[Server]:
    """`chorus serve` on an empty data folder, without limits that are about abuse."""
    settings = {
        "CHORUS_PORT": "0",
        "CHORUS_LLM": "offline",
        "CHORUS_CONNECTIONS_PER_ADDRESS": "0",
        "CHORUS_CONNECTIONS_PER_USER": "0",
        "CHORUS_SIGN_INS_PER_MINUTE": "0",
        "CHORUS_PROMPTS_PER_MINUTE": "0",
        "CHORUS_FRAMES_PER_SECOND": "0",
        "CHORUS_READ_KIB_PER_SECOND": "0",
    }
    with tempfile.TemporaryDirectory(prefix="chorus-bench-") as folder:
        command = [str(Path(sys.executable).with_name("chorus")), "serve", "--data", folder]
        with _running(command, settings) as server:
            yield server


@contextmanager
def bare(module: str) -> Iterator[Server]:
    """The server of a contestant: `python -m module serve`, which prints its address."""
    with _running([sys.executable, "-m", module, "serve"], {}) as server:
        yield server


@contextmanager
def _running(command: list[str], settings: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen(
        command, env=os.environ | settings, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = next((word for line in process.stdout for word in line.split() if "://" in word), "")
        if not url:
            raise ConnectionError(f"{' '.join(command)} did not start")
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait(TIMEOUT_SECONDS)


def run(work: Callable[[], Awaitable[dict[str, float]]]) -> dict[str, float]:
    """Run the load on the loop that the servers use, with as many sockets as are allowed."""
    import uvloop

    allow_sockets()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_failing_loudly(work))


async def _failing_loudly(work: Callable[[], Awaitable[dict[str, float]]]) -> dict[str, float]:
    """What a protocol raises is not caught: it ends the work."""
    ended = asyncio.ensure_future(work())

    def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        ended.cancel()

    asyncio.get_running_loop().set_exception_handler(fail)
    return await ended


def allow_sockets() -> None:
    """Raise the number of open files of this process, and of those that it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
