"""What a session needs of its socket: somewhere to send, and where it was made; and whom it tells what it
refuses. Nothing is done here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from machines.models.wire.close_codes import CloseCode
from machines.models.wire.frames import ErrorData
from machines.models.wire.requests import ClientMessage
from server.threads.broadcast import LiveSink


class FrameSink(LiveSink, Protocol):
    """Where a connection's frames go; live frames are part of what the byte cap bounds."""

    def reply(self, text: str) -> None:
        """Take the answer to a request of this connection."""

    async def room(self) -> None:
        """Return once the consumer has taken enough of what waits."""


OnRefusal = Callable[[ErrorData, ClientMessage | None], None]
"""Told of each error that answers a frame, and of the request that the frame was, if it was one; never
blocks."""

CloseSocket = Callable[[CloseCode, str], None]
"""Closes the socket once what waits is written; only the first code and reason count."""


@dataclass(frozen=True, slots=True)
class ConnectionOrigin:
    """Where a connection was made: what its statement names, and whose limits it counts against."""

    host: str
    """Host and port that the client dialled, as far as the server goes by that name."""
    public_url: str
    """The server's own address, for the statement."""
    address: str
    """The peer's address."""
