"""The sessions of this process: who holds which token, and what waits for a resume.

A token may be taken up by a connection to another server, or be over there. Where the journal is shared
its rows say so: `Sessions.look` reads them, and ends what is not this process's any more.

Only the registry lives here; what a session does with frames and effects is `server.sessions.session`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from machines.models.connection import ConnectionState
from server.concurrency.batcher import Batcher
from server.environment import Environment
from server.sessions.accounts import Accounts
from server.sessions.ports import OnRefusal
from server.sessions.quotas import Allowances
from server.sessions.requests import Requests
from server.sessions.shared_rate import SharedRate
from server.threads.broadcast import Broadcast
from server.threads.service import ThreadService
from storage.journal.port import Journal

MAX_KEPT = 10_000
"""Interrupted connections that are kept for a resume; beyond it the journal's rows must do."""


class LiveSession(Protocol):
    """A session that holds a token."""

    @property
    def holder(self) -> str | None:
        """Names its connection to all servers, once it resumed; None where it signed in."""

    def replaced(self) -> None:
        """Another socket resumed it."""

    def expired(self) -> None:
        """Its time is over."""

    def read_anew(self) -> None:
        """What its client was shown is void."""


@dataclass(frozen=True, slots=True)
class SessionServices:
    """What every session works with."""

    environment: Environment
    journal: Journal
    thread_service: ThreadService
    broadcast: Broadcast
    accounts: Accounts
    requests: Requests
    sign_ins: SharedRate
    allowances: Allowances
    connections_per_user: int
    """0 is no limit."""
    on_refusal: OnRefusal


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
        self._looks: Batcher[str, None] = Batcher(self._look)

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

    def knows(self, token_hash: str) -> bool:
        """Whether a connection of this process holds the token, or is about to."""
        return token_hash in self._live or token_hash in self._arriving

    def take(self, token_hash: str) -> ConnectionState | None:
        """The interrupted connection of this token, if it is still here."""
        return self._kept.pop(token_hash, None)

    def read_anew(self) -> None:
        """What every client was shown is void: each resumes, and reads anew."""
        self._kept.clear()
        for session in tuple(self._live.values()):
            session.read_anew()

    async def end(self, token_hash: str, by: LiveSession | None = None) -> None:
        """End a session: its time is over, or the connection `by` signs out.

        Whoever else holds it, or is about to, holds nothing any more. Raises JournalError.
        """
        await self.services.accounts.end_session(token_hash)
        self._over(token_hash, by)

    async def confirm(self, token_hash: str, session: LiveSession) -> bool:
        """Whether a session holds its token still, as it is in the journal where others may change
        that. Raises JournalError."""
        if self.services.journal.shared:
            await self._looks.ask(token_hash)
        return self._live.get(token_hash) is session

    async def look(self, token_hashes: Collection[str] | None = None) -> None:
        """End those of these sessions, or of all, that another server took up or ended.

        Raises JournalError.
        """
        here = self._live.keys() | self._arriving.keys()
        if token_hashes is not None:
            here &= set(token_hashes)
        if here:
            await self._look(tuple(here))

    async def _look(self, token_hashes: Sequence[str]) -> Sequence[None]:
        before = {token_hash: self._live.get(token_hash) for token_hash in token_hashes}
        holders = await self.services.journal.session_holders(before.keys())
        for token_hash, session in before.items():
            if token_hash not in holders:
                self._over(token_hash)
            elif (
                session is not None
                # One that came since is not what was read about.
                and session is self._live.get(token_hash)
                and session.holder != holders[token_hash]
            ):
                session.replaced()
        return [None] * len(token_hashes)

    def _over(self, token_hash: str, by: LiveSession | None = None) -> None:
        """The session's row is gone: who resumes has either asked before, and is among those here, or
        finds no session."""
        self._kept.pop(token_hash, None)
        self._arriving.pop(token_hash, None)
        live = self._live.pop(token_hash, None)
        if live is not None and live is not by:
            live.expired()
