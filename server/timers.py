"""Timers: rows beside the journal, kept in a heap here, so that they fire after a restart too.

A timer fires at least once, never before its time. What it does is an event for a machine; whether
that still means anything is the machine's to say. The row goes in the transaction that the event
makes; where the machine refuses, the row is dropped here.

Due times are wall-clock times, and the clock may step: the heap is looked at again at least every
`LOOK_SECONDS`, so a step forward is noticed within that time.
"""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from machines.models.ids import TimerId
from machines.models.journal import TimerRow

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0

Fire = Callable[[TimerRow], Awaitable[None]]
"""Performs a timer; must handle its own errors."""


class Timers:
    """Everything that is due some time."""

    def __init__(self, now: Callable[[], datetime], fire: Fire) -> None:
        self._now = now
        self._fire = fire
        self._rows: dict[TimerId, TimerRow] = {}
        self._heap: list[tuple[datetime, TimerId]] = []
        self._changed = asyncio.Event()
        self._firing: set[asyncio.Task[None]] = set()

    def set(self, rows: Iterable[TimerRow]) -> None:
        """Set or move timers whose rows are durable."""
        for row in rows:
            self._rows[row.id] = row
            heapq.heappush(self._heap, (row.due_at, row.id))
            self._changed.set()

    def cancel(self, timer_ids: Iterable[TimerId]) -> None:
        """Forget timers whose rows are gone; their places in the heap are skipped later."""
        for timer_id in timer_ids:
            self._rows.pop(timer_id, None)

    def is_set(self, row: TimerRow) -> bool:
        """Whether no other timer has taken the place of this one."""
        return self._rows.get(row.id, row) == row

    def retry(self, row: TimerRow, at: datetime) -> None:
        """Fire a timer again at `at`; its row keeps the due time that is durable."""
        self._rows[row.id] = row
        heapq.heappush(self._heap, (at, row.id))
        self._changed.set()

    async def run(self) -> None:
        """Fire what is due, until cancelled."""
        try:
            while True:
                self._changed.clear()
                self._fire_due()
                try:
                    async with asyncio.timeout(self._wait_seconds()):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            for task in self._firing:
                task.cancel()

    def _fire_due(self) -> None:
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            due_at, timer_id = heapq.heappop(self._heap)
            row = self._rows.get(timer_id)
            if row is None or row.due_at > due_at:
                continue
            del self._rows[timer_id]
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
