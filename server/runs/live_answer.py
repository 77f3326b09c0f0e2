"""The HTML of an answer while it is written.

A streamed text is Markdown that is not whole yet. Every block of it but the last is: nothing that
follows changes a closed paragraph, list or table. So only the text since the last open block is
rendered anew, in the renderer's thread, one rendering at a time, and not before the text has grown
by a part of itself: all renderings of an answer together cost some times what one of the whole does,
however its pieces come.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from machines.models.wire.views import RenderedText
from server.wire.markdown import render_blocks
from server.wire.renderer import Renderer

log = logging.getLogger(__name__)

RENDER_SECONDS: Final = 0.2
"""At least so long lies between two renderings of an answer."""

GROWTH: Final = 16
"""The open block is rendered again once it has grown by one part in so many."""

LARGE_BLOCK: Final = 8_000
"""Code points from which on a block, sent whole each time, is rendered after `LARGE_GROWTH`."""

LARGE_GROWTH: Final = 4

MAX_OPEN_CHARACTERS: Final = 32_000
"""Code points of an open block; a longer one stays as text until the answer is whole."""

MAX_HTML_CHARACTERS: Final = 64_000
"""Code points of HTML in one frame."""


class LiveAnswer:
    """One answer's text as far as it is rendered.

    Args:
        publish: takes what is rendered anew, in order; its first part takes the place of every
            earlier one that does not end before it.
        renderer: shared by all answers of a process.
    """

    def __init__(
        self, publish: Callable[[tuple[RenderedText, ...]], None], renderer: Renderer
    ) -> None:
        self._publish = publish
        self._renderer = renderer
        self._open = ""
        """The text from the last open block on."""
        self._start = 0
        """Code points before it."""
        self._rendered_length = 0
        """Code points of the open text at its last rendering."""
        self._closed: list[RenderedText] = []
        self._last: tuple[RenderedText, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._grown = asyncio.Event()
        self._closed_for_good = False

    @property
    def rendered(self) -> tuple[RenderedText, ...]:
        """The last parts that fit in a frame, in order, for who comes in the middle of it."""
        parts = [*self._closed, *self._last]
        room = MAX_HTML_CHARACTERS
        for place, part in reversed(list(enumerate(parts))):
            room -= len(part.html)
            if room < 0:
                return tuple(parts[place + 1 :])
        return tuple(parts)

    def add(self, text: str) -> None:
        """The answer grew. Never blocks."""
        if self._closed_for_good:
            return
        self._open += text
        if len(self._open) > MAX_OPEN_CHARACTERS:
            self.close()
            return
        grown = len(self._open) - self._rendered_length
        parts = GROWTH if self._rendered_length < LARGE_BLOCK else LARGE_GROWTH
        if grown * parts < self._rendered_length:
            return
        self._grown.set()
        if self._task is None:
            self._task = asyncio.create_task(self._render())
            self._task.add_done_callback(_ended)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is rendered."""
        return self._closed_for_good

    def close(self) -> None:
        """Render no more; what is rendered stays."""
        self._closed_for_good = True
        self._open = ""
        if self._task is not None:
            self._task.cancel()

    async def _render(self) -> None:
        while True:
            await self._grown.wait()
            self._grown.clear()
            text = self._open
            blocks = await self._renderer.do_in_passing(partial(render_blocks, text, self._start))
            self._take(text, blocks)
            await asyncio.sleep(RENDER_SECONDS)

    def _take(self, text: str, blocks: tuple[RenderedText, ...]) -> None:
        self._rendered_length = len(text)
        if not blocks:
            return
        if sum(len(each.html) for each in blocks) > MAX_HTML_CHARACTERS:
            self.close()
            return
        *closed, last = blocks
        self._closed += closed
        self._last = (last,)
        self._open = self._open[last.start - self._start :]
        self._rendered_length = self._start + len(text) - last.start
        self._start = last.start
        self._publish(blocks)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("an answer could not be rendered while it is written", exc_info=error)
