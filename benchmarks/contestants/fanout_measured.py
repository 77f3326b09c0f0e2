"""What the fan-out question measures, in the same way for every server."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from benchmarks.contestants import connections_load as load
from benchmarks.measure import cpu_of, percentile

FOLLOWERS_TIMES_ENTRIES: Final = 100_000
"""Frames in one round: enough for a CPU time that is told in steps of 10 ms."""

WARM_UP: Final = 3
"""Entries before anything counts."""

FRAME_BYTES: Final = 720
"""Of the text of one entry; a server whose entry has another size by more than `SLACK` is refused,
for then the comparison is of different things."""

SLACK: Final = 24

Ask = Callable[[int], bytes]
"""The request that makes a server send one entry to all followers; numbered, since ids are new."""


class Followers:
    """Counts the frames of an entry as they come to each line."""

    def __init__(self, lines: Sequence[load.Line]) -> None:
        self._count = len(lines)
        self._left = 0
        self._texts: set[bytes] = set()
        self._all: asyncio.Future[None] | None = None
        for line in lines:
            line.on_text = self._take

    def expect(self) -> asyncio.Future[None]:
        """Done when every line got one more frame."""
        self._left = self._count
        self._texts.clear()
        self._all = asyncio.get_running_loop().create_future()
        return self._all

    def check(self) -> None:
        """Raise unless all got the same text, of the size that is compared."""
        if len(self._texts) != 1:
            raise AssertionError(f"followers got {len(self._texts)} different texts")
        (text,) = self._texts
        if abs(len(text) - FRAME_BYTES) > SLACK:
            raise AssertionError(
                f"an entry has {len(text)} bytes, not about {FRAME_BYTES}: {text!r}"
            )

    def _take(self, payload: bytes) -> None:
        self._texts.add(payload)
        self._left -= 1
        if self._left == 0 and self._all is not None:
            self._all.set_result(None)


def measure(
    server: AbstractContextManager[load.Server],
    count: int,
    gather: Callable[[str, int], Awaitable[tuple[load.Line, list[load.Line], Ask]]],
) -> dict[str, float]:
    """Let `count` followers hear of one entry after the other.

    Args:
        gather: opens the line that asks for entries and those of the followers.
    """

    async def work() -> dict[str, float]:
        with server as running:
            asking, lines, ask = await gather(running.url, count)
            followers = Followers(lines)
            times: list[float] = []
            entries = FOLLOWERS_TIMES_ENTRIES // count
            cpu = 0.0
            for number in range(WARM_UP + entries):
                if number == WARM_UP:
                    times.clear()
                    cpu = cpu_of(running.pid)
                heard = followers.expect()
                began = time.perf_counter()
                asking.send(ask(number))
                async with asyncio.timeout(load.TIMEOUT_SECONDS):
                    await heard
                times.append(time.perf_counter() - began)
                followers.check()
            cpu = cpu_of(running.pid) - cpu
        return {
            "all": percentile(times, 0.5) * 1_000,
            "slow": percentile(times, 0.95) * 1_000,
            "rate": count / percentile(times, 0.5),
            "per_cpu": count * entries / cpu,
        }

    return load.run(work)
