"""What traces cost: four servers, of which two export their runs, with the same work by turns.

    python -m benchmarks.contestants.runs_traced

`chorus serve` four times, each with a journal and a memory of its own, and a model that answers at once
with texts as long as a chat's. Those that export start second and third, and all have runs by turns, so
that neither kind has the better place or hour; the collector is in this process, and takes what it is
sent. Counted is the CPU of each server, until the last span came.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.contestants.run_cost import answer, run_some
from benchmarks.contestants.served import wait_until_idle
from benchmarks.contestants.streaming_chorus import UNLIMITED
from benchmarks.contestants.streaming_work import Process, process
from benchmarks.followers import Person, WorkNotDone
from benchmarks.measure import cpu_of, tell
from tests.support.scripted_endpoint import serve

ORDER: Final = (False, True, True, False)
"""Which of the servers export."""
USERS: Final = 4
TURNS: Final = 4
RUNS: Final = 4
"""Of each user, in a turn."""
SPANS_SECONDS: Final = 30.0
"""Within which the last spans must come."""


class Sink:
    """A collector that counts traces."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        return web.Response()

    def runs(self) -> int:
        """How many runs came whole: their root is the last of their spans."""
        return sum(
            not span.parent_span_id
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        )


@asynccontextmanager
async def sink() -> AsyncIterator[tuple[Sink, str]]:
    """A collector, and its address."""
    taken = Sink()
    app = web.Application()
    app.router.add_post("/v1/traces", taken.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield taken, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


class Side:
    """One of the servers, and its users."""

    def __init__(self, server: Process) -> None:
        self.server = server
        self.people: list[tuple[Person, str]] = []
        self._before = 0.0

    async def arrive(self) -> None:
        """Users come, and what is done once is done."""
        for _ in range(USERS):
            person = await Person.come(self.server.port)
            self.people.append((person, await person.open_thread()))
        await run_some(self.people, RUNS)

    async def settle(self) -> None:
        await asyncio.to_thread(wait_until_idle, self.server.port, self.server.pid)

    def begin(self) -> None:
        self._before = cpu_of(self.server.pid)

    def cpu(self) -> float:
        """Seconds since `begin`."""
        return cpu_of(self.server.pid) - self._before


@asynccontextmanager
async def side(folder: str, endpoint: str, **variables: str) -> AsyncIterator[Side]:
    """A server on a folder."""
    settings = {
        "CHORUS_LLM": endpoint,
        "CHORUS_MODEL": "at-once",
        "CHORUS_EMBEDDING_MODEL": "at-once",
        "CHORUS_DATA": folder,
        "CHORUS_PORT": "0",
    }
    command = [str(Path(sys.executable).with_name("chorus")), "serve"]
    environment = dict(os.environ) | dict.fromkeys(UNLIMITED, "0") | settings | variables
    async with process(command, environment) as server:
        yield Side(server)


async def main() -> None:
    """Start all of it, and tell."""
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(serve(answer))
        taken, url = await stack.enter_async_context(sink())
        sides = []
        for exports in ORDER:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url} if exports else {}
            sides.append(await stack.enter_async_context(side(folder, endpoint.url, **variables)))
        for each in sides:
            await each.arrive()
        exporting = sum(ORDER)
        await came(taken, exporting * USERS * RUNS)
        for each in sides:
            await each.settle()
        for each in sides:
            each.begin()
        for turn in range(TURNS):
            for each in sides if turn % 2 else reversed(sides):
                await run_some(each.people, RUNS)
        await came(taken, exporting * USERS * RUNS * (1 + TURNS))
        for each in sides:
            await each.settle()
        costs = [each.cpu() for each in sides]
    runs = exporting * USERS * RUNS * TURNS
    plain = sum(cost for cost, exports in zip(costs, ORDER, strict=True) if not exports)
    traced = sum(cost for cost, exports in zip(costs, ORDER, strict=True) if exports)
    tell(plain=1000 * plain / runs, traced=1000 * traced / runs, ratio=traced / plain)


async def came(taken: Sink, runs: int) -> None:
    """Wait until the collector has this many runs. Raises WorkNotDone."""
    for _ in range(int(SPANS_SECONDS / 0.5)):
        if taken.runs() == runs:
            return
        await asyncio.sleep(0.5)
    raise WorkNotDone(f"{taken.runs()} of {runs} traces came")


if __name__ == "__main__":
    asyncio.run(main())
