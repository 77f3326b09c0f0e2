"""One budget for everything that waits to be sent, so that peers that read nothing fill no memory.

Each outbox has a cap of its own; a thousand of them together have this one. Past it the largest is
given up first, for its peer is furthest behind, until the others fit.
"""

from collections.abc import Callable
from typing import Final, Protocol

BUFFERED_BYTES: Final = 262_144
"""What a transport holds besides, where something waits behind it."""


class Waiting(Protocol):
    """An outbox."""

    @property
    def waiting(self) -> int:
        """Bytes that wait in it."""
        ...

    def give_up(self) -> None:
        """Drop what waits, and close the connection as too slow."""
        ...


class OutboxBudget:
    """Counts what waits in all outboxes of one event loop.

    Args:
        most: bytes; 0 is no limit.
        on_given_up: told of each outbox that is given up; for the metrics.
    """

    def __init__(self, most: int = 0, on_given_up: Callable[[], None] = lambda: None) -> None:
        self._most = most
        self._on_given_up = on_given_up
        self._bytes = 0
        self._holders: set[Waiting] = set()
        """Those in which something waits."""

    @property
    def used(self) -> int:
        """Bytes that wait, those in the transports before them too."""
        return self._bytes + BUFFERED_BYTES * len(self._holders)

    def moved(self, outbox: Waiting, before: int, after: int) -> None:
        """So many bytes wait in this outbox now."""
        self._bytes += after - before
        if after:
            self._holders.add(outbox)
        else:
            self._holders.discard(outbox)

    def relieve(self) -> None:
        """Give the largest up while too much waits; for the end of a tick."""
        while self._most and self.used > self._most:
            max(self._holders, key=lambda outbox: outbox.waiting).give_up()
            self._on_given_up()
