"""How much of one connection is read in one turn of the event loop.

    the problem     uvloop reads up to 256 KB of a socket at once, and up to 32 times before it turns
                    to the next one. One such read holds 43,000 empty frames, or as many chunks of
                    one byte, and aiohttp parses all of them before anybody else has a turn.
    what is done    a protocol of ours stands between the transport and aiohttp's. Its buffer holds
                    `READ_BYTES`; when a read has filled it, more may be waiting, and the connection
                    rests until the loop has served the others and every message that it
                    brought was taken. aiohttp pauses and resumes the reading too, so it is given a
                    transport that keeps both wishes apart.

Bytes are counted here and not understood: what a frame is, and what too many of them cost, is for
`server.sockets.websocket`.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from aiohttp import web

READ_BYTES: Final = 2_048
"""Of one connection, in one turn of the loop."""

DISCARD_SECONDS: Final = 0.01
"""How long a connection rests whose bytes are dropped unread."""


class PacedTransport(asyncio.Transport):
    """The transport as aiohttp sees it: reading goes on when both aiohttp and the pace allow it.

    Who takes messages out of a connection says `want` before it waits for one, and `took` when it
    has one. Where nobody does, as before the upgrade to a websocket, a rest ends with the turn.
    """

    __slots__ = (
        "_discards",
        "_loop",
        "_on_excess",
        "_paused",
        "_resting",
        "_rises",
        "_unread",
        "_wanted",
        "inner",
    )

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.inner = inner
        """The transport itself; writing to it is the same, and quicker."""
        self._loop = loop
        self._unread = 0
        self._on_excess: tuple[int, Callable[[], None]] | None = None
        self._paused = False
        """Whether aiohttp wants no more for now."""
        self._resting = False
        """Whether a read was full, and nothing was read since."""
        self._rises = False
        """Whether the end of the rest is arranged."""
        self._wanted = True
        """Whether somebody waits for a message, so that there is none to take first."""
        self._discards = False

    def want(self) -> None:
        """A message is waited for: more may be read in the next turn."""
        self._wanted = True
        if self._resting and not self._rises:
            self._rises = True
            self._loop.call_soon(self._rise)

    def took(self) -> None:
        """A message came; what came with it is taken first."""
        self._wanted = False
        self._unread = 0

    def watch_excess(self, most: int, on_excess: Callable[[], None]) -> None:
        """Call this, each time, when more than so many bytes have come since a message was taken."""
        self._on_excess = (most, on_excess)

    def discard(self) -> None:
        """Drop what comes from now on, unread; the end of the line is still noticed."""
        self._discards = self._wanted = True
        self.resume_reading()

    def receive(self, size: int) -> bool:
        """So many bytes came; whether they are to be parsed."""
        if size >= READ_BYTES and self.inner.is_reading():
            self._rest()
        if self._discards:
            return False
        self._unread += size
        if self._on_excess is not None and self._unread > self._on_excess[0]:
            self._on_excess[1]()
        return True

    def _rest(self) -> None:
        self._resting = True
        self.inner.pause_reading()
        if not self._rises:
            self._rises = True
            if self._discards:
                self._loop.call_later(DISCARD_SECONDS, self._rise)
            else:
                self._loop.call_soon(self._rise)

    def _rise(self) -> None:
        self._rises = False
        if self._wanted:
            self._resting = False
            if not self._paused and not self.inner.is_closing():
                self.inner.resume_reading()

    # Reading

    def is_reading(self) -> bool:
        return not self._paused and not self.inner.is_closing()

    def pause_reading(self) -> None:
        if self._discards:
            return
        self._paused = True
        self.inner.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if not self._resting:
            self.inner.resume_reading()

    # Everything else is the transport's own

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.inner.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self.inner.is_closing()

    def close(self) -> None:
        self.inner.close()

    def abort(self) -> None:
        self.inner.abort()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.inner.write(data)

    def writelines(self, list_of_data: "Iterable[bytes | bytearray | memoryview[Any]]") -> None:
        self.inner.writelines(list_of_data)

    def write_eof(self) -> None:
        self.inner.write_eof()

    def can_write_eof(self) -> bool:
        return self.inner.can_write_eof()

    def get_write_buffer_size(self) -> int:
        return self.inner.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.inner.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.inner.set_write_buffer_limits(high, low)


class PacedProtocol(asyncio.BufferedProtocol):
    """Hands a protocol what comes, `READ_BYTES` at most in one turn of the loop.

    Args:
        inner: the protocol that parses.
        buffer: of `READ_BYTES`; many connections may share it, since it is emptied at once.
        loop: the loop that the transport runs on.
    """

    def __init__(
        self,
        inner: asyncio.Protocol,
        buffer: "memoryview[int]",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._inner = inner
        self._buffer = buffer
        self._loop = loop
        self._transport: PacedTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = PacedTransport(cast("asyncio.Transport", transport), self._loop)
        self._inner.connection_made(self._transport)

    def get_buffer(self, sizehint: int) -> "memoryview[int]":  # noqa: ARG002 - asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._transport is not None and self._transport.receive(nbytes):
            self._inner.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


class PacedSite(web.BaseSite):
    """Serves an application on a bound socket, each connection at the pace of this module."""

    def __init__(self, runner: web.BaseRunner, listening: socket.socket) -> None:
        super().__init__(runner)
        self._listening = listening

    @property
    def name(self) -> str:
        host, port = self._listening.getsockname()[:2]
        return f"http://{host}:{port}"

    async def start(self) -> None:
        """Accept connections. Raises OSError."""
        await super().start()
        loop = asyncio.get_running_loop()
        handle = self._runner.server
        if handle is None:
            raise RuntimeError("set the runner up before its site")
        buffer = memoryview(bytearray(READ_BYTES))
        self._server = await loop.create_server(
            lambda: PacedProtocol(handle(), buffer, loop),
            sock=self._listening,
            backlog=self._backlog,
        )
