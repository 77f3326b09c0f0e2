"""Timers under a clock that steps: deadlines are times of the clock, waits are lengths of time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from machines.models.ids import MessageId, RunId, ThreadId, TimerId
from machines.models.journal import ApprovalTimer, RetryTimer, TimerRow
from machines.models.outputs import StepEnum
from server.threads.service import MakeCommand, Outcome
from server.timers.timers import Timers
from tests.support.client import Identity
from tests.support.in_process import Caller, open_test_services

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
THREAD = ThreadId("00000000-0000-4000-8000-000000000001")


class Clocks:
    """A wall clock and a stopwatch, set by hand, and what fired."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self.elapsed = 0.0
        self.fired: list[TimerId] = []
        self.timers = Timers(lambda: self.wall, self._fire, lambda: self.elapsed)

    async def _fire(self, row: TimerRow) -> None:
        self.fired.append(row.id)

    def pass_by(self, time: timedelta) -> None:
        """Time passes, on both clocks."""
        self.wall += time
        self.elapsed += time.total_seconds()

    async def look(self) -> list[TimerId]:
        """What has fired once the timers have looked at the clocks."""
        self.timers.set(())
        self.timers.set_at(deadline(self.wall + 99 * HOUR, "another"), self.wall + 99 * HOUR)
        for _ in range(5):
            await asyncio.sleep(0)
        return self.fired


@asynccontextmanager
async def running() -> AsyncIterator[Clocks]:
    clocks = Clocks()
    task = asyncio.create_task(clocks.timers.run())
    try:
        yield clocks
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def wait_until(due: datetime) -> TimerRow:
    timer = RetryTimer(
        thread_id=THREAD, run_id=RunId("run"), step=StepEnum.ACTION, iteration=1, attempt=1
    )
    return TimerRow(id=TimerId("wait"), due_at=due, timer=timer)


def deadline(due: datetime, name: str = "deadline") -> TimerRow:
    timer = ApprovalTimer(thread_id=THREAD, message_id=MessageId("message"))
    return TimerRow(id=TimerId(name), due_at=due, timer=timer)


async def test_a_wait_is_as_long_as_it_was_when_the_clock_steps_back() -> None:
    async with running() as clocks:
        clocks.timers.set((wait_until(clocks.wall + 5 * SECOND),))
        clocks.wall -= HOUR
        assert await clocks.look() == []
        clocks.pass_by(4 * SECOND)
        assert await clocks.look() == []
        clocks.pass_by(2 * SECOND)
        assert await clocks.look() == ["wait"]


async def test_a_wait_is_as_long_as_it_was_when_the_clock_steps_forward() -> None:
    async with running() as clocks:
        clocks.timers.set((wait_until(clocks.wall + 5 * SECOND),))
        clocks.wall += HOUR
        assert await clocks.look() == []
        clocks.pass_by(6 * SECOND)
        assert await clocks.look() == ["wait"]


async def test_a_deadline_is_a_time_of_the_clock_wherever_that_steps() -> None:
    async with running() as clocks:
        clocks.timers.set((deadline(clocks.wall + 2 * HOUR),))
        clocks.wall -= HOUR
        clocks.pass_by(2 * HOUR)
        assert await clocks.look() == []
        clocks.wall += 2 * HOUR
        assert await clocks.look() == ["deadline"]


async def test_a_timer_that_was_moved_fires_at_its_last_place_alone() -> None:
    async with running() as clocks:
        row = deadline(clocks.wall + HOUR)
        clocks.timers.set((row,))
        clocks.timers.set_at(row, clocks.wall + 3 * HOUR)
        clocks.pass_by(2 * HOUR)
        assert await clocks.look() == []
        clocks.pass_by(2 * HOUR)
        assert await clocks.look() == ["deadline"]


async def test_a_deadline_that_meets_a_defect_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.timers.handlers.AFTER_A_DEFECT", timedelta(milliseconds=20))
    async with open_test_services(tmp_path, approval_days=1e-5) as services:
        failing = asyncio.Event()
        perform = services.thread_service.perform

        async def perform_or_fail(thread_id: ThreadId, make: MakeCommand, *rest: Any) -> Outcome:
            if not failing.is_set() and not rest:  # a timer's, which has no reply to remember
                failing.set()
                raise ZeroDivisionError
            return await perform(thread_id, make, *rest)

        monkeypatch.setattr(services.thread_service, "perform", perform_or_fail)
        alice = await Caller(services).sign_in(Identity())
        thread = await alice.get("create_thread", name="Open", visibility="public")
        await alice.get("get_thread", thread_id=thread["thread_id"])
        outsider = await Caller(services).sign_in(Identity())
        await outsider.get("submit_prompt", thread_id=thread["thread_id"], prompt="Let me in.")
        await alice.line.until(
            lambda each: each["data"].get("kind") == "message_expired", "the end of the deadline"
        )
        assert failing.is_set()
