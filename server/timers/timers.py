"""Timers: rows beside the journal, kept in a heap here, so that they fire after a restart too.

A timer fires at least once, never before its time. What it does is an event for a machine; whether
that still means anything is the machine's to say. The row goes in the transaction that the event
makes; where the machine refuses, the row is dropped here.

Due times are wall-clock times, and the clock may step: the heap is looked at again at least every
`LOOK_SECONDS`, so a step is noticed within that time. A deadline is a time of the clock and stays where
it is; the wait before a retry is a length of time, and stays as long as it was.
"""

import asyncio
import heapq
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from machines.models.ids import TimerId
from machines.models.journal import RetryTimer, TimerRow

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0

STEP = timedelta(seconds=1)
"""What the clock may be off between two looks; beyond it, it has stepped."""

SWEEP_FROM = 1_000
"""Places that may be stale before anything is swept."""

Fire = Callable[[TimerRow], Awaitable[None]]
"""Performs a timer; must handle its own errors."""


class Timers:
    """Everything that is due some time."""

    def __init__(
        self,
        now: Callable[[], datetime],
        fire: Fire,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._looked_at = now(), monotonic()
        self._fire = fire
        self._rows: dict[TimerId, TimerRow] = {}
        self._at: dict[TimerId, datetime] = {}
        """When each of `_rows` fires."""
        self._heap: list[tuple[datetime, TimerId]] = []
        self._changed = asyncio.Event()
        self._firing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Places that are kept, those of cancelled timers too."""
        return len(self._heap)

    def set(self, rows: Iterable[TimerRow]) -> None:
        """Set or move timers whose rows are durable."""
        self._notice_steps()
        for row in rows:
            self._place(row, row.due_at)
        self._sweep()

    def set_at(self, row: TimerRow, at: datetime) -> None:
        """Fire a timer at `at`; its row keeps the due time that is durable."""
        self._notice_steps()
        self._place(row, at)

    def cancel(self, timer_ids: Iterable[TimerId]) -> None:
        """Forget timers whose rows are gone; their places in the heap are skipped later."""
        for timer_id in timer_ids:
            self._rows.pop(timer_id, None)
            self._at.pop(timer_id, None)

    def _sweep(self) -> None:
        """Leave out the places of cancelled timers once they are the most of the heap."""
        if len(self._heap) > 2 * len(self._rows) + SWEEP_FROM:
            self._heap = [(at, timer_id) for timer_id, at in self._at.items()]
            heapq.heapify(self._heap)

    def knows(self, timer_id: TimerId) -> bool:
        """Whether it is set, and has not fired."""
        return timer_id in self._rows

    def retries(self) -> tuple[TimerId, ...]:
        """The timers of runs that wait for their next attempt."""
        rows = self._rows.items()
        return tuple(timer_id for timer_id, row in rows if isinstance(row.timer, RetryTimer))

    def is_set(self, row: TimerRow) -> bool:
        """Whether no other timer has taken the place of this one."""
        return self._rows.get(row.id, row) == row

    async def run(self) -> None:
        """Fire what is due, until cancelled: then what is under way is cancelled too."""
        try:
            while True:
                self._changed.clear()
                self._notice_steps()
                self._fire_due()
                try:
                    async with asyncio.timeout(self._wait_seconds()):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        except asyncio.CancelledError:
            for task in self._firing:
                task.cancel()
            raise

    def _place(self, row: TimerRow, at: datetime) -> None:
        self._rows[row.id] = row
        self._at[row.id] = at
        heapq.heappush(self._heap, (at, row.id))
        self._changed.set()

    def _notice_steps(self) -> None:
        """Move the ends of waits along with a clock that has stepped."""
        (then, before), (now, elapsed) = self._looked_at, (self._now(), self._monotonic())
        self._looked_at = now, elapsed
        step = now - then - timedelta(seconds=elapsed - before)
        if abs(step) < STEP:
            return
        log.warning("the clock has stepped by %.0f s", step.total_seconds())
        for row in tuple(self._rows.values()):
            if isinstance(row.timer, RetryTimer):
                self._place(row, self._at[row.id] + step)

    def _fire_due(self) -> None:
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            at, timer_id = heapq.heappop(self._heap)
            if self._at.get(timer_id) != at:
                continue
            del self._at[timer_id]
            row = self._rows.pop(timer_id)
            task = asyncio.create_task(self._safely(row))
            self._firing.add(task)
            task.add_done_callback(self._firing.discard)

    async def _safely(self, row: TimerRow) -> None:
        try:
            await self._fire(row)
        except Exception:
            log.exception("the timer %s failed", row.timer.timer)

    def _wait_seconds(self) -> float:
        if not self._heap:
            return LOOK_SECONDS
        until = (self._heap[0][0] - self._now()).total_seconds()
        return min(max(until, 0.0), LOOK_SECONDS)
