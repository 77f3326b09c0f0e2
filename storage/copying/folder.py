"""A data folder as a place of a copy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Table, func, insert, select, text

from machines.models.errors import JournalError
from storage.copying.place import Place, named
from storage.copying.tables import Values
from storage.folder_lock import FolderLock
from storage.journal import migrations
from storage.journal.dialect import journal_url, reading_engine, writing_engine
from storage.journal.migrations import Migrated
from storage.journal.sqlite import JOURNAL_FILE
from storage.private_files import close_to_others

_BUSY_SECONDS: Final = 5.0

_LAST: Final = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
_FORGET_LAST: Final = text("DELETE FROM sqlite_sequence WHERE name = :name")
_KEEP_LAST: Final = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")


class FolderPlace:
    """The journal in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / JOURNAL_FILE
        self._lock = FolderLock(folder)
        url = journal_url(self._file)
        self._reading = reading_engine(url, busy_timeout=_BUSY_SECONDS)
        self._writing = writing_engine(url, busy_timeout=_BUSY_SECONDS)

    def __str__(self) -> str:
        return str(self._folder)

    def is_same(self, other: Place) -> bool:
        if not isinstance(other, FolderPlace):
            return False
        return self._folder.resolve() == other._folder.resolve()

    def hold(self, *, make: bool) -> None:
        with named(self):
            if not make and not self._file.is_file():
                raise JournalError("There is no journal in it.", retryable=False)
            self._lock.acquire()
            try:
                if make:
                    close_to_others(self._file)
            except OSError as error:
                raise JournalError(
                    "The folder cannot be written: check its permissions.",
                    retryable=False,
                    detail=type(error).__name__,
                ) from error

    def release(self) -> None:
        self._reading.dispose()
        self._writing.dispose()
        self._lock.release()

    def state(self) -> Migrated:
        with self.reading() as connection:
            return migrations.state(connection)

    def make_tables(self) -> None:
        with self.writing() as connection:
            migrations.upgrade(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with named(self), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with named(self), self._writing.begin() as connection:
            yield connection

    def insert(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        connection.execute(insert(table), [dict(row._mapping) for row in rows])

    def last_number(self, connection: Connection, table: Table) -> int:
        (column,) = table.primary_key.columns
        greatest = connection.execute(select(func.max(column))).scalar_one() or 0
        if not _is_kept(table):
            return greatest
        kept = connection.execute(_LAST, {"name": table.name}).scalar_one_or_none() or 0
        return max(greatest, kept)

    def number_after(self, connection: Connection, table: Table, last: int) -> None:
        if _is_kept(table):
            connection.execute(_FORGET_LAST, {"name": table.name})
            connection.execute(_KEEP_LAST, {"name": table.name, "last": last})


def _is_kept(table: Table) -> bool:
    """Whether SQLite remembers the last number; else the next one follows the greatest that is there."""
    return bool(table.dialect_options["sqlite"]["autoincrement"])
