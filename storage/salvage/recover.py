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
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from machines.models.errors import ChorusError, JournalError
from machines.models.journal import RememberedReply, TimerRow
from storage.folder_lock import FolderLock
from storage.journal import epochs, migrations
from storage.journal.appender import BatchAppender
from storage.journal.bodies import entry_of
from storage.journal.dialect import journal_url, writing_engine
from storage.journal.entries import entries_of
from storage.journal.failures import journal_failure
from storage.journal.history import DECLARATION
from storage.journal.rows import (
    RowValues,
    entry_columns,
    entry_digest,
    stored_of_row,
    task_of_row,
    task_row,
    unreadable,
    vector_of_bytes,
)
from storage.journal.schema import (
    branches,
    entries,
    invitations,
    invite_links,
    memory_tasks,
    messages,
    meta,
    removals,
    replies,
    runs,
    sessions,
    timers,
    vectors,
)
from storage.journal.sources import Sources, StepKey
from storage.private_files import make_private_file
from storage.salvage.damaged_rows import DamagedJournal, open_damaged

_MOST_PASSES: Final = 8
"""Over the entries: one whose position is damaged comes too late for those that follow it."""

_BUSY_SECONDS: Final = 5.0

_ENTRY_COLUMNS: Final = ("stream", "seq", "body", "digest")
"""What is checked of an entry; a journal of the first version lacks the last."""

_READ: Final = (entries, replies, memory_tasks, vectors, timers, meta)
"""The tables that are read of a damaged journal; all others follow from the entries. Of `meta` what charts
declared is saved."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was saved, and where the rest lies."""

    aside: Path
    """The damaged file, as it was."""
    saved: int
    """Entries of the new journal."""
    left_out: int
    """Entries that can be read and follow a gap in their stream."""


def damage(file: Path) -> str | None:
    """One sentence about what is wrong with the file or its entries; None where both are whole.

    A snapshot or an index that is wrong is no damage: `storage.journal.check` mends it.

    Raises:
        JournalError: the folder is in use, or the file cannot be opened at all.
    """
    lock = FolderLock(file.absolute().parent)
    lock.acquire()
    try:
        if file.exists() and not file.stat().st_size:
            # SQLite would remove the log of an empty file, with all that it holds.
            return f"{file.name} is damaged: it is empty."
        with closing(sqlite3.connect(file)) as connection:
            # A text that is no UTF-8 any more is an entry's damage, and must be named as that.
            connection.text_factory = lambda text: text.decode(errors="surrogateescape")
            problem = next(_problems(connection), None)
    except UnicodeDecodeError:
        # SQLite's own error quotes what it could not read.
        problem = "its schema cannot be read"
    except sqlite3.DatabaseError as error:
        failure = journal_failure(error)
        if failure.retryable and not _is_corrupt(error):
            raise failure from error
        problem = str(error)
    finally:
        lock.release()
    return None if problem is None else f"{file.name} is damaged: {problem}."


