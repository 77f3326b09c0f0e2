"""`chorus serve` as it is, between the upstream and users who signed in and follow.

    own       200 users with a thread each, in which a run streams its Action step
    shared    one public thread with one run, followed by 1,000 users

Everything runs that always runs: the journal on disk, the memory, metrics, bounds on what waits.
Only limits against abuse are off, since all these users come from one address at once. The rest of
each run, after the Action step, is not in the window; the upstream never answers it.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from benchmarks.contestants.streaming_work import CROWD, RUNS, Process, measure, process, upstream
from benchmarks.followers import TIMEOUT_SECONDS, Person

_AT_ONCE: Final = 20
"""Users who arrive at the same time."""

_NOTHING_DUE: Final = "chorus_memory_lag_tasks 0.0"
"""In the metrics, once everything is indexed."""

UNLIMITED: Final = (
    "CHORUS_PROMPTS_PER_MINUTE",
    "CHORUS_FRAMES_PER_SECOND",
    "CHORUS_READ_KIB_PER_SECOND",
    "CHORUS_SIGN_INS_PER_MINUTE",
    "CHORUS_CONNECTIONS_PER_ADDRESS",
)


@asynccontextmanager
async def chorus(source: Process) -> AsyncIterator[Process]:
    """The server, on a fresh folder."""
    with tempfile.TemporaryDirectory(prefix="chorus-streaming-") as folder:
        command = [str(Path(sys.executable).with_name("chorus")), "serve"]
        environment = dict(os.environ) | dict.fromkeys(UNLIMITED, "0")
        environment |= {
            "OPENAI_BASE_URL": f"{source.url}/v1",
            "CHORUS_MODEL": "steady",
            "CHORUS_PORT": "0",
            "CHORUS_DATA": folder,
        }
        async with process(command, environment) as server:
            yield server


async def own() -> None:
    """One round of many runs."""
    async with upstream() as source, chorus(source) as server:
        arriving = asyncio.Semaphore(_AT_ONCE)

        async def arrive() -> Person:
            async with arriving:
                person = await Person.come(server.port)
                await person.prompt(await person.open_thread())
                return person

        people = await asyncio.gather(*(arrive() for _ in range(RUNS)))
        await _measure(server, source, people, streams=RUNS)


async def shared() -> None:
    """One round of many followers."""
    async with upstream() as source, chorus(source) as server:
        founder = await Person.come(server.port)
        thread_id = await founder.open_thread("public")
        arriving = asyncio.Semaphore(_AT_ONCE)

        async def arrive() -> Person:
            async with arriving:
                person = await Person.come(server.port)
                await person.follow(thread_id)
                return person

        people = [founder, *await asyncio.gather(*(arrive() for _ in range(CROWD - 1)))]
        await founder.prompt(thread_id)
        await _measure(server, source, people, streams=1)


async def _measure(server: Process, source: Process, people: list[Person], streams: int) -> None:
    await _indexed(server)
    lines = [person.line for person in people]
    await measure(server, source, lines, streams=streams, carries=_is_delta)
    for line in lines:
        line.close()


async def _indexed(server: Process) -> None:
    """Wait until the memory has the prompts."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            async with session.get(f"{server.url}/metrics") as response:
                if _NOTHING_DUE in (await response.text()).splitlines():
                    return
            await asyncio.sleep(0.1)


def _is_delta(frame: bytes) -> bool:
    return b'"status":"delta"' in frame


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run({"own": own, "shared": shared}[sys.argv[1]]())
