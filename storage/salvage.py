"""Saving what is whole of a damaged SQLite journal: offline, with the data folder held.

The damaged file is copied aside first, as it is. Then a new journal is written from the entries that
can still be read: of each stream the beginning up to its first gap, since what follows a gap cannot be
replayed. Snapshots are replayed from the entries; replies, memory tasks, timers and vectors are taken
over where they are about something that was saved. The new journal gets a new epoch, because what
clients remember of the old one is void, and takes the old one's place only when it is durable.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from machines.models.domain import Message, MessageStatus, Session
from machines.models.errors import ChorusError, JournalError
from machines.models.journal import JournalEntry, RememberedReply
from storage import migrations, sql_beside
from storage.lock import FolderLock
from storage.schema import (
    entries,
    memory_tasks,
    messages,
    replies,
    runs,
    sessions,
    timers,
    vectors,
)
from storage.sql_append import BatchAppender
from storage.sql_dialect import journal_failure, journal_url, writing_engine
from storage.sql_rows import Row, entry_columns

LARGEST_GAP: Final = 1_000_000
"""Positions that are tried behind the last readable row; beyond it nothing is looked for."""

_SURE_STEP: Final = 16
"""Rows are skipped so many at a time at most where a page is damaged: a page holds a few."""

_BOLDER: Final = 8
"""Behind a longer damage, an eighth of what was skipped already: else a lost end of the file would
be tried for minutes."""

_BUSY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was saved, and where the rest lies."""

    aside: Path
    """The damaged file, as it was."""
    saved: int
    """Entries of the new journal."""
    left_out: int
    """Entries that can be read and follow a gap in their stream."""
    pending: tuple[Message, ...]
    """Messages that wait for votes: each needs its timer."""
    sessions: tuple[Session, ...]
    """Sessions: each needs its timer."""


def damage(file: Path) -> str | None:
    """One sentence about what is wrong with the file or its entries; None where both are whole.

    A snapshot or an index that is wrong is no damage: `storage.journal_check` mends it.

    Raises:
        JournalError: the folder is in use, or the file cannot be opened at all.
    """
    lock = FolderLock(file.absolute().parent)
    lock.acquire()
    try:
        with closing(sqlite3.connect(file)) as connection:
            found = connection.execute("PRAGMA integrity_check(20)").fetchall()
            # An index that is wrong is built again from its table.
            broken = [line for (line,) in found if line != "ok" and "index" not in line]
            if broken:
                return f"{file.name} is damaged: {broken[0].splitlines()[-1]}."
            for stream, seq, body in connection.execute(
                "SELECT stream, seq, body FROM entries ORDER BY position"
            ):
                if _entry({"stream": stream, "seq": seq, "body": body}) is None:
                    return f"{file.name} is damaged: entry {seq} of {stream} cannot be read."
    except sqlite3.DatabaseError as error:
        failure = journal_failure(error)
        if failure.retryable and not _is_corrupt(error):
            raise failure from error
        return f"{file.name} is damaged: {error}."
    finally:
        lock.release()
    return None


def salvage(file: Path, *, aside: Path, epoch: str) -> Salvaged:
    """Put a journal of what is whole in the damaged file's place.

    Args:
        aside: Where the damaged file is kept; must not exist.
        epoch: Names the new journal.

    Raises:
        JournalError: nothing at all can be read, or the folder is in use or full; the damaged file
            is where it was.
    """
    lock = FolderLock(file.absolute().parent)
    lock.acquire()
    fresh = file.with_name(f"{file.name}.new")
    try:
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copy2(f"{file}{suffix}", f"{aside}{suffix}")
        _remove(fresh)
        salvaged = _write(file, fresh, aside, epoch)
        _replace(file, fresh)
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise journal_failure(error) from error
    finally:
        lock.release()
    return salvaged


