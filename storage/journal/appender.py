"""Writes a batch's rows: its entries, the snapshots of what they changed, and the rows beside them.

`BatchAppender.append` runs inside a transaction that the caller opens and commits; it decides
nothing, and knows nothing of threads, queues or disks. New batches and a rebuild from the entries
write the same snapshot rows by the same statements.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from machines.models.errors import JournalConflict, NotCarried
from machines.models.ids import PublicKey, RunId, StreamId, thread_stream
from machines.models.journal import (
    Batch,
    Committed,
    IndexMessage,
    JournalEntry,
    MemoryTask,
)
from storage.journal import inbox_rows
from storage.journal.dialect import upsert
from storage.journal.invitations import require_bound
from storage.journal.prepared import PreparedBatch, Snapshots
from storage.journal.rows import (
    RowValues,
    task_row,
)
from storage.journal.schema import (
    branches,
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
    user_threads,
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
    "branch": branches,
    "user_thread": user_threads,
    "user": users,
    "session": sessions,
}
"""The table of each kind of stored value."""

FIXED: Final[Mapping[str, frozenset[str]]] = {
    "thread": frozenset({"visibility", "head_seq", "last_position"}),
    "message": frozenset({"thread_id", "idx", "author"}),
    "run": frozenset({"thread_id", "created_seq"}),
    "invitation": frozenset({"thread_id", "public_key", "invited_by", "at"}),
    "invite_link": frozenset({"thread_id", "secret_hash", "at"}),
    "removal": frozenset({"thread_id", "at"}),
    "branch": frozenset({"thread_id", "run_id", "at"}),
    "user_thread": frozenset({"public_key", "thread_id"}),
    "session": frozenset({"holder"}),
}
"""Columns that stay as they are while a value changes, or that have a statement of their own. An
index is written anew for each of its columns that an update names, whatever its value; that a live run
lives is no news either."""

FIRSTS: Final[Mapping[str, frozenset[str]]] = {"message": frozenset({"approved_seq"})}
"""Columns that stay as they are once they have a value."""

THREAD_PREFIX: Final = "thread:"

_APPROVED_AT = Statement(
    select(messages.c.approved_seq).where(messages.c.id == bindparam("of_message"))
)
_HEAD = Statement(select(func.max(entries.c.seq)).where(entries.c.stream == bindparam("of_stream")))
_CARRIER = Statement(select(runs.c.carrier).where(runs.c.id == bindparam("of_run")))
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


class BatchAppender:
    """Writes batches in the SQL of one dialect."""

    def __init__(self, dialect: str) -> None:
        self._put = {
            kind: Statement(
                upsert(table, dialect, keep=FIXED.get(kind, ()), first=FIRSTS.get(kind, ())),
                columns=table.columns.keys(),
            )
            for kind, table in SNAPSHOTS.items()
        }
        self._put_live_run = Statement(
            upsert(runs, dialect, keep=FIXED["run"] | {"live"}), columns=runs.columns.keys()
        )
        self._put_timer = Statement(upsert(timers, dialect), columns=timers.columns.keys())

    def append(self, connection: Connection, batch: Batch) -> Committed:
        """Write a batch.

        Raises:
            JournalConflict: the head of a stream is not the expected one, or a bound is passed.
            NotCarried: another server carries a run that the batch advances.
            JournalError: the batch contradicts itself, or holds what cannot be stored.
            IntegrityError: an entry's number, or the reply's request, is taken.
        """
        prepared = PreparedBatch.of(batch)
        for stream, head in batch.expected.items():
            # What is new has no head yet, and its first entry's key is the lock.
            actual = _HEAD.value(connection, {"of_stream": stream}) if head else 0
            if actual != head:
                raise JournalConflict(
                    "Another change came first: try again.",
                    detail=f"{stream} is at {actual or 0}, not at {head}",
                )
        for run_id in batch.advances:
            if _CARRIER.value(connection, {"of_run": run_id}) != batch.carrier:
                raise not_carried(run_id)
        heads = prepared.heads
        _ADD_ENTRY.run(connection, *prepared.entries)
        self._write(connection, prepared.snapshots, heads)
        for bound in batch.bounds:
            require_bound(connection, bound)
        if batch.cancelled_timers:
            _DROP_TIMER.run(connection, *({"of_timer": id_} for id_ in batch.cancelled_timers))
        self._put_timer.run(connection, *prepared.timers)
        _ADD_TASK.run(connection, *(_task_row(connection, task, heads) for task in batch.memory))
        _ADD_REPLY.run(connection, *prepared.replies)
        return Committed(entries=batch.entries, reply=prepared.reply)

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
            inbox_rows.forget(connection, kind, deleted)
        for thread_id in snapshots.deleted.get("thread", ()):
            _DROP_CO_AUTHORS.run(connection, {"of_thread": thread_id})
        for kind, rows in snapshots.rows.items():
            self._put_live_run.run(connection, *(row for row in rows.values() if row.get("live")))
            self._put[kind].run(connection, *(row for row in rows.values() if not row.get("live")))
        for id_, kind in snapshots.noted.items():
            inbox_rows.write(connection, kind, snapshots.rows[kind][id_])
        for thread_id, members in snapshots.members.items():
            _write_members(connection, thread_id, members)
        moved = [
            {
                "of_thread": stream.removeprefix(THREAD_PREFIX),
                "of_stream": stream,
                "new_head": head,
            }
            for stream, head in heads.items()
            if stream.startswith(THREAD_PREFIX)
        ]
        _MOVE_HEAD.run(connection, *moved)


def not_carried(run_id: RunId) -> NotCarried:
    """Why a batch that would advance a run is not written."""
    return NotCarried("Another server carries this run.", detail=f"run {run_id}")


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
