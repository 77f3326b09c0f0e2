"""A memory that stalls is waited for once, by everybody together, until a probe is answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from machines.models import errors
from server.memory.health import MemoryHealth

FOR_EVER = 60.0
"""Nobody here waits so long, unless something is wrong."""


class Watched:
    """The memory's health, and how often somebody was asked to probe."""

    def __init__(self) -> None:
        self.losses = 0
        self.health = MemoryHealth(self._lost)

    def _lost(self) -> None:
        self.losses += 1

    def away(self) -> bool:
        """Whether it is known to be away now."""
        return self.health.away

    async def wait(self, seconds: float, answer: Callable[[], Awaitable[object]]) -> None:
        """Expect an answer."""
        async with self.health.expected(seconds):
            await answer()

    async def lose(self) -> None:
        """Wait in vain."""
        with pytest.raises(errors.ConnectionError):
            await self.wait(0.001, never)


async def never() -> None:
    """A memory that stalls."""
    await asyncio.Event().wait()


@pytest_asyncio.fixture
async def watched() -> AsyncIterator[Watched]:
    async with asyncio.timeout(FOR_EVER / 3):
        yield Watched()


async def test_one_who_waits_in_vain_ends_the_waits_of_all(watched: Watched) -> None:
    others = [asyncio.create_task(watched.wait(FOR_EVER, never)) for _ in range(3)]
    await asyncio.sleep(0)
    await watched.lose()
    ended = await asyncio.gather(*others, return_exceptions=True)
    assert [type(each) for each in ended] == [errors.ConnectionError] * 3
    assert watched.losses == 1, "one loss asks for one probe"


async def test_nobody_asks_a_memory_that_is_known_to_be_away(watched: Watched) -> None:
    await watched.lose()
    asked: list[object] = []

    async def ask() -> None:
        asked.append(None)

    with pytest.raises(errors.ConnectionError) as refused:
        await watched.wait(FOR_EVER, ask)
    assert refused.value.retryable
    assert not asked


async def test_it_is_back_once_a_probe_is_answered(watched: Watched) -> None:
    await watched.lose()
    with pytest.raises(errors.ConnectionError):
        async with watched.health.probed(0.001):
            await never()
    assert watched.away()
    async with watched.health.probed(FOR_EVER):
        pass
    assert not watched.away()
    await watched.wait(FOR_EVER, lambda: asyncio.sleep(0))
    await watched.lose()
    assert watched.losses == 2, "it was lost again"


async def test_it_is_not_away_where_others_are_answered_meanwhile(watched: Watched) -> None:
    async def late() -> None:
        await watched.wait(FOR_EVER, lambda: asyncio.sleep(0))
        await never()

    with pytest.raises(errors.ConnectionError):
        await watched.wait(0.05, late)
    assert not watched.away(), "it is there, and much is asked of it"


async def test_a_memory_that_cannot_be_reached_is_away_at_once(watched: Watched) -> None:
    async def refuse() -> None:
        raise errors.ConnectionError("The key is refused.", retryable=False)

    with pytest.raises(errors.ConnectionError, match="does not answer") as told:
        await watched.wait(FOR_EVER, refuse)
    assert told.value.retryable, "an operator may mend it while people try again"
    assert watched.away()
    with pytest.raises(errors.ConnectionError, match="key is refused"):
        async with watched.health.probed(FOR_EVER):
            await refuse()


@pytest.mark.parametrize("error", [errors.VectorError("No."), TimeoutError(), ValueError()])
async def test_an_error_of_another_kind_does_not_show_it_away(
    watched: Watched, error: Exception
) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        await watched.wait(FOR_EVER, fail)
    assert not watched.away()
