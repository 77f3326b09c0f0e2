"""The ticks of an event loop, and what is shared by all who write in one of them.

An entry goes to thousands of followers in one tick: its frame is made once, what gathered meanwhile
is written when the tick ends, and what went out is told once. Which bytes go where, and when a
transport is full, is the outboxes' (`server.sockets.outbox`).
"""

import asyncio
from collections.abc import Callable

from server.sockets.budget import OutboxBudget
from server.sockets.queued import text_frame


class Flusher:
    """The ticks of one event loop: what gathers in its outboxes is written when a tick ends.

    Args:
        loop: the loop that everything runs on.
        on_written: told after each tick what went out, (frames, bytes); for the metrics.
        budget: what may wait in all of its outboxes; no limit unless given.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_written: Callable[[int, int], None] | None = None,
        budget: OutboxBudget | None = None,
    ) -> None:
        self.loop = loop
        self.budget = budget or OutboxBudget()
        """Of all outboxes together."""
        self.tick = 0
        """The number of this tick; one in which nothing is sent has none."""
        self._on_written = on_written
        self._ending: asyncio.Handle | None = None
        """What ends this tick, once something was sent in it."""
        self._due: list[Callable[[], None]] = []
        self._text: str | None = None
        """What was framed last in this tick."""
        self._frame = b""
        self._frames = 0
        self._bytes = 0

    def framed(self, text: str) -> bytes:
        """The websocket frame of `text`; built once where many get the same text in a row."""
        if text is not self._text:
            self._frame = text_frame(text.encode())
            self._text = text
            self.arrange_end()
        return self._frame

    def add(self, flush: Callable[[], None]) -> None:
        """Call this when the tick ends."""
        self._due.append(flush)
        self.arrange_end()

    def count(self, frames: int, size: int) -> None:
        """So much was given to a transport."""
        self._frames += frames
        self._bytes += size
        self.arrange_end()

    def arrange_end(self) -> None:
        """Have this tick end, though nothing was written in it yet."""
        if self._ending is None:
            self._ending = self.loop.call_soon(self._end)

    def _end(self) -> None:
        due, self._due = self._due, []
        try:
            for flush in due:
                flush()
        finally:
            # A text may be large; what this tick's frames said is not kept for the next.
            self._text, self._frame = None, b""
            self.tick += 1
            self._ending = None
        self.budget.relieve()
        if self._on_written is not None and self._frames:
            self._on_written(self._frames, self._bytes)
            self._frames = self._bytes = 0
