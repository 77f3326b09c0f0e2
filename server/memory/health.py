"""Whether the memory is there: one who waits for it in vain spares all the others the wait.

A memory that stalls would cost each search its whole patience, and the runs of a thread wait one
after the other. So the first search that gets no answer ends the waits of all, and until a probe is
answered nobody waits at all. Who probes, and how, is `server.memory.recall`'s; nothing here knows
what is asked of the memory.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from machines.models import errors

log = logging.getLogger(__name__)


class Presence:
    """What is known of the memory; to be used on one event loop."""

    def __init__(self, on_loss: Callable[[], None]) -> None:
        """`on_loss` sees to it that somebody probes; it must not block."""
        self._on_loss = on_loss
        self._away = False
        self._waiting: set[asyncio.Timeout] = set()
        self._answers = 0
        """Waits that ended well, ever."""

    @property
    def away(self) -> bool:
        """Whether nobody waits for it now."""
        return self._away

    @asynccontextmanager
    async def expected(self, seconds: float) -> AsyncIterator[None]:
        """Wait for the memory inside, at most so long, and no longer once anybody finds it away.

        Raises:
            ConnectionError: it is away; at once where that is known. Whatever the reason, which is
                an operator's to know, one may try again.
        """
        if self._away:
            raise _no_answer()
        try:
            async with self._watched(seconds):
                yield
        except errors.ConnectionError as error:
            raise _no_answer() from error

    @asynccontextmanager
    async def probed(self, seconds: float) -> AsyncIterator[None]:
        """Look, even where it is known to be away: it is back if this ends well.

        Raises as `expected`, with the reason as it is.
        """
        async with self._watched(seconds):
            yield
        if self._away:
            self._away = False
            log.warning("the memory is back")

    @asynccontextmanager
    async def _watched(self, seconds: float) -> AsyncIterator[None]:
        answers = self._answers
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._waiting.add(limit)
                try:
                    yield
                finally:
                    self._waiting.discard(limit)
            self._answers += 1
        except TimeoutError:
            if not limit.expired():
                raise
            error = _no_answer()
            if self._answers == answers:
                # Where others were answered meanwhile, it is there, and much is asked of it.
                self._lose(error)
            raise error from None
        except errors.ConnectionError as error:
            self._lose(error)
            raise

    def _lose(self, error: errors.ConnectionError) -> None:
        if self._away:
            return
        self._away = True
        log.warning("searches are refused until the memory is back: %s", error.message)
        now = asyncio.get_running_loop().time()
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(now)
        self._on_loss()


def _no_answer() -> errors.ConnectionError:
    return errors.ConnectionError("The memory does not answer now.")
