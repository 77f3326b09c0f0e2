"""The journal in one SQLite file, held by one process at a time.

journal = SqliteJournal(data / JOURNAL_FILE)
await journal.open()
try:
    committed = await journal.commit(batch)
finally:
    await journal.close()
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from machines.models.chorus import RunProgress
from machines.models.errors import JournalError
from machines.models.ids import ServerId, StreamId
from machines.models.journal import QueuedTask
from storage.folder_lock import FolderLock
from storage.journal import carriers, epochs, migrations
from storage.journal.answers import Change
from storage.journal.damage import DamageLog
from storage.journal.dialect import READERS, journal_url, reading_engine, writing_engine
from storage.journal.failures import DAMAGED_VALUE, journal_failure
from storage.journal.migrations import Migrated
from storage.journal.reader import SnapshotReader
from storage.journal.savepoints import SavepointCommitter
from storage.journal.sql import SqlJournal
from storage.journal.writer import GroupCommitWriter
from storage.private_files import close_to_others

JOURNAL_FILE: Final = "journal.sqlite3"
"""The usual name of the file in its data folder."""


class SqliteJournal(SqlJournal):
    """A `Journal`. Call `open` first and `close` last; both may be called again."""

    def __init__(
        self,
        file: Path,
        *,
        make_epoch: Callable[[], str] = lambda: str(uuid4()),
        busy_timeout: float = 5.0,
    ) -> None:
        """Nothing is opened or made yet.

        Args:
            make_epoch: Names a store that is opened for the first time.
            busy_timeout: Seconds to wait for a lock that another program holds on the database.
        """
        self._file = file
        self._make_epoch = make_epoch
        self._lock = FolderLock(file.absolute().parent)
        url = journal_url(file)
        damage = DamageLog()
        self._writing = damage.on(writing_engine(url, busy_timeout=busy_timeout))
        self._reading = damage.on(reading_engine(url, busy_timeout=busy_timeout))
        super().__init__(
            GroupCommitWriter(SavepointCommitter(self._writing)),
            SnapshotReader(self._reading, threads=READERS),
            damage,
        )

    @property
    def shared(self) -> bool:
        return False

    async def open(self) -> None:
        """Migrate and open for writing.

        Raises:
            JournalError: the folder is held by another process, or the file is damaged.
        """
        await asyncio.to_thread(self._open)
        self._writer.start()
        self._reader.start()

    def _open(self) -> Migrated:
        """Gives what the file was before."""
        self._lock.acquire()
        try:
            close_to_others(self._file)
            with self._writing.connect() as connection:
                with connection.begin():
                    before = migrations.state(connection)
                    migrations.upgrade(connection)
                    if epochs.epoch(connection) is None:
                        epochs.set_epoch(connection, self._make_epoch())
                migrations.finish(connection)
        except SQLAlchemyError as error:
            self._release()
            raise journal_failure(error) from error
        except OSError as error:
            self._release()
            raise JournalError(
                "The journal cannot be opened: check the data folder's permissions.",
                detail=f"{self._file}: {error}",
            ) from error
        except (ValueError, LookupError, TypeError) as error:
            self._release()
            raise JournalError(
                DAMAGED_VALUE,
                retryable=False,
                detail=type(error).__name__,
            ) from error
        except BaseException:
            self._release()
            raise
        return before

    async def close(self) -> None:
        """Let waiting commits finish, then close."""
        await self._writer.close()
        await self._reader.close()
        await asyncio.to_thread(self._release)

    async def taken(self) -> str:
        # The file's lock is this process' until its end.
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    @asynccontextmanager
    async def changes(self) -> AsyncIterator["_NoChanges"]:
        yield _NoChanges()

    async def unheard(self) -> tuple[Change, ...]:
        return ()

    # No other process is there that could take what waits.

    async def claim_tasks(self, *, limit: int, seconds: float) -> tuple[QueuedTask, ...]:
        del seconds
        tasks, damaged = await self._claimable(limit=limit)
        await self.finish_tasks(damaged)
        return tasks

    async def release_tasks(self, positions: Sequence[int]) -> None:
        pass

    @asynccontextmanager
    async def alone_with_memory(self) -> AsyncIterator[None]:
        yield

    # one server at a time: its lease is the folder's lock, and its clock the only one

    def now(self) -> None:
        return None

    async def join(self, server_id: ServerId, *, version: str, seconds: float) -> None:
        """Nothing to do."""

    async def heartbeat(self, server_id: ServerId, *, seconds: float) -> bool:
        del server_id, seconds
        return True

    async def lease_lengths(self) -> tuple[float, ...]:
        return ()

    async def leave(self, server_id: ServerId) -> int:
        """Nothing to do: the next server takes up what this one carried."""
        del server_id
        return 0

    async def run_released(self, within: float) -> None:
        await asyncio.sleep(within)

    async def claim_runs(
        self, server_id: ServerId, *, fingerprints: Collection[str]
    ) -> tuple[RunProgress, ...]:
        # No other server is there to which a run of another chart could be left.
        del fingerprints
        claimed: tuple[RunProgress, ...] = await self._writer.submit(
            lambda connection: carriers.claim_all(connection, server_id)
        )
        return claimed

    def _release(self) -> None:
        self._reading.dispose()
        self._writing.dispose()
        self._lock.release()


class _NoChanges:
    """`Changes` of a file that no other process writes."""

    async def __aiter__(self) -> AsyncIterator[Change]:
        await asyncio.get_running_loop().create_future()
        yield Change(StreamId(""), 0, 0)


@asynccontextmanager
async def read_file(file: Path, *, busy_timeout: float = 5.0) -> AsyncIterator[SnapshotReader]:
    """Reads of a journal that is not opened: a server that holds its folder is not disturbed."""
    engine = reading_engine(journal_url(file), busy_timeout=busy_timeout)
    reader = SnapshotReader(engine, threads=1)
    reader.start()
    try:
        yield reader
    finally:
        await reader.close()
        engine.dispose()


def migrate(file: Path, make_epoch: Callable[[], str]) -> Migrated:
    """Bring the file to this version's tables; gives what it was before. Blocks.

    Raises:
        JournalError: its folder is held by another process, or it is damaged, or of a newer version.
    """
    journal = SqliteJournal(file, make_epoch=make_epoch)
    before = journal._open()
    journal._release()
    return before
