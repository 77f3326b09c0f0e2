"""Tasks in the background: a defect ends none of them for good, unless it ends the server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from server.concurrency.background import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Background,
)
from tests.support.eventually import PATIENCE


class World:
    """A clock that goes on while tasks pause, and what the tasks said."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.defects: list[str] = []
        self.background = Background(lambda: self.now, self.defects.append, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.background.stop()


async def test_a_task_that_ends_by_a_defect_is_begun_again_after_growing_bounded_pauses(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    calm, times = asyncio.Event(), iter(range(20))

    async def work() -> None:
        if next(times, None) is not None:
            raise ValueError("a defect")
        calm.set()
        await asyncio.Event().wait()

    world.background.begin("work", work)
    async with asyncio.timeout(PATIENCE):
        await calm.wait()
    assert world.defects == ["work"] * 20
    assert world.pauses[:3] == [FIRST_PAUSE_SECONDS * factor for factor in (1, 2, 4)]
    assert sorted(world.pauses) == world.pauses
    assert world.pauses[-1] == LONGEST_PAUSE_SECONDS
    assert "the background task work ended by a defect" in caplog.text


async def test_a_task_that_went_on_for_long_is_begun_again_as_soon_as_one_that_never_ended(
    world: World,
) -> None:
    calm, times = asyncio.Event(), iter(range(5))

    async def work() -> None:
        if next(times, None) is not None:
            world.now += LONGEST_PAUSE_SECONDS
            raise ValueError("a defect")
        calm.set()

    world.background.begin("work", work)
    async with asyncio.timeout(PATIENCE):
        await calm.wait()
    assert world.pauses == [FIRST_PAUSE_SECONDS] * 5


async def test_what_a_task_awaits_may_be_cancelled_and_that_is_a_defect(world: World) -> None:
    again, times = asyncio.Event(), iter(range(1))

    async def work() -> None:
        if next(times, None) is not None:
            cancelled = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled
        again.set()

    world.background.begin("work", work)
    async with asyncio.timeout(PATIENCE):
        await again.wait()
    assert world.defects == ["work"]


async def test_a_task_that_is_done_is_not_begun_again(world: World) -> None:
    done: list[None] = []

    async def work() -> None:
        done.append(None)

    world.background.begin("work", work)
    await asyncio.sleep(0)
    await world.background.stop()
    assert done == [None]
    assert not world.pauses
    assert not world.defects


async def test_the_end_of_a_task_that_must_not_end_is_told_and_it_is_not_begun_again(
    world: World,
) -> None:
    async def work() -> None:
        raise ValueError("a defect")

    world.background.begin("work", work, ends_server=True)
    async with asyncio.timeout(PATIENCE):
        assert await world.background.ended() == "work"
    assert world.defects == ["work"]
    assert not world.pauses


async def test_stopping_cancels_what_works_and_what_pauses() -> None:
    pausing, working = asyncio.Event(), asyncio.Event()

    async def pause(_: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    async def fail() -> None:
        raise ValueError("a defect")

    async def work() -> None:
        working.set()
        await asyncio.Event().wait()

    background = Background(lambda: 0.0, lambda _: None, pause)
    background.begin("fails", fail)
    background.begin("works", work, ends_server=True)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(pausing.wait(), working.wait())
        await background.stop()
