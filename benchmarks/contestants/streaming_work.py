"""The work of the streaming questions, the same for every contestant; what differs is the server.

Three processes: the upstream (`benchmarks.upstream`), the server that is measured, and this one, the
load. Every follower is there and quiet before the first token; the window in which CPU and tokens are
counted begins a second after it and ends before the last one, so that it holds nothing but
streaming. That every token came, once and in order, is checked to the end of every stream.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

from benchmarks.followers import Line, WorkNotDone, arrived, count_of
from benchmarks.measure import cpu_of, percentile, tell

RATE: Final = 50.0
"""Tokens a second of each stream."""

RUNS: Final = 200
CROWD: Final = 1_000

WARM_UP_SECONDS: Final = 1.0
WINDOW_SECONDS: Final = 5.0
TOKENS: Final = round(RATE * (WARM_UP_SECONDS + WINDOW_SECONDS + 1.0))

_QUIET_TIMES: Final = 3
_QUIET_SECONDS: Final = 0.25
_QUIET_CPU: Final = 0.025
"""A server is quiet that uses less than so much CPU in so much time, so many times in a row."""

_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Process:
    """A server in a process of its own."""

    pid: int
    url: str

    @property
    def port(self) -> int:
        """Where it listens, on this machine."""
        return int(self.url.rpartition(":")[2])


@asynccontextmanager
async def process(
    command: Sequence[str], environment: dict[str, str] | None = None
) -> AsyncIterator[Process]:
    """A server whose first line ends with its address; killed in the end."""
    child = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            line = (await child.stdout.readline()).decode()
        if "http://" not in line:
            raise WorkNotDone(f"{' '.join(command)} did not start")
        yield Process(child.pid, f"http://{line.rpartition('http://')[2].strip()}")
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@asynccontextmanager
async def upstream() -> AsyncIterator[Process]:
    """The endpoint that every contestant streams from."""
    command = [sys.executable, "-m", "benchmarks.upstream"]
    async with process([*command, "--tokens", str(TOKENS), "--rate", str(RATE)]) as started:
        yield started


async def measure(
    server: Process,
    source: Process,
    lines: Sequence[Line],
    *,
    streams: int,
    carries: Callable[[bytes], bool],
) -> None:
    """Let `streams` upstream streams go and tell what their way to `lines` cost.

    Raises:
        WorkNotDone: not every line got every token, once and in order.
    """
    async with aiohttp.ClientSession() as control:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while await _waiting(control, source) < streams:  # noqa: ASYNC110 - asks a process
                await asyncio.sleep(0.05)
        await _quiet(server.pid)
        async with control.post(f"{source.url}/begin"):
            pass
    await asyncio.sleep(WARM_UP_SECONDS)
    began, cpu_before = time.monotonic(), cpu_of(server.pid)
    await asyncio.sleep(WINDOW_SECONDS)
    ended, cpu_after = time.monotonic(), cpu_of(server.pid)
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while any(count_of(line, carries=carries) < TOKENS for line in lines):  # noqa: ASYNC110 - lines only keep
            await asyncio.sleep(0.5)
    got = arrived(lines, began, ended, carries=carries)
    due = RATE * len(lines) * (ended - began)
    if not got.tokens:
        raise WorkNotDone(f"no token came in {WINDOW_SECONDS:g} s, where {due:.0f} were due")
    tell(
        share=got.tokens / due,
        rate=got.tokens / (cpu_after - cpu_before),
        busy=(cpu_after - cpu_before) / (ended - began),
        delay=percentile(got.delays, 0.5) * 1e3,
        late=percentile(got.delays, 0.99) * 1e3,
        frames=got.frames / (ended - began),
        size=got.bytes / got.tokens,
    )


async def _waiting(control: aiohttp.ClientSession, source: Process) -> int:
    async with control.get(f"{source.url}/streams") as response:
        return int(await response.json())


async def _quiet(pid: int) -> None:
    """Wait until a server has done what the arrivals gave it to do."""
    quiet = 0
    before = cpu_of(pid)
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while quiet < _QUIET_TIMES:
            await asyncio.sleep(_QUIET_SECONDS)
            after = cpu_of(pid)
            quiet = quiet + 1 if after - before < _QUIET_CPU else 0
            before = after
