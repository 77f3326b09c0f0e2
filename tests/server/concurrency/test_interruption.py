"""A wait that another task may end, and nothing but the wait."""

import asyncio

import pytest

from server.concurrency.interruption import Interruption


async def test_what_is_awaited_ends_and_its_task_goes_on() -> None:
    interruption, began, gone_on = Interruption(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        async with interruption.allowed():
            began.set()
            await asyncio.Event().wait()
        gone_on.set()

    task = asyncio.create_task(wait())
    await began.wait()
    interruption.interrupt()
    interruption.interrupt()
    await gone_on.wait()
    await task


async def test_an_interruption_while_nothing_is_awaited_does_nothing() -> None:
    interruption = Interruption()
    interruption.interrupt()
    async with interruption.allowed():
        await asyncio.sleep(0)
    interruption.interrupt()
    await asyncio.sleep(0)


async def test_a_timeout_of_what_is_awaited_is_not_taken_for_an_interruption() -> None:
    interruption = Interruption()
    with pytest.raises(TimeoutError):
        async with interruption.allowed():
            raise TimeoutError


async def test_a_cancelled_task_is_cancelled() -> None:
    interruption, began = Interruption(), asyncio.Event()

    async def wait() -> None:
        async with interruption.allowed():
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