def _problems(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check(20)"):
        # An index that is wrong is built again from its table.
        if line != "ok" and "index" not in line:
            yield line.splitlines()[-1]
    columns = connection.execute("PRAGMA table_info(entries)").fetchall()
    # By their number, so that asking for a column that is gone fails, as damage of the schema must.
    names = _ENTRY_COLUMNS[: None if len(columns) == len(entries.columns) else -1]
    heads: dict[str, int] = {}
    query = f"SELECT {', '.join(names)} FROM entries ORDER BY position"  # noqa: S608 - our own names
    for values in connection.execute(query):
        row = dict(zip(names, values, strict=True))
        stream, seq = row["stream"], row["seq"]
        problem = _problem_of(row)
        if problem is not None:
            yield problem
            continue
        last = heads.get(stream, 0)
        if seq != last + 1:
            # A tree that lost a leaf without a trace.
            yield f"entry {seq} of {stream} follows entry {last}"
        heads[stream] = seq


def _problem_of(row: RowValues) -> str | None:
    """What is wrong with the row of an entry, whatever it refers to."""
    stream, seq = row["stream"], row["seq"]
    try:
        stored = stored_of_row(_present(row))
    except ValueError as error:
        return str(error)
    try:
        entry_of(stream, seq, stored, _Unseen())
    except ValueError:
        return str(unreadable(stream, seq))
    return None


class _Unseen(Sources):
    """Stands for whatever an entry refers to."""

    def content(self, message_id: str) -> str:
        del message_id
        return ""

    def quoted(self, message_id: str) -> dict[str, Any]:
        return {"message_id": message_id, "role": "user", "author": None, "content": ""}

    def priors_of(self, run_id: str, ids: Iterable[str]) -> list[Any]:
        del run_id, ids
        return []

    def step(self, run_id: str, key: StepKey) -> Mapping[str, Any]:
        del run_id, key
        return {}

    def asked(self, run_id: str) -> str:
        del run_id
        return ""


def _present(row: RowValues) -> RowValues:
    """A row of an entry as this version writes it. What is not what was written stays so.

    Raises:
        ValueError: it cannot be read.
    """
    stream, seq, body = row["stream"], row["seq"], row["body"]
    # A row of the first version has no digest.
    if row.get("digest", b"") not in (b"", entry_digest(stream, seq, body)):
        return row
    try:
        body = migrations.rewritten(body)
    except ValueError as error:
        raise unreadable(stream, seq) from error
    return {"stream": stream, "seq": seq, "body": body, "digest": entry_digest(stream, seq, body)}


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
                _copy(Path(f"{file}{suffix}"), Path(f"{aside}{suffix}"))
        _remove(fresh)
        make_private_file(fresh)
        salvaged = _write(fresh, aside, epoch)
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
    _sync(fresh)
    fresh.replace(file)
    _sync(file.absolute().parent)


def _copy(file: Path, aside: Path) -> None:
    """Raises FileNotFoundError, and makes nothing, where `file` is missing."""
    with file.open("rb") as damaged:
        make_private_file(aside)
        with aside.open("wb") as kept:
            shutil.copyfileobj(damaged, kept)
    _sync(aside)


def _sync(path: Path) -> None:
    """Let a file, or what a folder lists, outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return True
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


# --- Writing -------------------------------------------------------------------------------------


def _write(fresh: Path, aside: Path, epoch: str) -> Salvaged:
    engine = writing_engine(journal_url(fresh), busy_timeout=_BUSY_SECONDS)
    try:
        with (
            open_damaged(aside, _READ) as damaged,
            engine.connect() as connection,
            connection.begin(),
        ):
            migrations.upgrade(connection)
            epochs.set_epoch(connection, epoch)
            heads, left_out = _write_entries(damaged, connection)
            if not heads:
                raise JournalError(
                    "Nothing of the journal file can be read: restore the data folder from a "
                    f"backup, or move it away to begin anew. A copy is kept as {aside.name}.",
                    retryable=False,
                )
            _write_beside(damaged, connection, heads)
            return Salvaged(aside=aside, saved=sum(heads.values()), left_out=left_out)
    finally:
        engine.dispose()


def _write_entries(damaged: DamagedJournal, connection: Connection) -> tuple[dict[str, int], int]:
    """Replay the streams up to their first gaps; gives their heads, and how much was left out.

    The entries get new positions: an old one may be damaged, and no digest is about it.
    """
    appender = BatchAppender(connection.dialect.name)
    heads: dict[str, int] = {}
    left_out = 0
    for _ in range(_MOST_PASSES):
        before = sum(heads.values())
        left_out = _write_following(damaged, connection, appender, heads)
        if not left_out or sum(heads.values()) == before:
            break
    return heads, left_out


def _write_following(
    damaged: DamagedJournal, connection: Connection, appender: BatchAppender, heads: dict[str, int]
) -> int:
    """One pass over the entries: those that follow the heads are written; gives how many did not."""
    left_out = 0
    for row in damaged.rows(entries, _entry):
        stream, seq = row["stream"], row["seq"]
        head = heads.get(stream, 0)
        if seq <= head:
            continue  # the same one, at a damaged position
        if seq != head + 1:
            left_out += 1
            continue
        try:
            with connection.begin_nested():
                (entry,) = entries_of(connection, [row])
                connection.execute(insert(entries), {**row, **entry_columns(entry)})
                appender.apply(connection, (entry,))
        except (IntegrityError, ChorusError, ValueError):
            # It builds on something that was lost in another stream; its stream ends here.
            left_out += 1
            continue
        heads[stream] = seq
    return left_out


def _write_beside(damaged: DamagedJournal, connection: Connection, heads: dict[str, int]) -> None:
    """Take over the rows beside the journal that are about something that was saved."""
    known = {
        id_
        for table in (messages, runs, invitations, invite_links, removals, branches, sessions)
        for id_ in connection.scalars(select(table.c.id))
    }

    def about_known(subject: str | None, row: RowValues) -> RowValues | None:
        return row if subject in known else None

    kept: dict[Table, Callable[[RowValues], RowValues | None]] = {
        replies: lambda row: _reply(row, heads),
        memory_tasks: lambda row: about_known(_task_subject(row), row),
        vectors: lambda row: about_known(_vector_subject(row), row),
        timers: lambda row: about_known(_timer_subject(row), row),
        meta: _declaration,
    }
    for table, whole in kept.items():
        for row in damaged.rows(table, whole):
            # Row by row: one whose key is damaged must not take the others with it.
            with suppress(IntegrityError), connection.begin_nested():
                connection.execute(insert(table), _typed(table, row))


# --- Which rows are whole ------------------------------------------------------------------------


def _entry(row: RowValues) -> RowValues | None:
    """The row of an entry that is whole, as this version writes it."""
    try:
        present = _present(row)
    except ValueError:
        return None
    return present if _problem_of(present) is None else None


def _reply(row: RowValues, heads: Mapping[str, int]) -> RowValues | None:
    """A reply whose entry was saved."""
    try:
        reply = RememberedReply.model_validate_json(row["body"])
    except ValueError:
        return None
    if (reply.public_key, reply.request_id) != (row["public_key"], row["request_id"]):
        return None
    if reply.thread_id is None:
        return row if f"user:{reply.public_key}" in heads else None
    return row if (reply.seq or 0) <= heads.get(f"thread:{reply.thread_id}", 0) else None


def _task_subject(row: RowValues) -> str | None:
    """The message or run that a memory task is about; None where it cannot be read."""
    try:
        queued = task_of_row(row["position"], row["thread_id"], row["seq"], row["body"])
    except ValueError:
        return None
    subject: str = task_row(queued.task, queued.seq)["subject"]
    return subject


def _vector_subject(row: RowValues) -> str | None:
    """The message that a vector is of; None where it cannot be read."""
    try:
        vector_of_bytes(row["vector"])
    except struct.error:
        return None
    subject: str = row["message_id"]
    return subject


def _timer_subject(row: RowValues) -> str | None:
    """What a timer is for; None where it cannot be read."""
    try:
        timer = TimerRow.model_validate_json(row["body"])
    except ValueError:
        return None
    # Its id names what it is for: `kind:id`.
    return timer.id.partition(":")[2] if timer.id == row["id"] else None


def _declaration(row: RowValues) -> RowValues | None:
    """What a chart declared, by which its entries are checked."""
    try:
        declared = from_json(row["value"])
    except ValueError:
        return None
    said = declared.get("fingerprint") if isinstance(declared, dict) else None
    return row if row["name"] == f"{DECLARATION}{said}" else None


def _typed(table: Table, row: RowValues) -> RowValues:
    """The row with the types that its table declares, without the number that the database gives.

    SQLite keeps truth values as numbers.
    """
    return {
        column.name: bool(row[column.name]) if column.type.python_type is bool else row[column.name]
        for column in table.columns
        # A row of an earlier version lacks the last columns.
        if column is not table.autoincrement_column and column.name in row
    }
