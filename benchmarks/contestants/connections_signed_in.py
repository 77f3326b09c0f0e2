"""What the connections question measures, in the same way for every server."""

import asyncio
import time
from contextlib import AbstractContextManager
from typing import Final

from benchmarks.contestants import connections_load as load
from benchmarks.measure import cpu_of, memory_of

WARM_UP: Final = 500
"""Connections that are there before anything counts; they stay, so that what is measured after them
takes fresh memory."""

SETTLE_SECONDS: Final = 1.5
"""For what a server still does after the last reply, before its memory is read."""

_KIBI: Final = 1024


def measure(server: AbstractContextManager[load.Server], count: int) -> dict[str, float]:
    """Sign in `count` users at a server, and look at it while they are idle."""

    async def work() -> dict[str, float]:
        everybody = load.people(count + WARM_UP)
        with server as running:
            lines = await load.sign_in_all(running.url, everybody[count:])
            await asyncio.sleep(SETTLE_SECONDS)
            memory, cpu = memory_of(running.pid), cpu_of(running.pid)
            wall, own = time.perf_counter(), time.process_time()
            lines += await load.sign_in_all(running.url, everybody[:count])
            wall, own = time.perf_counter() - wall, time.process_time() - own
            await asyncio.sleep(SETTLE_SECONDS)
            cpu = cpu_of(running.pid) - cpu
            memory = memory_of(running.pid) - memory
            if gone := sum(line.transport.is_closing() for line in lines):
                raise ConnectionError(f"{gone} of {len(lines)} connections did not stay")
        return {
            "rate": count / wall,
            "per_cpu": count / cpu,
            "memory": memory / count / _KIBI,
            "client": own / count * 1_000,
        }

    return load.run(work)
