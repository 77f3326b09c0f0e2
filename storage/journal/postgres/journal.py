"""The journal in a PostgreSQL database, written by any number of servers at a time.

await migrate(address, make_epoch=new_id)
journal = PostgresJournal(address)
await journal.open()
try:
    committed = await journal.commit(batch)
finally:
    await journal.close()
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from machines.models.chorus import RunProgress
from machines.models.errors import JournalError
from machines.models.ids import ServerId, ThreadId
from machines.models.journal import Batch, Committed
from storage.journal import check, holders, rates
from storage.journal.answers import Change, Tail
from storage.journal.damage import DamageLog
from storage.journal.failures import journal_failure
from storage.journal.migrations import Migrated
from storage.journal.postgres import engines, migrating, poolers
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.announcements import CHANNEL, payloads_of, taken_up
from storage.journal.postgres.committer import PostgresCommitter
from storage.journal.postgres.leases import Leases
from storage.journal.postgres.listening import Announced, listening
from storage.journal.postgres.lost_commits import EpochKeeper, NewestEntries
from storage.journal.postgres.memory_lock import alone_with_memory
from storage.journal.postgres.unheard import FIRST_BACK, Unheard, last_position, written_after
from storage.journal.reader import SnapshotReader
from storage.journal.sql import SqlJournal
from storage.journal.store_clock import StoreClock
from storage.journal.writer import GroupCommitWriter

MOST_WAITING: Final = 2_000
"""Pieces that wait for the writer; more are refused."""

REST_SECONDS: Final = 2.0
"""How long nothing is written before the connection is looked after."""


_TELL: Final = text("SELECT pg_notify(:channel, :payload)")


class PostgresJournal(SqlJournal):
    """A `Journal`. Call `open` first and `close` last; both may be called again."""

    def __init__(
        self,
        address: PostgresAddress,
        *,
        alone: bool = False,
        make_origin: Callable[[], str] = lambda: uuid4().hex,
        make_epoch: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        """Nothing is connected to yet.

        Args:
            alone: Whether no other process may hold the database meanwhile.
            make_origin: Names this process in what it announces.
            make_epoch: Names a database that lost commits.
        """
        self._address = address
        self._alone = alone
        self._origin = make_origin()
        damage = DamageLog()
        self._writing = damage.on(engines.writing_engine(address))
        self._reading = damage.on(engines.reading_engine(address))
        self._rating = engines.rating_engine(address)
        self._rates = SnapshotReader(self._rating, threads=1)
        """Takes tokens apart from commits: nobody waits there for a bucket that another holds."""
        self._newest = NewestEntries()
        self._epochs = EpochKeeper(self._newest, make_epoch, self._origin)
        self._committer = PostgresCommitter(
            self._writing,
            self._origin,
            self._check,
            self._note_taken,
            newest=self._newest,
            epochs=self._epochs,
            alone=alone,
        )
        self._clock = StoreClock()
        self._leases = Leases(address, self._clock, damage)
        self._unheard = Unheard(time.monotonic)
        self._taken: asyncio.Future[str] | None = None
        self._has_lost = asyncio.Event()
        super().__init__(
            GroupCommitWriter(
                self._committer, rest_seconds=REST_SECONDS, most_waiting=MOST_WAITING
            ),
            SnapshotReader(
                self._reading,
                threads=engines.READERS,
                single=engines.of_single_statements(self._reading),
            ),
            damage,
        )

    @property
    def shared(self) -> bool:
        return True

    async def open(self) -> None:
        """Connect, and hold the database.

        Raises:
            JournalError: another process holds the database and one of the two would be alone with
                it, it is not migrated, it cannot hold a journal, or it cannot be reached.
        """
        loop = asyncio.get_running_loop()
        self._taken = loop.create_future()
        self._epochs.report(partial(loop.call_soon_threadsafe, self._has_lost.set))
        await asyncio.to_thread(self._open)
        self._writer.start()
        self._reader.start()
        self._rates.start()

    def _open(self) -> None:
        try:
            poolers.check_direct(self._address)
            connection = self._committer.hold()
            self._epochs.begin(connection)
            connection.commit()
        except SQLAlchemyError as error:
            self._release()
            raise journal_failure(error, certain=True) from error
        except BaseException:
            self._release()
            raise

    def _check(self, connection: Connection) -> None:
        """See what the database is, and what its clock shows. Raises JournalError where it is none that
        this process may write."""
        engines.check_server(connection)
        engines.read_clock(connection, self._clock)
        check = migrating.check_migrated if self._alone else migrating.check_servable
        check(connection)

    async def close(self) -> None:
        """Let waiting commits finish, then close."""
        await self._leases.close()
        await self._writer.close()
        await self._reader.close()
        await self._rates.close()
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        self._committer.let_go()
        self._reading.dispose()
        self._rating.dispose()
        self._writing.dispose()

    def changes(self) -> AbstractAsyncContextManager[Announced]:
        return listening(self._address, self._origin, self._take_note, self._epochs.heard)

    def _take_note(self, change: Change) -> bool:
        """Another process tells of a change; whether it was not known before."""
        self._newest.heard(change.stream, change.head_seq)
        return self._unheard.note(change)

    async def unheard(self) -> tuple[Change, ...]:
        since = self._unheard.since
        if since is None:
            last = await self._reader.read_single(last_position)
            since = max(last - FIRST_BACK, 0)
        behind = since
        found = await self._reader.read_single(lambda connection: written_after(connection, behind))
        return self._unheard.take(found, since)

    async def commit(self, batch: Batch) -> Committed:
        committed = await super().commit(batch)
        for stream, head_seq in batch.expected.items():
            appended = sum(each.stream == stream for each in committed.entries)
            self._unheard.note(Change(stream, head_seq, head_seq + appended))
        return committed

    async def entries_of_many(
        self, after: Mapping[ThreadId, int], *, max_bytes: int
    ) -> dict[ThreadId, Tail]:
        tails = await super().entries_of_many(after, max_bytes=max_bytes)
        self._newest.read(tails)
        return tails

    # a database that lost commits

    async def commits_lost(self) -> str:
        while self._epochs.is_accepted:
            await self._has_lost.wait()
            self._has_lost.clear()
        epoch = self._epochs.known
        # Of these connections, some may lead to a server that others do not write to any more.
        await asyncio.to_thread(self._reading.dispose)
        await asyncio.to_thread(self._rating.dispose)
        self._leases.connect_anew()
        self._unheard = Unheard(time.monotonic)
        return epoch

    async def accept_epoch(self, epoch: str) -> None:
        # On the writer's thread: what waits there before it was decided on what is no more.
        await self._writer.submit(lambda _: self._epochs.accept(epoch))

    # servers as equals

    def now(self) -> datetime | None:
        return self._clock.now()

    async def join(self, server_id: ServerId, *, version: str, seconds: float) -> None:
        await self._leases.join(server_id, version=version, seconds=seconds)

    async def heartbeat(self, server_id: ServerId, *, seconds: float) -> bool:
        epoch = await self._leases.renew(server_id, seconds=seconds)
        if epoch is not None and not self._epochs.heard(epoch):
            self._leases.connect_anew()
            raise JournalError("The lease is renewed at a database that is behind.", certain=True)
        return epoch is not None

    async def lease_lengths(self) -> tuple[float, ...]:
        return await self._leases.lengths()

    async def leave(self, server_id: ServerId) -> int:
        return await self._leases.leave(server_id)

    async def run_released(self, within: float) -> None:
        await self._leases.hear_of_release(within)

    async def claim_runs(
        self, server_id: ServerId, *, fingerprints: Collection[str]
    ) -> tuple[RunProgress, ...]:
        return await self._leases.claim(server_id, fingerprints)

    async def taken(self) -> str:
        assert self._taken is not None  # noqa: S101 - the journal is open
        return await asyncio.shield(self._taken)

    def _note_taken(self, why: JournalError) -> None:
        taken = self._taken
        if taken is not None:
            taken.get_loop().call_soon_threadsafe(_settle, taken, why.message)

    # sessions

    async def hold_sessions(self, wanted: Mapping[str, str]) -> frozenset[str]:
        def hold(connection: Connection) -> frozenset[str]:
            there = holders.hold_sessions(connection, wanted)
            for payload in payloads_of(self._origin, taken_up(sorted(there))):
                connection.execute(_TELL, {"channel": CHANNEL, "payload": payload})
            return there

        held: frozenset[str] = await self._writer.submit(hold)
        return held

    async def take_token(self, name: str, *, rate: float, burst: float) -> int | None:
        return await self._rates.read(
            lambda connection: rates.take_token(connection, name, rate=rate, burst=burst)
        )

    async def return_token(self, name: str, *, rate: float) -> None:
        await self._rates.read(lambda connection: rates.return_token(connection, name, rate=rate))

    # the memory's side

    def alone_with_memory(self) -> AbstractAsyncContextManager[None]:
        return alone_with_memory(self._address)

    # verify: the whole journal is read, in one transaction

    async def verify(self) -> tuple[str, ...]:
        def find(connection: Connection) -> tuple[str, ...]:
            engines.unhurried(connection)
            return tuple(finding.sentence for finding in check.find(connection))

        return await self._reader.read(find)

    async def repair(self) -> tuple[str, ...]:
        def repair(connection: Connection) -> tuple[str, ...]:
            engines.unhurried(connection)
            return check.repair(connection)

        done: tuple[str, ...] = await self._writer.submit(repair)
        return done


def _settle(future: asyncio.Future[str], result: str) -> None:
    if not future.done():
        future.set_result(result)


@asynccontextmanager
async def read_database(address: PostgresAddress) -> AsyncIterator[SnapshotReader]:
    """Reads of a journal that is not opened: a server that holds it is not disturbed.

    Raises:
        JournalError: it is not migrated, or cannot be reached.
    """
    engine = engines.reading_engine(address)
    reader = SnapshotReader(engine, threads=1)
    reader.start()
    try:
        await reader.read(migrating.check_servable)
        yield reader
    finally:
        await reader.close()
        engine.dispose()


def migrate(address: PostgresAddress, make_epoch: Callable[[], str]) -> Migrated:
    """Bring the database to this version's tables; gives what it was before. Blocks.

    Raises:
        JournalError: servers run on it that must stop, it is of a newer version, a table of it is in use
            for too long, it cannot hold a journal, or it cannot be reached.
    """
    engine = engines.writing_engine(address)
    try:
        poolers.check_direct(address)
        with engine.connect() as connection:
            engines.check_server(connection)
            connection.commit()
            return migrating.migrate(connection, make_epoch)
    except SQLAlchemyError as error:
        raise journal_failure(error, certain=True) from error
    finally:
        engine.dispose()
