"""The thread in which long texts are rendered, one after the other, off the event loop.

Markdown is rendered in Python, at some 2 us a character of an answer and seven times that of a text
made for the purpose: a long answer would hold up everybody. One thread, because two that compute
would take turns with the loop twice as often.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from machines.models.journal import JournalEntry
from server.wire.presenter import LiveEntry

MAX_ON_LOOP: Final = 400
"""Code points of answers that are rendered where they are: handing them over costs as much."""

T = TypeVar("T")


class Renderer:
    """Renders in a thread of its own; built with the services, its thread with the first text."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="renderer")

    async def do(self, render: Callable[[], T]) -> T:
        """What `render` gives, called in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, render)

    async def live(self, entries: Iterable[JournalEntry]) -> list[LiveEntry]:
        """Entries as frames, those with long answers encoded already. Awaits for those alone."""
        live = [LiveEntry(entry) for entry in entries]
        long = [each for each in live if each.rendered_characters > MAX_ON_LOOP]
        if long:
            await self.do(lambda: [each.encode() for each in long])
        return live

    async def encoded(self, entries: Iterable[JournalEntry]) -> list[LiveEntry]:
        """Entries as frames, all of them encoded in the thread."""
        return await self.do(lambda: [LiveEntry(entry).encode() for entry in entries])

    def close(self) -> None:
        """End the thread once it has rendered what it is at."""
        self._thread.shutdown(wait=False)
