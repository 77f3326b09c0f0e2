"""The thread in which texts are rendered, one after the other, off the event loop.

Markdown is rendered in Python, at some 2 us a character of an answer and seven times that of a text
made for the purpose: a long answer would hold up everybody. One thread, because two that compute
would take turns with the loop twice as often.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from machines.models.journal import JournalEntry
from server.wire.markdown import is_built
from server.wire.presenter import LiveEntry

MAX_ON_LOOP: Final = 400
"""Code points of answers that are rendered where they are: handing them over costs as much."""

MOST_ENCODED_ON_LOOP: Final = 50_000
"""Effort (`LiveEntry.effort`) of entries that are encoded when their first follower wants them: 1 ms."""

T = TypeVar("T")


class Renderer:
    """Renders in a thread of its own; built with the services, its thread with the first text."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="renderer")
        self._passing = asyncio.Semaphore(1)

    async def do(self, render: Callable[[], T]) -> T:
        """What `render` gives, called in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, render)

    async def do_in_passing(self, render: Callable[[], T]) -> T:
        """Like `do`, one at a time, so that entries wait for one of these at most."""
        async with self._passing:
            return await self.do(render)

    async def live(self, entries: Iterable[JournalEntry]) -> list[LiveEntry]:
        """Entries as frames; those with long answers are encoded already, or all where together they
        are long or many. Awaits for those alone, and for the first answer of the process, which builds
        what renders."""
        live = [LiveEntry(entry) for entry in entries]
        most = MAX_ON_LOOP if is_built() else 0
        long = [each for each in live if each.rendered_characters > most]
        if sum(each.effort for each in live) > MOST_ENCODED_ON_LOOP:
            long = live
        if long:
            await self.do(lambda: [each.encode() for each in long])
        return live

    async def encoded(self, entries: Iterable[JournalEntry]) -> list[LiveEntry]:
        """Entries as frames, all of them encoded in the thread."""
        return await self.do(lambda: [LiveEntry(entry).encode() for entry in entries])

    def close(self) -> None:
        """End the thread once it has rendered what it is at."""
        self._thread.shutdown(wait=False)
