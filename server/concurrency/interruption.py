"""A wait that another task may end, and nothing but the wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Interruption:
    """Ends what is awaited inside `allowed`; for one task at a time.

    async with interruption.allowed():
        await something_that_takes_long()
    """

    def __init__(self) -> None:
        self._waiting: asyncio.Timeout | None = None

    @asynccontextmanager
    async def allowed(self) -> AsyncIterator[None]:
        """What is awaited inside ends at `interrupt`, and the task goes on behind the block."""
        waiting = asyncio.timeout(None)
        try:
            async with waiting:
                self._waiting = waiting
                yield
        except TimeoutError:
            if not waiting.expired():
                raise
        finally:
            self._waiting = None

    def interrupt(self) -> None:
        """End what is awaited; does nothing where nothing is."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.reschedule(asyncio.get_running_loop().time())
