"""A proxy that gives a server a path of its own, as `location /chorus/ { proxy_pass http://server/; }`.

It takes the path away from the first line of each request and passes everything else on: headers,
the Host among them, and a websocket's bytes. A request comes in one piece, as browsers send those
without a body.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 65_536


@asynccontextmanager
async def prefix_proxy(path: str, upstream_port: int, port: int) -> AsyncIterator[None]:
    """Listen on `port` of this machine for `path` (such as `/chorus`), in front of `upstream_port`."""
    first_line = re.compile(rb"^GET " + re.escape(path.encode()) + rb"/")
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        with suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", upstream_port)
            ways = [
                asyncio.create_task(_pass_on(reader, back, first_line)),
                asyncio.create_task(_pass_on(there, writer, None)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                back.close()
        writer.close()
        under_way.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in tuple(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first_line: re.Pattern[bytes] | None
) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data if first_line is None else first_line.sub(b"GET /", data))
        await writer.drain()
