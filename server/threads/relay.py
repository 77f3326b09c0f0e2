"""What other servers commit, brought to those who are connected here.

The journal tells which streams went on. For a thread that is followed here, what its followers lack is
read and published; for one that is not, its co-authors who are connected get their notices. What is
told may be lost: so the heads of all followed threads are asked for every second, and what else was
committed and not told every five, so that a notice may come late. Each thread is followed by the numbers
of its own entries, never by their place among all.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

from machines.models.errors import JournalError
from machines.models.ids import SESSION_PREFIX, PublicKey, ThreadId, user_stream
from machines.models.journal import JournalEntry
from server.concurrency.interruption import Interruption
from server.threads.broadcast import Broadcast
from server.threads.service import ThreadService
from server.threads.tails import batched_tails
from server.wire.presenter import LiveEntry
from storage.journal.answers import Change
from storage.journal.port import Journal

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between two looks at the heads of all followed threads."""

UNHEARD_SECONDS: Final = 5.0
"""Between two questions for what was committed and not told."""

LISTEN_AGAIN_SECONDS: Final = 0.5
"""After a connection that listened was lost."""

GATHER_SECONDS: Final = 0.1
"""Notices of threads that are not followed here are gathered so long: each group costs two reads."""

MAX_GATHERED: Final = 100_000
"""Threads, and users, whose notices wait, 20 MB; what comes beyond them is not told."""

AT_ONCE: Final = 256
"""Streams that are told of at the same time."""

MAX_OF_USER: Final = 100
"""Entries of a user's stream that are read at a time."""

_THREAD: Final = "thread:"
_USER: Final = "user:"


K = TypeVar("K")


class _Span(NamedTuple):
    """The entries `after_seq + 1 .. head_seq` of a stream: those behind them are told of on their own."""

    after_seq: int
    head_seq: int

    def with_also(self, other: "_Span") -> "_Span":
        return _Span(min(self.after_seq, other.after_seq), max(self.head_seq, other.head_seq))


class HearsOfThreads(Protocol):
    """What follows from entries of a thread that another server wrote, whoever follows it."""

    def works_on(self, thread_id: ThreadId) -> bool:
        """Whether such entries matter here."""

    def thread_went_on(self, entries: Sequence[JournalEntry]) -> None:
        """Never blocks, never fails."""


class HearsOfUsers(Protocol):
    """What follows from entries of a user's stream that another server wrote."""

    def user_went_on(self, public_key: PublicKey, entries: Sequence[JournalEntry]) -> None:
        """Never blocks, never fails."""

    def session_taken_up(self, token_hash: str) -> None:
        """A connection to another server holds a session. Never blocks, never fails."""


