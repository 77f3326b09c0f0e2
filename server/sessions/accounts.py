"""Accounts: users and their sessions: user rows begin at the first sign-in, sessions live by a token's
hash.

What happens to a person outside any thread is in the journal too, in a stream of their own. When
many sign in at the same moment, as they do after a restart, one read and one commit serve them all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from machines.decisions.connections import hash_token
from machines.models.domain import Deleted, SessionRecord, StateTransition, User
from machines.models.ids import (
    MessageId,
    PublicKey,
    ThreadId,
    TimerId,
    UserId,
    user_stream,
)
from machines.models.journal import (
    Batch,
    JournalEntry,
    RememberedReply,
    SessionTimer,
    TimerRow,
    creation_of,
    update_of,
)
from machines.models.user_thread import UserThread
from server.concurrency.batcher import Batcher
from server.concurrency.retry import through_races
from server.environment import Environment
from storage.journal.answers import Arrival, KnownUser
from storage.journal.port import Journal

T = TypeVar("T")

TOKEN_BYTES = 32

INIT_ITEMS = 100
"""Threads, and invitations, that a user is told of when they come."""

SIGN_INS_PAUSE = 0.02
"""Seconds between two commits of sign-ins, while many come. Each costs three hops to other threads and
a wait for the disk; at a thousand sign-ins a second it was made for six of them, and is now for
twenty, who notice nothing of it."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person with a session that just began; the token is known nowhere else."""

    user: User
    session: SessionRecord
    token: str


class KeepsTimers(Protocol):
    """Takes timers whose rows are durable, and forgets those whose rows are gone."""

    def set(self, rows: tuple[TimerRow, ...]) -> None: ...

    def cancel(self, timer_ids: tuple[TimerId, ...]) -> None: ...


