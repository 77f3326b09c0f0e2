"""One process at a time opens the memory, or fills it; who has waited for two minutes says so."""

import asyncio
from collections.abc import Callable

import pytest

from machines.models.errors import JournalError
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.memory_lock import PATIENCE_SECONDS, alone_with_memory


class Clock:
    """Seconds that pass while somebody waits."""

    def __init__(self, on_wait: Callable[[], None] = lambda: None) -> None:
        self.now = 0.0
        self._on_wait = on_wait

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += 10.0
        self._on_wait()
        await asyncio.sleep(0)


async def test_who_waits_for_two_minutes_is_told_that_another_server_fills_the_memory(
    url: str,
) -> None:
    address, clock = PostgresAddress.parse(url), Clock()
    waiting = alone_with_memory(address, monotonic=clock.monotonic, sleep=clock.sleep)
    async with alone_with_memory(address):
        with pytest.raises(JournalError, match="opening or filling the memory") as refused:
            await waiting.__aenter__()
    assert clock.now == PATIENCE_SECONDS == 120
    assert refused.value.certain
    assert refused.value.retryable


async def test_who_waits_is_next_once_the_other_is_done(url: str) -> None:
    address, waits = PostgresAddress.parse(url), asyncio.Event()
    clock = Clock(waits.set)

    async def be_next() -> None:
        async with alone_with_memory(address, monotonic=lambda: 0.0, sleep=clock.sleep):
            pass

    async with alone_with_memory(address):
        next_one = asyncio.create_task(be_next())
        await waits.wait()
        assert not next_one.done()
    await next_one
