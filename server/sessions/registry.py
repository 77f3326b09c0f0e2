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
        self._arriving: dict[str, set[LiveSession]] = {}
        """Connections that resume and are not live yet: the session's end reaches them too."""

    def arrive(self, token_hash: str, session: LiveSession) -> None:
        """The session begins a resume. Next: `live` or `turn_back`."""
        self._arriving.setdefault(token_hash, set()).add(session)

    def arrives(self, token_hash: str, session: LiveSession) -> bool:
        """Whether the resume goes on: nothing ended the session since `arrive`."""
        return session in self._arriving.get(token_hash, ())

    def turn_back(self, token_hash: str, session: LiveSession) -> None:
        """The resume is over, whatever came of it."""
        arriving = self._arriving.get(token_hash, set())
        arriving.discard(session)
        if not arriving:
            self._arriving.pop(token_hash, None)

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

    async def end(self, token_hash: str, by: LiveSession | None = None) -> None:
        """End a session: its time is over, or the connection `by` signs out.

        Whoever else holds it, or is about to, holds nothing any more. Raises JournalError.
        """
        await self.services.accounts.end_session(token_hash)
        # From here on nothing awaits: who resumes has either asked before the end, and is among
        # those below, or finds no session.
        self._kept.pop(token_hash, None)
        self._arriving.pop(token_hash, None)
        live = self._live.pop(token_hash, None)
        if live is not None and live is not by:
            live.expired()