class Accounts:
    """Users and sessions, through the journal."""

    def __init__(
        self,
        journal: Journal,
        environment: Environment,
        timers: KeepsTimers,
        *,
        session_hours: float,
    ) -> None:
        self._journal = journal
        self._environment = environment
        self._timers = timers
        self._session_hours = session_hours
        self._locks: WeakValueDictionary[PublicKey, asyncio.Lock] = WeakValueDictionary()
        """One writer at a time for each person's stream, or the many would starve."""
        self._sign_ins: Batcher[PublicKey, SignedIn] = Batcher(
            self._sign_in_all, pause=SIGN_INS_PAUSE
        )
        """Never twice the same person in a group: each waits under their lock."""
        self._arrivals: Batcher[PublicKey, Arrival] = Batcher(self._arrivals_of)
        self._holds: Batcher[tuple[str, str], bool] = Batcher(self._hold_all)

    async def sign_in(self, public_key: PublicKey) -> SignedIn:
        """Begin a session for a key whose signature was checked. Raises JournalError."""
        async with self._alone(public_key):
            return await self._sign_ins.ask(public_key)

    async def arrival_of(self, public_key: PublicKey) -> Arrival:
        """The threads and invitations that a user finds when they come. Raises JournalError."""
        return await self._arrivals.ask(public_key)

    async def _arrivals_of(self, public_keys: Sequence[PublicKey]) -> Sequence[Arrival]:
        found = await self._journal.arrivals(frozenset(public_keys), limit=INIT_ITEMS)
        return [found[key] for key in public_keys]

    async def _sign_in_all(self, public_keys: Sequence[PublicKey]) -> Sequence[SignedIn]:
        """Begin a session for each of these, who are different people."""

        async def sign_in() -> Sequence[SignedIn]:
            known = await self._journal.known_users(public_keys)
            now = self._environment.now()
            tokens = self._tokens(len(public_keys))
            begun = [
                self._begun(key, known[key].user, token, now)
                for key, token in zip(public_keys, tokens, strict=True)
            ]
            timers = tuple(session_end(each.session) for each in begun)
            entries = tuple(_signed_in(each, known[each.user.public_key]) for each in begun)
            await self._journal.commit(Batch(entries=entries, timers=timers))
            self._timers.set(timers)
            return begun

        return await through_races(sign_in)

    def _tokens(self, count: int) -> list[str]:
        """So many fresh tokens."""
        return [self._environment.secret(TOKEN_BYTES).hex() for _ in range(count)]

    def _begun(
        self, public_key: PublicKey, known: User | None, token: str, now: datetime
    ) -> SignedIn:
        user = known or User(
            id=UserId(self._environment.new_id()),
            public_key=public_key,
            created_at=now,
            updated_at=now,
        )
        session = SessionRecord(
            id=hash_token(token),
            public_key=public_key,
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(hours=self._session_hours),
        )
        return SignedIn(user, session, token)

    async def set_name(self, public_key: PublicKey, name: str, reply: RememberedReply) -> None:
        """Give oneself a name. Raises JournalError, JournalConflict where `reply` was given."""
        await self._change_user(public_key, "renamed", {"name": name}, reply)

    async def set_presence(
        self, public_key: PublicKey, *, hides: bool, reply: RememberedReply
    ) -> None:
        """Show where one is, and see it of others, or neither. Raises as `set_name`."""
        await self._change_user(public_key, "presence_set", {"hides_presence": hides}, reply)

    async def _change_user(
        self, public_key: PublicKey, kind: str, fields: Mapping[str, object], reply: RememberedReply
    ) -> None:
        async def change() -> None:
            user = await self._journal.user(public_key)
            assert user is not None  # noqa: S101 - who is signed in has a row
            changed = user.transition_to(self._environment.now(), **fields)
            await self._append(
                public_key, kind, (update_of("user", changed),), data=dict(fields), reply=reply
            )

        await self._write(public_key, change, reply)

    async def mark_read(
        self, public_key: PublicKey, thread_id: ThreadId, seq: int, reply: RememberedReply
    ) -> bool:
        """Note that a user has read a thread up to an entry; False where they had before.

        Raises JournalError, JournalConflict where `reply` was given.
        """
        data: dict[str, object] = {"thread_id": thread_id, "seq": seq}
        return await self._change_thread(
            public_key, thread_id, "read", data, lambda kept, at: kept.read_to(seq, at), reply
        )

    async def hide(
        self,
        public_key: PublicKey,
        thread_id: ThreadId,
        message_id: MessageId | None,
        *,
        hidden: bool,
        reply: RememberedReply,
    ) -> bool:
        """Hide a message of a thread, or without one the thread itself, or show it again; False where it
        was so before. Raises as `mark_read`, and RequestRefused where too much is hidden (TOO_LARGE)."""

        def change(kept: UserThread, at: datetime) -> UserThread:
            if message_id is None:
                return kept.hide(at, hidden=hidden)
            return kept.hide_message(message_id, at, hidden=hidden)

        data: dict[str, object] = {
            "thread_id": thread_id,
            "message_id": message_id,
            "hidden": hidden,
        }
        return await self._change_thread(public_key, thread_id, "hidden", data, change, reply)

    async def _change_thread(
        self,
        public_key: PublicKey,
        thread_id: ThreadId,
        kind: str,
        data: dict[str, object],
        changed: Callable[[UserThread, datetime], UserThread],
        reply: RememberedReply,
    ) -> bool:
        """Change what a user keeps of a thread; False where it stays as it is.

        Args:
            data: of the entry: what the user's connections to other servers are told of.
        """

        async def write() -> bool:
            kept = await self._journal.user_thread(public_key, thread_id)
            now = self._environment.now()
            before = kept or UserThread.begin(public_key, thread_id, now)
            after = changed(before, now)
            if after is before:
                await self._journal.commit(Batch(entries=(), reply=reply))
                return False
            make = creation_of if kept is None else update_of
            change = make("user_thread", after)
            await self._append(public_key, kind, (change,), data=data, reply=reply)
            return True

        return await self._write(public_key, write, reply)

    async def hold_session(self, token_hash: str, holder: str) -> bool:
        """Let a session be held by this connection alone, whichever server another is to; False where
        the session is over. Raises JournalError."""
        return await self._holds.ask((token_hash, holder))

    async def _hold_all(self, wanted: Sequence[tuple[str, str]]) -> Sequence[bool]:
        # Of several connections that take one session at this moment the last one has it.
        there = await self._journal.hold_sessions(dict(wanted))
        return [token_hash in there for token_hash, _ in wanted]

    async def end_session(self, token_hash: str) -> SessionRecord | None:
        """Forget a session, if it is still there: its token is worth nothing from now on."""
        found = await self._journal.session(token_hash)
        if found is None:
            return None

        async def end() -> SessionRecord | None:
            session = await self._journal.session(token_hash)
            if session is None:
                return None
            gone = Deleted(kind="session", id=session.id, version=session.version)
            timers = (session_timer(token_hash),)
            await self._append(session.public_key, "session_ended", (gone,), cancelled=timers)
            self._timers.cancel(timers)
            return session

        async with self._alone(found.public_key):
            return await through_races(end)

    async def _write(
        self, public_key: PublicKey, work: Callable[[], Awaitable[T]], reply: RememberedReply
    ) -> T:
        """Carry out what appends to a user's stream, until it is the first to, or was answered."""

        async def is_answered() -> bool:
            return await self._journal.reply(public_key, reply.request_id) is not None

        async with self._alone(public_key):
            return await through_races(work, until=is_answered)

    def _alone(self, public_key: PublicKey) -> asyncio.Lock:
        lock = self._locks.get(public_key)
        if lock is None:
            lock = self._locks[public_key] = asyncio.Lock()
        return lock

    async def _append(
        self,
        public_key: PublicKey,
        kind: str,
        changes: tuple[StateTransition, ...],
        *,
        data: dict[str, object] | None = None,
        cancelled: tuple[TimerId, ...] = (),
        reply: RememberedReply | None = None,
    ) -> None:
        head = await self._journal.head(user_stream(public_key))
        entry = _entry(public_key, kind, self._environment.now(), changes, head + 1)
        request_id = None if reply is None else reply.request_id
        entry = entry.model_copy(update={"data": data or {}, "request_id": request_id})
        await self._journal.commit(
            Batch(
                entries=(entry,),
                cancelled_timers=cancelled,
                reply=reply,
            )
        )


def session_end(session: SessionRecord) -> TimerRow:
    """The timer of a session, as it is set."""
    return TimerRow(
        id=session_timer(session.id),
        due_at=session.expires_at,
        timer=SessionTimer(token_hash=session.id, public_key=session.public_key),
    )


def session_timer(token_hash: str) -> TimerId:
    """The timer that ends a session."""
    return TimerId(f"session:{token_hash}")


def _entry(
    public_key: PublicKey,
    kind: str,
    at: datetime,
    changes: tuple[StateTransition, ...],
    seq: int,
) -> JournalEntry:
    return JournalEntry(
        stream=user_stream(public_key),
        type="user_event",
        kind=kind,
        at=at,
        by=public_key,
        data={},
        changes=changes,
        seq=seq,
    )


def _signed_in(begun: SignedIn, known: KnownUser) -> JournalEntry:
    user, session = begun.user, begun.session
    session_begun = creation_of("session", session)
    changes = (
        (session_begun,) if known.user is not None else (creation_of("user", user), session_begun)
    )
    return _entry(user.public_key, "signed_in", session.created_at, changes, known.head_seq + 1)
