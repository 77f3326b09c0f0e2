"""The memory's circuit breaker: one search without an answer ends the waits of all others.

A memory that stalls would cost each search its whole wait, and the runs of a thread wait one after
the other. So the first search that gets no answer opens the breaker and ends the waits that are under
way; while it is open no search waits at all. The breaker never probes by itself: its owner does, once
`on_loss` told it. What is asked of the memory is unknown here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Final

from machines.models import errors
from machines.models.breaker import BreakerPolicy, BreakerStatus
from server.concurrency.circuit_breaker import CircuitBreaker, NotAdmitted

POLICY: Final = BreakerPolicy(threshold=1, first_wait_seconds=inf, longest_wait_seconds=inf)
"""One failure opens the breaker, and no search becomes a probe by the lapse of time."""


class MemoryHealth:
    """Whether the memory answers; to be used on one event loop."""

    def __init__(self, on_loss: Callable[[], None]) -> None:
        """`on_loss` is called when the memory is lost: the owner calls `probed`. It must not block."""
        self._on_loss = on_loss
        self._breaker = CircuitBreaker(
            "the memory",
            POLICY,
            clock=lambda: asyncio.get_running_loop().time(),
            random=lambda: 0.0,
            on_open=self._lose,
        )
        self._waiting: set[asyncio.Timeout] = set()
        self._answers = 0
        """Waits that ended well, ever."""

    @property
    def away(self) -> bool:
        """Whether searches are refused."""
        return self._breaker.status is not BreakerStatus.CLOSED

    @asynccontextmanager
    async def expected(self, seconds: float) -> AsyncIterator[None]:
        """Wait for the memory inside, at most so long, and no longer than it is known to answer.

        Raises:
            ConnectionError: it is away; at once where that is known. It is always retryable, and its
                reason is told to operators alone.
        """
        try:
            async with self._attempted(seconds, has_waited=False):
                yield
        except errors.ConnectionError as error:
            raise _no_answer() from error

    @asynccontextmanager
    async def probed(self, seconds: float) -> AsyncIterator[None]:
        """As `expected`, also where the memory is away, and with the reason as it is."""
        async with self._attempted(seconds, has_waited=True):
            yield

    @asynccontextmanager
    async def _attempted(self, seconds: float, *, has_waited: bool) -> AsyncIterator[None]:
        answers = self._answers
        limit = asyncio.timeout(seconds)
        try:
            with self._breaker.attempt(has_waited=has_waited) as attempt:
                try:
                    async with limit:
                        self._waiting.add(limit)
                        try:
                            yield
                        finally:
                            self._waiting.discard(limit)
                except TimeoutError:
                    # Where others were answered meanwhile, it is there, and much is asked of it.
                    if limit.expired() and self._answers == answers:
                        attempt.failed()
                    raise
                except errors.ConnectionError:
                    attempt.failed()
                    raise
                self._answers += 1
        except NotAdmitted as error:
            raise _no_answer() from error
        except TimeoutError as error:
            if limit.expired():
                raise _no_answer() from error
            raise

    def _lose(self) -> None:
        now = asyncio.get_running_loop().time()
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(now)
        self._on_loss()


def _no_answer() -> errors.ConnectionError:
    return errors.ConnectionError("The memory does not answer now.")
