"""When the frames of one connection are too many, and when they are a flood.

Only counting lives here: who sends too fast waits, and who goes on, or sends only what cannot be
read, is closed. What a frame says is never asked.
"""

from collections.abc import Callable
from typing import Final

from server.concurrency.rate_limit import TokenBucket

MAX_BAD_FRAMES: Final = 20
"""In a row."""

MAX_FRAMES_OVER_RATE: Final = 200
"""Frames that came too soon, since their sender was last quiet for as long as its bucket fills."""


class FloodGuard:
    """Counts the frames of one connection.

    Args:
        bucket: a frame takes a token of it, whatever its kind.
        on_flood: told the reason to close; each time, once there is one.
    """

    __slots__ = ("_bad", "_bucket", "_on_flood", "_over_rate")

    def __init__(self, bucket: TokenBucket, on_flood: Callable[[str], None]) -> None:
        self._bucket = bucket
        self._on_flood = on_flood
        self._bad = 0
        self._over_rate = 0

    def charge(self) -> int | None:
        """A frame came: None, or the whole milliseconds by which it came too soon."""
        if self._over_rate and self._bucket.is_full:
            self._over_rate = 0
        wait = self._bucket.try_take()
        if wait is not None:
            self._over_rate += 1
            if self._over_rate > MAX_FRAMES_OVER_RATE:
                self._on_flood("too many frames")
        return wait

    def saw_good(self) -> None:
        """The frame could be read."""
        self._bad = 0

    def saw_bad(self) -> None:
        """The frame could not be read."""
        self._bad += 1
        if self._bad >= MAX_BAD_FRAMES:
            self._on_flood("too many bad frames")
