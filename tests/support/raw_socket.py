"""A websocket as bytes: what no client library sends.

Blocking sockets, for threads: a flood is a thread that writes what it was given as fast as it goes.
"""

import base64
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from tests.support.client import Data, Frame, Identity, new_id

TEXT: Final = 1
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

SECONDS: Final = 20.0
"""Of patience with a server that does not answer."""


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """A client's frame, masked with zeros (RFC 6455, 5.2); at most 65,535 bytes."""
    first = opcode | (0x80 if final else 0)
    if len(payload) < 126:
        head = bytes((first, 0x80 | len(payload)))
    else:
        head = bytes((first, 0x80 | 126)) + struct.pack(">H", len(payload))
    return head + b"\0\0\0\0" + payload


def dial(url: str) -> socket.socket:
    """A connection to `http://host:port`."""
    host, _, port = url.removeprefix("http://").partition(":")
    line = socket.create_connection((host, int(port)), timeout=SECONDS)
    line.settimeout(SECONDS)
    return line


def upgrade(url: str) -> socket.socket:
    """A websocket to the server at `url`, nothing of it read but the answer to the handshake."""
    line = dial(url)
    key = base64.b64encode(os.urandom(16)).decode()
    line.sendall(
        (
            f"GET /ws HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        # One byte at a time: what follows is the frames'.
        answer += line.recv(1) or _gone()
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return line


def sign_in(url: str) -> socket.socket:
    """A websocket of somebody new who is signed in, everything read up to `init`."""
    line, me = upgrade(url), Identity()
    read_frame(line)  # hello
    challenge = asked(line, "connect", public_key=me.public_key)
    asked(line, "authenticate", signature=me.sign(challenge["statement"]))
    return line


def request(type_: str, **data: object) -> bytes:
    """The frame of a request."""
    return frame(TEXT, json.dumps({"type": type_, "id": new_id(), "data": data}).encode())


def asked(line: socket.socket, type_: str, **data: object) -> Data:
    """The data of the reply to a request, where nothing else is under way."""
    line.sendall(request(type_, **data))
    while True:
        opcode, payload = read_frame(line)
        reply: Frame = json.loads(payload) if opcode == TEXT else {"re": None}
        if reply["re"] is not None:
            assert reply["type"] != "error", reply
            return dict(reply["data"])


def read_frame(line: socket.socket) -> tuple[int, bytes]:
    """(opcode, payload) of the next frame of a server. Raises ConnectionError at the end."""
    first, size = _exactly(line, 2)
    if size == 126:
        (size,) = struct.unpack(">H", _exactly(line, 2))
    elif size == 127:
        (size,) = struct.unpack(">Q", _exactly(line, 8))
    return first & 0x0F, _exactly(line, size)


def close_code(line: socket.socket) -> int:
    """Read until the server closes; gives its code."""
    while True:
        opcode, payload = read_frame(line)
        if opcode == CLOSE:
            return int.from_bytes(payload[:2], "big")


def _exactly(line: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        read += line.recv(size - len(read)) or _gone()
    return read


def _gone() -> bytes:
    raise ConnectionError("the server ended the connection")


@contextmanager
def flooding(
    opened: Callable[[], socket.socket], opening: bytes, wave: bytes, sockets: int
) -> Iterator[None]:
    """So many sockets write `wave` again and again, from the start of the block to its end.

    One that is closed is opened again; `opening` is what it sends first. Answers are read and
    dropped, so that nothing but the server slows it.
    """
    over = threading.Event()
    threads = [
        threading.Thread(target=_flood, args=(opened, opening, wave, over), daemon=True)
        for _ in range(sockets)
    ]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in threads:
            each.join()


def _flood(
    opened: Callable[[], socket.socket], opening: bytes, wave: bytes, over: threading.Event
) -> None:
    while not over.is_set():
        with suppress(OSError), opened() as line:
            reader = threading.Thread(target=_drop_all, args=(line,), daemon=True)
            reader.start()
            line.settimeout(0.5)  # so that a server that takes nothing more keeps no thread
            with suppress(OSError):
                line.sendall(opening)
                while not over.is_set():
                    _send(line, wave, over)
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            reader.join()


def _send(line: socket.socket, wave: bytes, over: threading.Event) -> None:
    rest = memoryview(wave)
    while rest and not over.is_set():
        with suppress(TimeoutError):
            rest = rest[line.send(rest) :]


def _drop_all(line: socket.socket) -> None:
    with suppress(OSError):
        while True:
            try:
                if not line.recv(65_536):
                    return
            except TimeoutError:
                continue
