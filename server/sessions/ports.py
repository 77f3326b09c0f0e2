"""What a session needs of its socket: somewhere to send, and where it was made. Nothing is done here."""

from dataclasses import dataclass
from typing import Protocol

from server.threads.broadcast import Delta


class Outlet(Protocol):
    """Where a connection's frames go; nothing here awaits."""

    def send(self, text: str) -> None:
        """A live frame: part of what the byte cap bounds."""

    def reply(self, text: str) -> None:
        """The answer to a request of this connection."""

    def send_delta(self, delta: Delta) -> None:
        """A passing frame."""

    async def room(self) -> None:
        """Return once the consumer has taken enough of what waits."""

    def close(self, code: int, reason: str) -> None:
        """Close the socket once what waits is written."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection was made: what its statement names, and whose limits it counts against."""

    host: str
    """Host and port that the client dialled, as far as the server goes by that name."""
    origin: str
    """The server's own address, for the statement."""
    address: str
    """The peer's address."""
