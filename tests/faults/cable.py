"""A TCP relay between a client and the server, which breaks where a test wants it to.

    async with cable_to(server.url) as cable:
        cable.arm(3_000, mute=False)     # the next connection breaks after so many bytes
        ws = await http.ws_connect(cable.ws_url, headers=cable.headers, ...)

Bytes are counted in the direction of the client, so a break falls between two frames, inside one, or
into the handshake. Nothing is known here of what the bytes mean.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

CHUNK: Final = 16_384


@dataclass
class Cable:
    """What `cable_to` gives; it may be connected to again and again."""

    host: str
    port: int
    """Of the server."""
    ws_url: str = ""
    mute: bool = False
    """Whether the next connection breaks half open."""
    _break_after: int | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _muted: asyncio.Event = field(default_factory=asyncio.Event)
    """Never set: who waits for it is silent until it is cancelled."""

    @property
    def headers(self) -> dict[str, str]:
        """The Host that the server knows itself by."""
        return {"Host": f"{self.host}:{self.port}"}

    def arm(self, after: int | None, *, mute: bool = False) -> None:
        """Let the next connection break after so many bytes: on both sides, or for `mute` half
        open, so that the client is gone and the server never hears of it. None lets it live."""
        self._break_after, self.mute = after, mute

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the client."""
        left, mute = self._break_after, self.mute
        self._writers.append(writer)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.append(upstream_writer)
        pumps = [
            asyncio.create_task(self._pump(reader, upstream_writer, None)),
            asyncio.create_task(self._pump(upstream_reader, writer, left)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if mute and pumps[1].done() and pumps[1].result():
                pumps[0].cancel()
                writer.transport.abort()
                await self._muted.wait()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for each in (writer, upstream_writer):
                each.transport.abort()

    def abort(self) -> None:
        """Cut whatever is left."""
        for writer in self._writers:
            writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None
    ) -> bool:
        """Pass bytes on until the line ends; True where `left` bytes were passed on before."""
        try:
            while data := await reader.read(CHUNK if left is None else min(CHUNK, left)):
                writer.write(data)
                await writer.drain()
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        return True
        except ConnectionError:
            return False
        return False


@asynccontextmanager
async def cable_to(url: str) -> AsyncIterator[Cable]:
    """A cable to the server at `url` (`http://host:port`)."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    cable = Cable(parts.hostname, parts.port)
    tasks: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(cable.relay(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    cable.ws_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ws"
    try:
        yield cable
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        cable.abort()
