"""Called a little later, for many: one timer stands for all that wait equally long.

A timer for each of them would cost more than what it waits for, and so would waking up for each. Here
a queue keeps them in the order in which they fall due, the loop has one timer for the first, and
what is due soon after it goes with it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

COMPANY_SECONDS: Final = 0.005
"""How much sooner a thing may be given, for the company of one that is due."""

T = TypeVar("T")


class DelayQueue(Generic[T]):
    """Gives each thing to `due`, `seconds` after it was added or a little sooner."""

    def __init__(self, seconds: float, due: Callable[[T], None]) -> None:
        """Made on the loop that it is used on: to ask for the running one is a system call."""
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._give = due
        self._waiting: deque[tuple[float, T]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, thing: T) -> None:
        """Let it wait; added again, it waits again."""
        due = self._loop.time() + self._seconds
        self._waiting.append((due, thing))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        soon = self._loop.time() + COMPANY_SECONDS
        try:
            while self._waiting and self._waiting[0][0] <= soon:
                self._give(self._waiting.popleft()[1])
        finally:
            # Until here the timer that rang stands for what was added meanwhile.
            waiting = self._waiting
            self._timer = self._loop.call_at(waiting[0][0], self._ring) if waiting else None
