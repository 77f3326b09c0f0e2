"""What an export of traces asks a journal for: the runs and decisions of a thread, since a time, or between
two positions.

Reads only. A time is found without an index, by one pass over the rows, of which bodies are not read.
"""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select

from machines.models.chorus import RunStatus
from machines.models.ids import MessageId, RunId, ThreadId, thread_stream
from machines.models.journal import JournalEntry
from storage.journal.entries import entries_of
from storage.journal.queries import require_migrated
from storage.journal.rows import micros
from storage.journal.schema import entries, messages, meta, servers

SENT: Final = "spans_sent:"
"""What the names of notes begin with that say up to which position a server has sent its spans; the rest
is the server's own name."""

PAGE: Final = 200
"""Entries that are read together."""

_SETTLING: Final = "thread_event"
"""The type of entries by which something may wait no more: those of runs settle nothing."""

_ENDS: Final = tuple(each.value for each in RunStatus if each.final)
"""Kinds of a run's last entry."""

_ROW: Final = (
    entries.c.position,
    entries.c.stream,
    entries.c.seq,
    entries.c.body,
    entries.c.digest,
)
_RUNS: Final = (
    select(entries.c.run_id)
    .where(entries.c.run_id.is_not(None))
    .group_by(entries.c.run_id)
    .order_by(func.min(entries.c.position))
)
_SETTLED: Final = (
    select(*_ROW)
    .where(entries.c.type == _SETTLING)
    .where(entries.c.position > bindparam("after_position"))
    .order_by(entries.c.position)
    .limit(PAGE)
)
_ENDED: Final = (
    select(entries.c.run_id, entries.c.position)
    .where(entries.c.run_id.is_not(None), entries.c.kind.in_(_ENDS))
    .where(entries.c.position > bindparam("after_position"))
    .where(entries.c.position <= bindparam("up_to"))
    .order_by(entries.c.position)
    .limit(PAGE)
)
_LAST: Final = select(func.max(entries.c.position))
_SENT: Final = select(meta.c.name, meta.c.value).where(
    meta.c.name >= SENT, meta.c.name < SENT + chr(sys.maxunicode)
)
_SERVERS: Final = select(servers.c.id)
_APPROVAL: Final = (
    select(*_ROW)
    .join(messages, messages.c.approved_seq == entries.c.seq)
    .where(messages.c.id == bindparam("of_message"))
    .where(entries.c.stream == bindparam("of_stream"))
)


class Scope(NamedTuple):
    """Which part of a journal is asked for."""

    thread_id: ThreadId | None = None
    """None is every thread."""
    since: datetime | None = None
    """With an entry at or after it; None is from the beginning."""
    up_to: int | None = None
    """The last position; None is the end."""

    def of(self, statement: Select[*tuple[object, ...]]) -> Select[*tuple[object, ...]]:
        """The same statement on `entries`, narrowed."""
        if self.thread_id is not None:
            statement = statement.where(entries.c.stream == thread_stream(self.thread_id))
        if self.since is not None:
            statement = statement.where(entries.c.at >= micros(self.since))
        if self.up_to is not None:
            statement = statement.where(entries.c.position <= self.up_to)
        return statement


def runs_in(connection: Connection, scope: Scope) -> tuple[RunId, ...]:
    """The runs that have an entry in the scope, oldest first.

    Raises:
        JournalError: another version wrote the journal, which is only read here.
    """
    require_migrated(connection)
    return tuple(RunId(str(row[0])) for row in connection.execute(scope.of(_RUNS)))


class Sending(NamedTuple):
    """How far servers have sent the spans of what they committed."""

    last: int
    """Position of the newest entry; 0 where there is none."""
    marks: Mapping[str, int]
    """By server: the position up to which its spans are sent. It has none once it ended in order."""
    living: frozenset[str]
    """Servers that hold a lease; in a folder none does."""


def sending(connection: Connection) -> Sending:
    """How far servers have sent spans."""
    marks = {
        row.name.removeprefix(SENT): int(row.value)
        for row in connection.execute(_SENT)
        if row.value.isdecimal()
    }
    living = frozenset(str(each) for each in connection.scalars(_SERVERS))
    return Sending(last_position(connection), marks, living)


def last_position(connection: Connection) -> int:
    """That of the newest entry; 0 where there is none."""
    return connection.scalar(_LAST) or 0


def runs_ended(
    connection: Connection, after: int, up_to: int
) -> tuple[tuple[RunId, ...], int | None]:
    """A page of the runs that ended with an entry at one of the positions `after + 1 .. up_to`, in order;
    and the position of the last of these entries, None where the page is empty."""
    rows = connection.execute(_ENDED, {"after_position": after, "up_to": up_to}).all()
    last = rows[-1].position if rows else None
    return tuple(RunId(str(row.run_id)) for row in rows), last


def settled_after(
    connection: Connection, scope: Scope, position: int
) -> tuple[tuple[JournalEntry, ...], int | None]:
    """A page of the entries by which something may wait no more, in order, behind one that is named by its
    position; and the position of the last of them, None where the page is empty."""
    rows = connection.execute(scope.of(_SETTLED), {"after_position": position}).mappings().all()
    last = rows[-1]["position"] if rows else None
    return tuple(entries_of(connection, rows)), last


def approval_of(
    connection: Connection, thread_id: ThreadId, message_id: MessageId
) -> tuple[JournalEntry, ...]:
    """The entry that approved a message; none where it is not approved."""
    key = {"of_message": message_id, "of_stream": thread_stream(thread_id)}
    return tuple(entries_of(connection, connection.execute(_APPROVAL, key).mappings().all()))
