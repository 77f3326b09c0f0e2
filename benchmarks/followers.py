"""The load of the streaming questions: users who follow threads, or sockets on a plain relay.

Runs in the process of the contestant, never in the one that is measured. To cost little beside it,
a follower is a bare protocol that cuts websocket frames out of what arrives and keeps them with
their times; what they say is read when all is over.
"""

import asyncio
import base64
import json
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import base58
from nacl.signing import SigningKey

from benchmarks.upstream import delay, tokens_in

TIMEOUT_SECONDS: Final = 60.0
"""Seconds until something that never comes fails the contestant."""

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


class WorkNotDone(Exception):
    """What was to be streamed did not arrive; nothing of the round counts."""


@dataclass(frozen=True, slots=True)
class Received:
    """A frame, and when it came."""

    at: float
    """By `time.monotonic`."""
    frame: bytes


class Line(asyncio.Protocol):
    """One websocket. `open_line` opens it."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        """Every text frame that came, but for those that were waited for."""
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited: dict[bytes, asyncio.Future[bytes]] = {}

    async def upgraded(self, host: str, path: str) -> None:
        """Shake hands."""
        key = base64.b64encode(os.urandom(16)).decode()
        self._write(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self._upgraded

    def send(self, text: str) -> None:
        """Send a text frame."""
        self._frame(_TEXT, text.encode())

    def awaiting(self, part: str) -> asyncio.Future[bytes]:
        """The next frame that holds `part`; it is not kept. Ask before it can have come."""
        awaited: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._awaited[part.encode()] = awaited
        return awaited

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()

    # As a protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost = True

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        data = self._buffer + data
        if not self._upgraded.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self._upgraded.set_exception(WorkNotDone(head.decode(errors="replace")))
                return
            self._upgraded.set_result(None)
        begin, size = 0, len(data)
        # Server frames are not masked and, of those who are asked here, never in fragments.
        while size - begin >= 2:
            length, head_size = data[begin + 1], 2
            if length == 126:
                length, head_size = int.from_bytes(data[begin + 2 : begin + 4], "big"), 4
            elif length == 127:
                length, head_size = int.from_bytes(data[begin + 2 : begin + 10], "big"), 10
            end_of_frame = begin + head_size + length
            if size < end_of_frame:
                break
            self._take(data[begin] & 0xF, data[begin + head_size : end_of_frame], at)
            begin = end_of_frame
        self._buffer = data[begin:]

    def _take(self, opcode: int, payload: bytes, at: float) -> None:
        if opcode == _PING:
            self._frame(_PONG, payload)
        elif opcode == _TEXT:
            if self._awaited:
                for part, awaited in self._awaited.items():
                    if part in payload and not awaited.done():
                        awaited.set_result(payload)
                        del self._awaited[part]
                        return
            self.received.append(Received(at, payload))

    def _frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        length = (
            bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + size.to_bytes(2, "big")
        )
        # The key of four zeros masks nothing, and is as good as any to a test.
        self._write(bytes((0x80 | opcode,)) + length + bytes(4) + payload)

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)


async def open_line(port: int, path: str) -> Line:
    """A websocket to a server of this machine."""
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(Line, "127.0.0.1", port)
    await line.upgraded(f"127.0.0.1:{port}", path)
    return line


# --- Users of Chorus -----------------------------------------------------------------------------


class Person:
    """A user with a key, on one connection to `chorus serve`."""

    def __init__(self, line: Line) -> None:
        self.line = line

    @classmethod
    async def come(cls, port: int) -> "Person":
        """Connect and sign in."""
        person = cls(await open_line(port, "/ws"))
        key = SigningKey.generate()
        public_key = base58.b58encode(bytes(key.verify_key)).decode()
        challenge = await person.ask("connect", public_key=public_key)
        signature = key.sign(challenge["statement"].encode()).signature
        await person.ask("authenticate", signature=base58.b58encode(signature).decode())
        return person

    async def ask(self, type_: str, **data: object) -> dict[str, Any]:
        """The data of the reply. Raises WorkNotDone where it is an error."""
        request_id = str(uuid.uuid4())
        reply = self.line.awaiting(f'"re":"{request_id}"')
        self.line.send(json.dumps({"type": type_, "id": request_id, "data": data}))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            frame = json.loads(await reply)
        if frame["type"] == "error":
            raise WorkNotDone(f"{type_}: {frame['data']}")
        return dict(frame["data"])

    async def open_thread(self, visibility: str = "private") -> str:
        """A thread of this person, followed."""
        accepted = await self.ask("create_thread", name="Streaming", visibility=visibility)
        await self.follow(accepted["thread_id"])
        return str(accepted["thread_id"])

    async def follow(self, thread_id: str) -> None:
        """From here on the frames of the thread come."""
        await self.ask("get_thread", thread_id=thread_id)

    async def prompt(self, thread_id: str) -> None:
        """Begin a run."""
        await self.ask("submit_prompt", thread_id=thread_id, prompt="Tell me of steady streams.")


# --- What arrived --------------------------------------------------------------------------------


@dataclass(slots=True)
class Arrived:
    """What followers got between two moments."""

    tokens: int = 0
    frames: int = 0
    bytes: int = 0
    """Of the frames' texts."""
    delays: list[float] = field(default_factory=list)
    """Seconds from the upstream's sending to the receipt, one for each token."""


def arrived(
    lines: Sequence[Line], began: float, ended: float, *, carries: Callable[[bytes], bool]
) -> Arrived:
    """Read what came between two times of `time.monotonic`; frames that do not carry are skipped.

    Raises:
        WorkNotDone: a token is missing, came twice or in another order, or a line was lost.
    """
    found = Arrived()
    for line in lines:
        due = 0
        for each in line.received:
            if not carries(each.frame):
                continue
            counted = began <= each.at < ended
            for token in tokens_in(each.frame):
                if token.number != due:
                    raise WorkNotDone(f"token {token.number} came where {due} was due")
                due += 1
                if counted:
                    found.tokens += 1
                    found.delays.append(delay(token, each.at))
            if counted:
                found.frames += 1
                found.bytes += len(each.frame)
        if line.lost:
            raise WorkNotDone(f"a line was lost after {due} tokens")
    return found


def count_of(line: Line, *, carries: Callable[[bytes], bool]) -> int:
    """How many tokens a line got in all."""
    return sum(
        sum(1 for _ in tokens_in(each.frame)) for each in line.received if carries(each.frame)
    )
