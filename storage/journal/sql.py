"""The journal on an SQL database: SQLite in one file by default, a database server by URL.

The adapter of `storage.journal.port.Journal`. It only puts the parts together: `appender` writes a
batch, `queries`, `users` and `runs` read, `side_tables` and `memory_tasks` serve the rows beside the
journal, `writer` makes many writes one durable commit on its thread, and `reader`
runs reads on theirs. The event loop waits for futures, never for a disk.

    journal = SqlJournal(data / JOURNAL_FILE)
    await journal.open()
    try:
        committed = await journal.commit(batch)
    finally:
        await journal.close()
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from machines.models.chorus import ChorusState, RunProgress
from machines.models.domain import SessionRecord, User
from machines.models.errors import JournalError
from machines.models.ids import (
    MessageId,
    PublicKey,
    RequestId,
    RunId,
    StreamId,
    ThreadId,
)
from machines.models.journal import (
    Batch,
    Committed,
    DecisionView,
    JournalEntry,
    MemoryTask,
    QueuedTask,
    RememberedReply,
    TimerRow,
)
from machines.models.message import Message
from machines.models.thread import Thread
from storage.folder_lock import FolderLock
from storage.journal import check, memory_tasks, migrations, queries, runs, side_tables, users
from storage.journal.appender import BatchAppender
from storage.journal.dialect import (
    chunks,
    journal_failure,
    journal_url,
    reading_engine,
    sqlite_file,
    writing_engine,
)
from storage.journal.port import (
    EntryPage,
    GivenToMemory,
    KnownUser,
    MessagePage,
    StoredVector,
    ThreadPage,
)
from storage.journal.reader import SnapshotReader
from storage.journal.writer import GroupCommitWriter

log = logging.getLogger(__name__)

JOURNAL_FILE: Final = "journal.sqlite3"
"""The usual name of an SQLite journal in its data folder."""

P = ParamSpec("P")
T = TypeVar("T")


class SqlJournal:
    """A `Journal`. Call `open` first and `close` last; both may be called again."""

    def __init__(
        self,
        target: str | Path,
        *,
        make_epoch: Callable[[], str] = lambda: str(uuid4()),
        busy_timeout: float = 5.0,
    ) -> None:
        """Nothing is opened or made yet.

        Args:
            target: The path of an SQLite file, or an SQLAlchemy URL.
            make_epoch: Names a store that is opened for the first time.
            busy_timeout: Seconds to wait for a lock that another program holds on the database.
        """
        self._url = journal_url(target)
        self._make_epoch = make_epoch
        file = sqlite_file(self._url)
        self._lock = None if file is None else FolderLock(file.absolute().parent)
        self._writing = writing_engine(self._url, busy_timeout=busy_timeout)
        self._reading = reading_engine(self._url, busy_timeout=busy_timeout)
        self._appender = BatchAppender(self._writing.dialect.name)
        self._writer = GroupCommitWriter(self._writing, keeps_connection=file is not None)
        self._reader = SnapshotReader(self._reading)

    @property
    def commits(self) -> int:
        """Durable transactions since the start; batches that waited together share one."""
        return self._writer.commits

    async def open(self) -> None:
        await asyncio.to_thread(self._open)
        self._writer.start()
        self._reader.start()

    def _open(self) -> None:
        if self._lock is not None:
            self._lock.acquire()
        try:
            with self._writing.connect() as connection:
                with connection.begin():
                    migrations.upgrade(connection)
                    if queries.epoch(connection) is None:
                        side_tables.set_epoch(connection, self._make_epoch())
                _finish_migration(connection)
        except SQLAlchemyError as error:
            self._release()
            raise journal_failure(error) from error
        except (ValueError, LookupError, TypeError) as error:
            self._release()
            raise JournalError(
                "The journal holds a damaged value: run `chorus verify --repair`.",
                retryable=False,
                detail=type(error).__name__,
            ) from error
        except BaseException:
            self._release()
            raise

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        self._reading.dispose()
        self._writing.dispose()
        if self._lock is not None:
            self._lock.release()

    async def _write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._writer.submit(lambda connection: work(connection, *args, **kwargs))

    async def _read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._reader.read(lambda connection: query(connection, *args, **kwargs))

    # the store

    async def epoch(self) -> str:
        return await self._read(queries.epoch) or ""

    async def new_epoch(self, epoch: str) -> None:
        await self._write(side_tables.set_epoch, epoch)

    async def note(self, name: str, value: str | None) -> None:
        await self._write(side_tables.note, name, value)

    async def noted(self, name: str) -> str | None:
        return await self._read(queries.noted, name)

    async def commit(self, batch: Batch) -> Committed:
        return await self._write(self._appender.append, batch)

    # threads

    async def thread(self, thread_id: ThreadId) -> Thread | None:
        return await self._read(queries.thread, thread_id)

    async def decision_view(self, thread_id: ThreadId) -> DecisionView | None:
        return await self._read(queries.decision_view, thread_id)

    async def threads_of(
        self, public_key: PublicKey, *, after: str | None, limit: int
    ) -> ThreadPage:
        return await self._read(queries.threads_of, public_key, after=after, limit=limit)

    async def threads_of_each(
        self, public_keys: Collection[PublicKey], *, limit: int
    ) -> dict[PublicKey, ThreadPage]:
        return await self._read(users.threads_of_each, public_keys, limit=limit)

    async def public_threads(self, *, after: str | None, limit: int) -> ThreadPage:
        return await self._read(queries.public_threads, after=after, limit=limit)

    async def private_threads_shared_by(
        self, public_keys: Collection[PublicKey]
    ) -> frozenset[ThreadId]:
        if not public_keys:
            raise ValueError("public_keys is empty: name at least one")
        return await self._read(queries.private_threads_shared_by, public_keys)

    async def snapshot(
        self, thread_id: ThreadId, *, limit: int, before_index: int | None
    ) -> tuple[DecisionView, MessagePage] | None:
        return await self._read(queries.snapshot, thread_id, limit=limit, before_index=before_index)

    # messages, runs, users

    async def message(self, message_id: MessageId) -> Message | None:
        return await self._read(queries.message, message_id)

    async def recent_messages(
        self, thread_id: ThreadId, *, before_index: int, limit: int
    ) -> tuple[Message, ...]:
        return await self._read(
            queries.recent_messages, thread_id, before_index=before_index, limit=limit
        )

    async def pending_messages(self) -> tuple[Message, ...]:
        return await self._read(queries.pending_messages)

    async def run(self, run_id: RunId) -> ChorusState | None:
        return await self._read(runs.run, run_id)

    async def live_runs(self) -> tuple[RunProgress, ...]:
        return await self._read(runs.live_runs)

    async def user(self, public_key: PublicKey) -> User | None:
        return await self._read(queries.user, public_key)

    async def known_users(self, public_keys: Collection[PublicKey]) -> dict[PublicKey, KnownUser]:
        return await self._read(users.known_users, public_keys)

    async def names(self, public_keys: Collection[PublicKey]) -> dict[PublicKey, str]:
        return await self._read(queries.names, public_keys)

    async def session(self, token_hash: str) -> SessionRecord | None:
        return await self._read(queries.session, token_hash)

    async def sessions(self) -> tuple[SessionRecord, ...]:
        return await self._read(queries.all_sessions)

    async def touch_session(self, token_hash: str, thread_id: ThreadId | None) -> None:
        await self._write(side_tables.touch_session, token_hash, thread_id)

    # the journal itself

    async def head(self, stream: StreamId) -> int:
        return await self._read(queries.head, stream)

    async def entries(
        self, stream: StreamId, *, after_seq: int, limit: int, max_bytes: int | None = None
    ) -> EntryPage:
        return await self._read(
            queries.entry_page, stream, after_seq=after_seq, limit=limit, max_bytes=max_bytes
        )

    async def run_entries(self, run_id: RunId) -> tuple[JournalEntry, ...]:
        return await self._read(queries.run_entries, run_id)

    async def reply(self, public_key: PublicKey, request_id: RequestId) -> RememberedReply | None:
        return await self._read(queries.reply, public_key, request_id)

    async def forget_replies(self, before: datetime) -> int:
        return await self._write(side_tables.forget_replies, before)

    # timers

    async def timers(self) -> tuple[TimerRow, ...]:
        return await self._read(queries.timer_rows)

    async def drop_timer(self, row: TimerRow) -> None:
        await self._write(side_tables.drop_timer, row)

    # the memory's side

    async def queued_tasks(self, *, after: int = 0, limit: int = 100) -> tuple[QueuedTask, ...]:
        return await self._read(memory_tasks.queued_tasks, after=after, limit=limit)

    async def finish_tasks(self, positions: Sequence[int]) -> None:
        if positions:
            await self._write(memory_tasks.finish_tasks, positions)

    async def first_queued(self, thread_ids: Collection[ThreadId] | None) -> int | None:
        return await self._read(memory_tasks.first_queued, thread_ids)

    async def given_to_memory(self, *, fingerprint: str) -> GivenToMemory:
        return await self._read(memory_tasks.given_to_memory, fingerprint=fingerprint)

    async def vectors(
        self, message_ids: Collection[MessageId], *, fingerprint: str
    ) -> dict[MessageId, tuple[float, ...]]:
        return await self._read(memory_tasks.kept_vectors, message_ids, fingerprint=fingerprint)

    async def keep_vectors(self, vectors: Sequence[StoredVector]) -> None:
        if vectors:
            await self._write(memory_tasks.keep_vectors, vectors)

    async def approved_messages(self) -> AsyncIterator[tuple[Message, Thread, int]]:
        after = (ThreadId(""), -1)
        while page := await self._read(memory_tasks.approved_page, after):
            for found in page:
                yield found
            last = page[-1][0]
            after = (last.thread_id, last.index)

    async def all_links(self) -> AsyncIterator[QueuedTask]:
        after = 0
        while page := await self._read(memory_tasks.links_page, after):
            for found in page:
                yield found
            after = page[-1].position

    async def requeue(self, tasks: Collection[MemoryTask]) -> None:
        # A rebuild asks for everything at once; commits must find their turn in between.
        for some in chunks(tasks):
            await self._write(memory_tasks.requeue, some)

    # verify

    async def verify(self) -> tuple[str, ...]:
        findings = await self._read(check.find)
        return tuple(finding.sentence for finding in findings)

    async def repair(self) -> tuple[str, ...]:
        return await self._write(check.repair)


def _finish_migration(connection: Connection) -> None:
    """Rewrite what an earlier version wrote, some rows at a time, each time durably."""
    with connection.begin():
        left = migrations.go_on(connection)
    if left:
        log.warning("the entries of an earlier version are rewritten; this is done once")
    while left:
        with connection.begin():
            left = migrations.go_on(connection)
