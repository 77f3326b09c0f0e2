"""The same bytes through a raw relay on aiohttp and uvloop: `streaming_relay_server`.

    own       each websocket with an upstream stream of its own
    shared    one upstream stream for all sockets

It is the least that a server can do that stands between a model and websockets; what it passes on
is the endpoint's own JSON, one frame for each token, about as long as a token's share of our frame.
"""

import asyncio
import sys

import aiohttp
import uvloop

from benchmarks.contestants.streaming_work import CROWD, RUNS, measure, process, upstream
from benchmarks.followers import open_line


async def relay(way: str) -> None:
    """One round."""
    module = "benchmarks.contestants.streaming_relay_server"
    async with upstream() as source, process([sys.executable, "-m", module, source.url]) as server:
        count = RUNS if way == "own" else CROWD
        lines = [await open_line(server.port, f"/{way}") for _ in range(count)]
        if way == "shared":
            async with (
                aiohttp.ClientSession() as control,
                control.post(f"{server.url}/open"),
            ):
                pass
        streams = RUNS if way == "own" else 1
        await measure(server, source, lines, streams=streams, carries=bool)
        for line in lines:
            line.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(relay(sys.argv[1]))
