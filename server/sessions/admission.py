"""What one connection may ask for now: its limits by address and by key.

The counts are kept by `server.sessions.quotas`, `shared_rate` and the broadcast; here they are asked for
one connection, and a limit that is met is a refusal.
"""

from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey
from machines.models.wire import requests
from machines.models.wire.requests import ClientMessage
from server.sessions.quotas import is_read, too_many
from server.sessions.registry import Phase, Sessions


class Admission:
    """Asked for everything that a connection from `address` wants."""

    __slots__ = ("_address", "_services", "_sessions")

    def __init__(self, sessions: Sessions, address: str) -> None:
        self._sessions = sessions
        self._services = sessions.services
        self._address = address

    @property
    def is_at_once(self) -> bool:
        """Whether a sign-in may be admitted without waiting, by `sign_in_at_once`."""
        return self._services.sign_ins.is_counted_here

    def sign_in_at_once(self) -> None:
        """Admit one more sign-in. Raises RequestRefused."""
        _require_time(self._services.sign_ins.take_here(self._address))

    async def sign_in(self, message: ClientMessage) -> None:
        """Admit what begins a sign-in, wherever that is counted; all else passes.

        Raises:
            RequestRefused: it is one too many.
            JournalError: it cannot be known.
        """
        if isinstance(message, requests.ConnectRequest | requests.ResumeRequest):
            _require_time(await self._services.sign_ins.take(self._address))

    def request(self, message: ClientMessage, caller: PublicKey | None) -> None:
        """Admit a request, of a key that is signed in or of nobody yet. Raises RequestRefused."""
        going_away = self._sessions.phase is Phase.GOING_AWAY
        if going_away and not isinstance(message, requests.PingRequest):
            raise RequestRefused(
                ErrorCode.SHUTTING_DOWN, "The server is going away; come again.", retryable=True
            )
        if caller is not None:
            wait = self._services.allowances.try_take(message, caller, self._address)
            if wait is not None:
                raise too_many("Too many requests; wait a moment.", wait)

    def charge(self, message: ClientMessage, text: str, caller: PublicKey | None) -> None:
        """A read is charged for what it sends, in code points: no script is dearer than another."""
        if is_read(message) and caller is not None:
            self._services.allowances.charge_read(len(text), caller, self._address)

    def connection_of(self, public_key: PublicKey) -> None:
        """Admit one more connection of a key. How many it has is its owner's to know, so this is asked
        only once the key was proved. Raises RequestRefused."""
        most = self._services.connections_per_user
        if most and self._services.broadcast.users.count(public_key) >= most:
            raise too_many("Too many connections of this key.", 60_000)


def _require_time(wait: int | None) -> None:
    if wait is not None:
        raise too_many("Too many sign-ins from your address.", wait)
