"""What an export of traces asks a journal for: the runs and approvals of a thread, or since a time.

Reads only. A time is found without an index, by one pass over the rows, of which bodies are not read.
"""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select

from machines.models.ids import MessageId, RunId, ThreadId, thread_stream
from machines.models.journal import JournalEntry
from machines.models.wire.frames import ThreadEventKind
from storage.journal.entries import entries_of
from storage.journal.queries import require_migrated
from storage.journal.rows import micros
from storage.journal.schema import entries, messages

PAGE: Final = 200
"""Entries that are read together."""

_SETTLING: Final = (
    ThreadEventKind.VOTE_CAST,
    ThreadEventKind.MESSAGE_REJECTED,
    ThreadEventKind.MESSAGE_APPROVED,
    ThreadEventKind.MESSAGE_EXPIRED,
    ThreadEventKind.MESSAGE_WITHDRAWN,
    ThreadEventKind.MESSAGE_SUPERSEDED,
    ThreadEventKind.CO_AUTHOR_LEFT,
    ThreadEventKind.CO_AUTHOR_REMOVED,
    ThreadEventKind.THREAD_ARCHIVED,
)
"""Kinds of entries by which a message may wait no more."""

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
    .where(entries.c.kind.in_([each.value for each in _SETTLING]))
    .where(entries.c.position > bindparam("after_position"))
    .order_by(entries.c.position)
    .limit(PAGE)
)
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

    def of(self, statement: Select[*tuple[object, ...]]) -> Select[*tuple[object, ...]]:
        """The same statement on `entries`, narrowed."""
        if self.thread_id is not None:
            statement = statement.where(entries.c.stream == thread_stream(self.thread_id))
        if self.since is not None:
            statement = statement.where(entries.c.at >= micros(self.since))
        return statement


def runs_in(connection: Connection, scope: Scope) -> tuple[RunId, ...]:
    """The runs that have an entry in the scope, oldest first.

    Raises:
        JournalError: another version wrote the journal, which is only read here.
    """
    require_migrated(connection)
    return tuple(RunId(str(row[0])) for row in connection.execute(scope.of(_RUNS)))


def settled_after(
    connection: Connection, scope: Scope, position: int
) -> tuple[tuple[JournalEntry, ...], int | None]:
    """A page of the entries by which messages may wait no more, in order, behind one that is named by its
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
