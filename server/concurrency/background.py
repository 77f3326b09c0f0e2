"""The tasks that a server runs as long as it serves.

What may fail in them they handle themselves; what ends one is a defect. Such a task is begun again after a
pause, which doubles while it goes on ending and is bounded. Where it is not safe to go on without a task,
its end ends the server: it waits for `ended`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.5
"""Before a task is begun again that ended for the first time."""

LONGEST_PAUSE_SECONDS: Final = 60.0
"""A task that went on for so long is none that keeps ending."""

Work = Callable[[], Awaitable[None]]
"""Goes on until it is cancelled, or is done. It may be called again after a defect."""


class Background:
    """Begins tasks, and begins them again. `begin` each, and `stop` last."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        on_defect: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Args:
            monotonic: Seconds that never step back.
            on_defect: Told the name of each task that ends by a defect.
            sleep: Waits so many seconds.
        """
        self._monotonic = monotonic
        self._on_defect = on_defect
        self._sleep = sleep
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: str | None = None
        """The task without which the server must not go on."""
        self._has_ended = asyncio.Event()

    def begin(self, name: str, work: Work, *, ends_server: bool = False) -> None:
        """Carry out `work` in a task of its own.

        Args:
            name: For the log and for metrics.
            ends_server: Whether a defect in it is not safe to go on with: then it is not begun again.
        """
        keeping = self._end(name, work) if ends_server else self._keep(name, work)
        self._tasks.append(asyncio.create_task(keeping, name=name))

    async def ended(self) -> str:
        """Wait until a task has ended without which the server must not go on; gives its name."""
        await self._has_ended.wait()
        assert self._ended is not None  # noqa: S101 - it is named first
        return self._ended

    async def stop(self) -> None:
        """Cancel all tasks, and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, name: str, work: Work) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = self._monotonic()
            if not await self._has_defect(name, work):
                return
            if self._monotonic() - began >= LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.error("the background task %s is begun again in %.1f s", name, pause)
            await self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _end(self, name: str, work: Work) -> None:
        if await self._has_defect(name, work):
            self._ended = name
            self._has_ended.set()

    async def _has_defect(self, name: str, work: Work) -> bool:
        """Carry out `work`; whether it ended by a defect."""
        try:
            await work()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something that it waited for was cancelled, and not the task itself.
            self._tell(name, error)
        except Exception as error:  # noqa: BLE001 - it is logged, and counted
            self._tell(name, error)
        else:
            return False
        return True

    def _tell(self, name: str, error: BaseException) -> None:
        log.critical("the background task %s ended by a defect", name, exc_info=error)
        self._on_defect(name)
