"""Writes a batch's rows: its entries, the snapshots of what they changed, and the rows beside them.

`BatchAppender.append` runs inside a transaction that the caller opens and commits; it decides
nothing, and knows nothing of threads, queues or disks. New batches and a rebuild from the entries
write the same snapshot rows by the same statements.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from machines.models.domain import Deleted
from machines.models.errors import JournalConflict, JournalError
from machines.models.ids import PublicKey, StreamId, ThreadId, thread_stream
from machines.models.journal import (
    Batch,
    Committed,
    IndexMessage,
    JournalEntry,
    MemoryTask,
    RememberedReply,
)
from storage.journal.dialect import upsert
from storage.journal.invitations import require_bound
from storage.journal.rows import (
    SNAPSHOT_KINDS,
    RowValues,
    entry_row,
    reply_row,
    snapshot_row,
    task_row,
    timer_row,
)
from storage.journal.schema import (
    co_authors,
    entries,
    invitations,
    invite_links,
    memory_tasks,
    messages,
    removals,
    replies,
    runs,
    sessions,
    threads,
    timers,
    users,
)
from storage.journal.statements import Statement

SNAPSHOTS: Final[Mapping[str, Table]] = {
    "thread": threads,
    "message": messages,
    "run": runs,
    "invitation": invitations,
    "invite_link": invite_links,
    "removal": removals,
    "user": users,
    "session": sessions,
}
"""The table of each kind of stored value."""

_FIXED: Final[Mapping[str, frozenset[str]]] = {
    "thread": frozenset({"visibility", "head_seq", "last_position"}),
    "message": frozenset({"thread_id", "idx", "author"}),
    "run": frozenset({"thread_id", "created_seq"}),
    "invitation": frozenset({"thread_id", "public_key", "invited_by", "at"}),
    "invite_link": frozenset({"thread_id", "secret_hash", "at"}),
    "removal": frozenset({"thread_id", "at"}),
}
"""Columns that stay as they are while a value changes, or that have a statement of their own. An
index is written anew for each of its columns that an update names, whatever its value; that a live run
lives is no news either."""

_THREAD_PREFIX: Final = "thread:"

_APPROVED_AT = Statement(
    select(messages.c.approved_seq).where(messages.c.id == bindparam("of_message"))
)
_HEAD = Statement(select(func.max(entries.c.seq)).where(entries.c.stream == bindparam("of_stream")))
_POSITION = select(entries.c.position).where(
    entries.c.stream == bindparam("of_stream"), entries.c.seq == bindparam("new_head")
)
_MOVE_HEAD = Statement(
    update(threads)
    .where(threads.c.id == bindparam("of_thread"))
    .values(head_seq=bindparam("new_head"), last_position=_POSITION.scalar_subquery())
)
_CO_AUTHORS = Statement(
    select(co_authors.c.public_key).where(co_authors.c.thread_id == bindparam("of_thread"))
)
_DROP_CO_AUTHOR = Statement(
    delete(co_authors).where(
        co_authors.c.thread_id == bindparam("of_thread"),
        co_authors.c.public_key == bindparam("key"),
    )
)
_DROP_CO_AUTHORS = Statement(
    delete(co_authors).where(co_authors.c.thread_id == bindparam("of_thread"))
)
_ADD_CO_AUTHOR = Statement.inserting_into(co_authors)
_ADD_ENTRY = Statement.inserting_into(entries, without={"position"})
_ADD_REPLY = Statement.inserting_into(replies)
_ADD_TASK = Statement.inserting_into(memory_tasks, without={"position"})
_DROP_TIMER = Statement(delete(timers).where(timers.c.id == bindparam("of_timer")))
_DROP: Final = {
    kind: Statement(delete(table).where(table.c.id == bindparam("of_id")))
    for kind, table in SNAPSHOTS.items()
}


# --- A batch as rows, before any of them is written: pure ---------------------------------------


@dataclass(slots=True)
class Snapshots:
    """What remains of a series of changes: the last of each value."""

    rows: dict[str, dict[str, RowValues]] = field(default_factory=dict)
    """By kind, then by id."""
    deleted: dict[str, set[str]] = field(default_factory=dict)
    members: dict[str, tuple[PublicKey, ...]] = field(default_factory=dict)
    """The co-authors of each changed thread."""

    @classmethod
    def of(cls, entries: Iterable[JournalEntry]) -> "Snapshots":
        """Raises JournalError where a change cannot be stored."""
        snapshots = cls()
        for entry in entries:
            for change in entry.changes:
                if change.kind not in SNAPSHOT_KINDS:
                    raise _unfit(f"no snapshot table for the kind {change.kind!r}")
                rows = snapshots.rows.setdefault(change.kind, {})
                deleted = snapshots.deleted.setdefault(change.kind, set())
                if isinstance(change, Deleted):
                    rows.pop(change.id, None)
                    deleted.add(change.id)
                    if change.kind == "thread":
                        snapshots.members.pop(change.id, None)
                    continue
                row = snapshot_row(change, entry.seq)
                earlier = rows.get(change.id)
                if earlier is not None:
                    _keep_firsts(row, earlier)
                rows[change.id] = row
                deleted.discard(change.id)
                if change.kind == "thread":
                    snapshots.members[change.id] = _co_authors_of(change.value)
        return snapshots


def _keep_firsts(row: RowValues, earlier: RowValues) -> None:
    """A value that changed twice was created, and approved, at the first of the two."""
    if "created_seq" in row:
        row["created_seq"] = earlier["created_seq"]
    if earlier.get("approved_seq") is not None:
        row["approved_seq"] = earlier["approved_seq"]


def _co_authors_of(value: Mapping[str, object]) -> tuple[PublicKey, ...]:
    listed = value.get("co_authors")
    return tuple(PublicKey(str(key)) for key in listed) if isinstance(listed, list | tuple) else ()


def _heads_after(entries: Iterable[JournalEntry]) -> dict[StreamId, int]:
    """The number of the last entry in each stream. Raises JournalError where they leave a gap."""
    heads: dict[StreamId, int] = {}
    for entry in entries:
        if entry.seq != heads.get(entry.stream, entry.seq - 1) + 1:
            raise _unfit(f"the batch has entry {entry.seq} of {entry.stream} out of its turn")
        heads[entry.stream] = entry.seq
    return heads


def _with_seq(
    reply: RememberedReply | None, heads: Mapping[StreamId, int]
) -> RememberedReply | None:
    if reply is None or reply.thread_id is None:
        return reply
    seq = heads.get(thread_stream(ThreadId(reply.thread_id)))
    return reply if seq is None else reply.changed(seq=seq)


def _unfit(detail: str) -> JournalError:
    return JournalError("The journal cannot store this.", retryable=False, detail=detail)


# --- Writing them -------------------------------------------------------------------------------


class BatchAppender:
    """Writes batches in the SQL of one dialect."""

    def __init__(self, dialect: str) -> None:
        first = {"message": {"approved_seq"}}
        self._put = {
            kind: Statement(
                upsert(table, dialect, keep=_FIXED.get(kind, ()), first=first.get(kind, ())),
                columns=table.columns.keys(),
            )
            for kind, table in SNAPSHOTS.items()
        }
        self._put_live_run = Statement(
            upsert(runs, dialect, keep=_FIXED["run"] | {"live"}), columns=runs.columns.keys()
        )
        self._put_timer = Statement(upsert(timers, dialect), columns=timers.columns.keys())

    def append(self, connection: Connection, batch: Batch) -> Committed:
        """Write a batch.

        Raises:
            JournalConflict: the head of a stream is not the expected one, or a bound is passed.
            JournalError: the batch contradicts itself, or holds what cannot be stored.
            IntegrityError: an entry's number, or the reply's request, is taken.
        """
        heads = _heads_after(batch.entries)
        reply = _with_seq(batch.reply, heads)
        try:
            written = tuple(map(entry_row, batch.entries))
            snapshots = Snapshots.of(batch.entries)
            timed = tuple(map(timer_row, batch.timers))
            remembered = () if reply is None else (reply_row(reply),)
        except (ValueError, TypeError) as error:
            # Text that is no UTF-8, or a value that JSON cannot say.
            raise _unfit(type(error).__name__) from error
        for stream, head in batch.expected.items():
            # What is new has no head yet, and its first entry's key is the lock.
            actual = _HEAD.value(connection, {"of_stream": stream}) if head else 0
            if actual != head:
                raise JournalConflict(
                    "Another change came first: try again.",
                    detail=f"{stream} is at {actual or 0}, not at {head}",
                )
        _ADD_ENTRY.run(connection, *written)
        self._write(connection, snapshots, heads)
        for bound in batch.bounds:
            require_bound(connection, bound)
        if batch.cancelled_timers:
            _DROP_TIMER.run(connection, *({"of_timer": id_} for id_ in batch.cancelled_timers))
        self._put_timer.run(connection, *timed)
        _ADD_TASK.run(connection, *(_task_row(connection, task, heads) for task in batch.memory))
        _ADD_REPLY.run(connection, *remembered)
        return Committed(entries=batch.entries, reply=reply)

    def apply(self, connection: Connection, new: tuple[JournalEntry, ...]) -> None:
        """Write the snapshots of what entries changed; their own rows stand already.

        Raises JournalError where a change cannot be stored.
        """
        self._write(connection, Snapshots.of(new), {entry.stream: entry.seq for entry in new})

    def _write(
        self, connection: Connection, snapshots: Snapshots, heads: Mapping[StreamId, int]
    ) -> None:
        for kind, deleted in snapshots.deleted.items():
            if deleted:
                _DROP[kind].run(connection, *({"of_id": id_} for id_ in deleted))
        for thread_id in snapshots.deleted.get("thread", ()):
            _DROP_CO_AUTHORS.run(connection, {"of_thread": thread_id})
        for kind, rows in snapshots.rows.items():
            self._put_live_run.run(connection, *(row for row in rows.values() if row.get("live")))
            self._put[kind].run(connection, *(row for row in rows.values() if not row.get("live")))
        for thread_id, members in snapshots.members.items():
            _write_members(connection, thread_id, members)
        moved = [
            {
                "of_thread": stream.removeprefix(_THREAD_PREFIX),
                "of_stream": stream,
                "new_head": head,
            }
            for stream, head in heads.items()
            if stream.startswith(_THREAD_PREFIX)
        ]
        _MOVE_HEAD.run(connection, *moved)


def _write_members(connection: Connection, thread_id: str, members: tuple[PublicKey, ...]) -> None:
    """Let the membership rows be `members`; a thread changes often, its co-authors seldom."""
    before = set(_CO_AUTHORS.column(connection, {"of_thread": thread_id}))
    after = set(members)
    if gone := before - after:
        _DROP_CO_AUTHOR.run(connection, *({"of_thread": thread_id, "key": key} for key in gone))
    if come := after - before:
        _ADD_CO_AUTHOR.run(
            connection, *({"thread_id": thread_id, "public_key": key} for key in come)
        )


def _task_row(connection: Connection, task: MemoryTask, heads: Mapping[StreamId, int]) -> RowValues:
    if isinstance(task, IndexMessage):
        # A point is of the entry that approved its message, also when it is indexed again.
        approved = _APPROVED_AT.value(connection, {"of_message": task.message_id})
        if approved is not None:
            return task_row(task, approved)
    stream = thread_stream(task.thread_id)
    seq = heads.get(stream)
    if seq is None:
        seq = _HEAD.value(connection, {"of_stream": stream}) or 0
    return task_row(task, seq)
