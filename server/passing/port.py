"""The port by which servers reach each other in passing.

It has three adapters: Redis, PostgreSQL's notifications, and none for a server that is alone.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol


class Passing(Protocol):
    """Carries texts to other servers, in order, each at most once, some never."""

    @property
    def name(self) -> str:
        """By which others reach this server."""

    @property
    def most_bytes(self) -> int:
        """Of one text, in UTF-8."""

    @property
    def gather_seconds(self) -> float:
        """How long what may wait is gathered before it is sent; 0 sends each piece."""

    def send(self, text: str, to: str | None = None) -> None:
        """Send to one server, or to all others. Never blocks, never fails: what cannot go is dropped."""

    def connect_anew(self) -> None:
        """The database lost its place to another: a connection to it is made anew. Never blocks."""

    async def run(self, take: Callable[[str], None], on_connected: Callable[[], None]) -> None:
        """Give `take` what others send, until cancelled. A connection that is lost is made again:
        what was sent meanwhile is lost, and `on_connected` is told each time that it is there."""


class NoPassing:
    """For a server that is alone."""

    name: Final = ""
    most_bytes: Final = 65_536
    gather_seconds: Final = 0.0

    def send(self, text: str, to: str | None = None) -> None:
        """There is no other server."""

    def connect_anew(self) -> None:
        """There is no connection."""

    async def run(self, take: Callable[[str], None], on_connected: Callable[[], None]) -> None:
        """Nothing comes."""
        del take, on_connected
        await asyncio.get_running_loop().create_future()
