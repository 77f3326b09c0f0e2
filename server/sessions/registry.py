"""The sessions of this process: who holds which token, and what waits for a resume.

Only the registry lives here; what a session does with frames and effects is `server.sessions.session`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from machines.models.connection import ConnectionState
from server.concurrency.rate_limit import RateLimiter
from server.environment import Environment
from server.sessions.accounts import Accounts
from server.sessions.quotas import Allowances
from server.sessions.requests import Requests
from server.threads.broadcast import Broadcast
from server.threads.service import ThreadService
from storage.journal.port import Journal

MAX_KEPT = 10_000
"""Interrupted connections that are kept for a resume; beyond it the journal's rows must do."""


class LiveSession(Protocol):
    """A session that holds a token."""

    def replaced(self) -> None:
        """Another socket resumed it."""

    def expired(self) -> None:
        """Its time is over."""


@dataclass(frozen=True, slots=True)
class SessionServices:
    """What every session works with."""

    environment: Environment
    journal: Journal
    thread_service: ThreadService
    broadcast: Broadcast
    accounts: Accounts
    requests: Requests
    sign_ins: RateLimiter[str]
    allowances: Allowances
    connections_per_user: int
    """0 is no limit."""
    on_refusal: Callable[[str], None]
    """Told the code of each error that a request gets."""


class Phase(Enum):
    """What a server does for its sessions."""

    SERVING = auto()
    GOING_AWAY = auto()
    """Nothing new is begun; whoever is here may resume elsewhere."""


class Sessions:
    """The sessions of this process: the live ones by token, and those that may resume."""

    def __init__(self, services: SessionServices) -> None:
        self.services = services
        self.phase = Phase.SERVING
        self._live: dict[str, LiveSession] = {}
        self._kept: dict[str, ConnectionState] = {}

    def live(self, token_hash: str, session: LiveSession) -> None:
        """This session holds the token now; another one that did is replaced."""
        former = self._live.get(token_hash)
        self._live[token_hash] = session
        if former is not None and former is not session:
            former.replaced()

    def gone(self, token_hash: str, session: LiveSession) -> None:
        """The session holds the token no more."""
        if self._live.get(token_hash) is session:
            del self._live[token_hash]

    def keep(self, token_hash: str, state: ConnectionState) -> None:
        """An interrupted connection waits for its resume."""
        self._kept[token_hash] = state
        while len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]

    def holds(self, token_hash: str) -> bool:
        """Whether a live connection of this process holds the token."""
        return token_hash in self._live

    def take(self, token_hash: str) -> ConnectionState | None:
        """The interrupted connection of this token, if it is still here."""
        return self._kept.pop(token_hash, None)

    async def expire(self, token_hash: str) -> None:
        """A session's time is over. Raises JournalError."""
        self._kept.pop(token_hash, None)
        await self.services.accounts.end_session(token_hash)
        live = self._live.get(token_hash)
        if live is not None:
            live.expired()