class Relay:
    """Listens to the journal. `run` it as long as the server serves, then `close` it."""

    def __init__(
        self,
        journal: Journal,
        thread_service: ThreadService,
        broadcast: Broadcast,
        runs: HearsOfThreads,
        users: HearsOfUsers,
    ) -> None:
        self._journal = journal
        self._thread_service = thread_service
        self._broadcast = broadcast
        self._runs = runs
        self._users = users
        # A thread is told of by one task at a time: never twice the same thread.
        self._tails = batched_tails(journal)
        self._hearing = Interruption()
        self._bringing: dict[ThreadId, asyncio.Task[None]] = {}
        self._looks_now = asyncio.Event()
        self._unfollowed: dict[ThreadId, _Span] = {}
        """Threads that went on, and are not followed here or worked on."""
        self._of_users: dict[PublicKey, _Span] = {}
        """The same of the streams of users who are connected here."""
        self._has_gathered = asyncio.Event()
        broadcast.report_lags(self._bring)

    async def run(self) -> None:
        """Listen and look until cancelled; a journal that no other process writes has nothing to tell."""
        if self._journal.shared:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._look())
                tasks.create_task(self._find_unheard())
                tasks.create_task(self._tell())

    async def close(self) -> None:
        """Bring nothing more."""
        self._broadcast.report_lags(lambda _: None)
        tasks = tuple(self._bringing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Hearing

    async def _listen(self) -> None:
        while True:
            try:
                async with self._hearing.allowed(), self._journal.changes() as changes:
                    # What was committed before is found by the heads alone.
                    self._looks_now.set()
                    async for change in changes:
                        self._take(change)
            except JournalError as error:
                log.info("what other servers commit is not heard: %s", error.message)
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    def listen_anew(self) -> None:
        """What is listened to may be a database that is not written any more."""
        self._hearing.interrupt()

    def _take(self, change: Change) -> None:
        stream, head_seq = change.stream, change.head_seq
        if stream.startswith(_THREAD):
            thread_id = ThreadId(stream.removeprefix(_THREAD))
            is_known = self._thread_service.rooms.announce(thread_id, head_seq)
            is_followed = self._broadcast.expect(thread_id, head_seq)
            if self._runs.works_on(thread_id) or not (is_followed or is_known):
                self._gather(self._unfollowed, thread_id, change)
        elif stream.startswith(_USER):
            public_key = PublicKey(stream.removeprefix(_USER))
            if self._broadcast.users.count(public_key):
                self._gather(self._of_users, public_key, change)
        elif stream.startswith(SESSION_PREFIX):
            self._users.session_taken_up(stream.removeprefix(SESSION_PREFIX))

    def _gather(self, gathered: dict[K, _Span], key: K, change: Change | _Span) -> None:
        if key in gathered or len(gathered) < MAX_GATHERED:
            span = _Span(change.after_seq, change.head_seq)
            gathered[key] = gathered.get(key, span).with_also(span)
            self._has_gathered.set()

    async def _look(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._looks_now.wait()
            self._looks_now.clear()
            if not (followed := self._broadcast.all_told()):
                continue
            try:
                heads = await self._journal.heads(followed)
            except JournalError as error:
                log.info("the heads of threads cannot be read: %s", error.message)
                continue
            for thread_id, head_seq in heads.items():
                self._broadcast.expect(thread_id, head_seq)

    async def _find_unheard(self) -> None:
        """Take what was not announced: who follows has it by the heads already, who does not by this."""
        while True:
            try:
                for change in await self._journal.unheard():
                    self._take(change)
            except JournalError as error:
                log.info("what was not announced cannot be read: %s", error.message)
            await asyncio.sleep(UNHEARD_SECONDS)

    # Bringing

    def _bring(self, thread_id: ThreadId) -> None:
        """Give those who follow the thread what they lack."""
        if thread_id not in self._bringing:
            task = self._bringing[thread_id] = asyncio.create_task(self._bring_up(thread_id))
            task.add_done_callback(lambda _: self._bringing.pop(thread_id, None))

    async def _bring_up(self, thread_id: ThreadId) -> None:
        told = None
        while self._broadcast.lags(thread_id) and self._broadcast.told(thread_id) != told:
            told = self._broadcast.told(thread_id)
            try:
                await self._thread_service.bring_up(thread_id)
            except JournalError as error:
                log.info("followers wait for entries: %s", error.message)
                return
            except Exception:
                log.exception("followers cannot be given what they lack, and come again")
                self._broadcast.give_up(thread_id)
                return

    # Telling of what is not followed

    async def _tell(self) -> None:
        while True:
            await self._has_gathered.wait()
            self._has_gathered.clear()
            threads, self._unfollowed = self._unfollowed, {}
            users, self._of_users = self._of_users, {}
            waits = False
            telling: list[Callable[[], Awaitable[bool]]] = [
                partial(self._tell_of_user, *each) for each in users.items()
            ]
            try:
                concerned = await self._concerned(threads)
            except JournalError as error:
                waits = self._waits(self._unfollowed, threads, error)
            else:
                telling += [partial(self._tell_of_thread, *each) for each in concerned.items()]
            for some in (telling[n : n + AT_ONCE] for n in range(0, len(telling), AT_ONCE)):
                waits |= any(await asyncio.gather(*(tell() for tell in some)))
            await asyncio.sleep(LOOK_SECONDS if waits else GATHER_SECONDS)

    async def _concerned(self, spans: Mapping[ThreadId, _Span]) -> dict[ThreadId, _Span]:
        """Those of the threads that matter to a run or a user here. Raises JournalError."""
        audiences = await self._journal.audiences(spans) if spans else {}
        return {
            thread_id: span
            for thread_id, span in spans.items()
            if self._runs.works_on(thread_id)
            or any(map(self._broadcast.users.count, audiences.get(thread_id, ())))
        }

    async def _tell_of_thread(self, thread_id: ThreadId, span: _Span) -> bool:
        """Gives whether some of it waits for the journal."""
        after_seq, head_seq = span
        try:
            while after_seq < head_seq:
                tail = await self._tails.ask((thread_id, after_seq))
                if tail is None or not tail.entries:
                    break
                self._runs.thread_went_on(tail.entries)
                if not self._broadcast.expect(thread_id, tail.head_seq):
                    told = [LiveEntry(each) for each in tail.entries if each.seq <= head_seq]
                    self._broadcast.notify(tail.thread, told)
                after_seq = tail.entries[-1].seq
        except JournalError as error:
            return self._waits(self._unfollowed, {thread_id: _Span(after_seq, head_seq)}, error)
        except Exception:
            log.exception("notices of another server's entries are lost")
        return False

    async def _tell_of_user(self, public_key: PublicKey, span: _Span) -> bool:
        """As `_tell_of_thread`."""
        after_seq, head_seq = span
        try:
            while after_seq < head_seq:
                page = await self._journal.entries(
                    user_stream(public_key),
                    after_seq=after_seq,
                    limit=min(MAX_OF_USER, head_seq - after_seq),
                )
                self._users.user_went_on(public_key, page.entries)
                after_seq += len(page.entries)
                if not page.has_more:
                    break
        except JournalError as error:
            return self._waits(self._of_users, {public_key: _Span(after_seq, head_seq)}, error)
        except Exception:
            log.exception("notices of another server's entries are lost")
        return False

    def _waits(
        self, gathered: dict[K, _Span], spans: Mapping[K, _Span], error: JournalError
    ) -> bool:
        """Whether they are told of once the journal answers. Where one is damaged its notices are lost: it
        must not hold up the others."""
        if not error.retryable:
            log.error("notices of another server's entries are lost: %s", error.message)
            return False
        log.info("notices of other servers' entries wait: %s", error.message)
        for key, span in spans.items():
            self._gather(gathered, key, span)
        return True