def _replace(file: Path, fresh: Path) -> None:
    # The log of the damaged file would be taken for the new one's.
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(file)
    folder = os.open(file.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


# --- Reading -------------------------------------------------------------------------------------


def _readable(damaged: sqlite3.Connection, table: Table) -> Iterator[Row]:
    """Every row that can be read, in the order of its row id; damaged pages are stepped over."""
    names = [column.name for column in table.columns]
    query = f"SELECT rowid, {', '.join(names)} FROM {table.name} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 - our own names
    last, step, skipped = 0, 1, 0
    while skipped < LARGEST_GAP:
        try:
            for row in damaged.execute(query, (last + skipped,)):
                if row[0] <= last:
                    # A damaged page leads back to rows that were read: nothing is read twice.
                    continue
                last, step, skipped = row[0], 1, 0
                yield dict(zip(names, row[1:], strict=True))
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            skipped += step
            step = min(2 * step, max(_SURE_STEP, skipped // _BOLDER))
        else:
            return


def _rows(damaged: sqlite3.Connection, table: Table) -> Iterator[Row]:
    """`_readable`; nothing where the table itself is not known any more."""
    try:
        damaged.execute(f"SELECT 1 FROM {table.name} LIMIT 0")  # noqa: S608 - our own name
    except sqlite3.DatabaseError:
        return
    yield from _readable(damaged, table)


def _entry(row: Row) -> JournalEntry | None:
    try:
        entry = JournalEntry.model_validate_json(row["body"])
    except (ValueError, TypeError):
        return None
    return entry if (entry.stream, entry.seq) == (row["stream"], row["seq"]) else None


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return True
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


# --- Writing -------------------------------------------------------------------------------------


def _write(file: Path, fresh: Path, aside: Path, epoch: str) -> Salvaged:
    engine = writing_engine(journal_url(fresh), busy_timeout=_BUSY_SECONDS)
    try:
        with (
            closing(sqlite3.connect(file)) as damaged,
            engine.connect() as connection,
            connection.begin(),
        ):
            # A file that is shorter than its header says is read as far as it goes.
            damaged.execute("PRAGMA writable_schema=ON")
            migrations.upgrade(connection)
            sql_beside.set_epoch(connection, epoch)
            heads, left_out = _write_entries(damaged, connection)
            if not heads:
                raise JournalError(
                    "Nothing of the journal file can be read: restore the data folder from a "
                    f"backup, or move it away to begin anew. A copy is kept as {aside.name}.",
                    retryable=False,
                )
            _write_beside(damaged, connection, heads)
            return Salvaged(
                aside=aside,
                saved=sum(heads.values()),
                left_out=left_out,
                pending=tuple(
                    Message.model_validate_json(body)
                    for body in connection.scalars(
                        select(messages.c.body).where(
                            messages.c.status == MessageStatus.PENDING.value
                        )
                    )
                ),
                sessions=tuple(
                    Session.model_validate_json(body)
                    for body in connection.scalars(select(sessions.c.body))
                ),
            )
    finally:
        engine.dispose()


def _write_entries(
    damaged: sqlite3.Connection, connection: Connection
) -> tuple[dict[str, int], int]:
    """Replay the streams up to their first gaps; gives their heads, and how much was left out."""
    appender = BatchAppender(connection.dialect.name)
    heads: dict[str, int] = {}
    left_out = 0
    for row in _rows(damaged, entries):
        entry = _entry(row)
        if entry is None:
            continue
        if entry.seq != heads.get(entry.stream, 0) + 1:
            left_out += 1
            continue
        try:
            with connection.begin_nested():
                connection.execute(insert(entries), {**row, **entry_columns(entry)})
                appender.replay(connection, (entry,))
        except (IntegrityError, ChorusError):
            # It builds on something that was lost in another stream; its stream ends here.
            left_out += 1
            continue
        heads[entry.stream] = entry.seq
    return heads, left_out


def _write_beside(
    damaged: sqlite3.Connection, connection: Connection, heads: dict[str, int]
) -> None:
    """Take over the rows beside the journal that are about something that was saved."""
    known = {
        id_
        for table in (messages, runs, sessions)
        for id_ in connection.scalars(select(table.c.id))
    }
    _insert(connection, replies, (row for row in _rows(damaged, replies) if _holds(row, heads)))
    for table, subject in ((memory_tasks, "subject"), (vectors, "message_id")):
        rows = (row for row in _rows(damaged, table) if row[subject] in known)
        _insert(connection, table, rows)
    # A timer's id names what it is for: `kind:id`.
    kept = (row for row in _rows(damaged, timers) if row["id"].partition(":")[2] in known)
    _insert(connection, timers, kept)


def _holds(row: Row, heads: dict[str, int]) -> bool:
    """Whether the entry that a reply names was saved."""
    try:
        reply = RememberedReply.model_validate_json(row["body"])
    except ValueError:
        return False
    if reply.thread_id is None:
        return f"user:{reply.public_key}" in heads
    return (reply.seq or 0) <= heads.get(f"thread:{reply.thread_id}", 0)


def _insert(connection: Connection, table: Table, rows: Iterator[Row]) -> None:
    """Insert row by row: one that is damaged must not take the others with it."""
    for row in rows:
        with suppress(SQLAlchemyError), connection.begin_nested():
            connection.execute(insert(table), _typed(table, row))


def _typed(table: Table, row: Row) -> Row:
    """The row with the types that its table declares; SQLite keeps truth values as numbers."""
    plain: Sequence[tuple[str, Any]] = [(column.name, row[column.name]) for column in table.columns]
    return {
        name: bool(value) if table.c[name].type.python_type is bool else value
        for name, value in plain
    }
