"""What a batch writes: its entries, the snapshots of what they changed, and the rows beside them.

`BatchAppender.append` runs inside a transaction that somebody else opens and commits; it decides
nothing, and knows nothing of threads, queues or disks. `apply` alone is what turns changes into
snapshot rows, for new batches and for a rebuild from the entries alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from machines.models.chorus import ContextMessage
from machines.models.domain import Deleted
from machines.models.errors import JournalConflict, JournalError
from machines.models.events import RunStarted
from machines.models.ids import PublicKey, StreamId, ThreadId, thread_stream
from machines.models.journal import (
    Batch,
    ChorusFired,
    Committed,
    IndexMessage,
    JournalEntry,
    MemoryTask,
    RememberedReply,
)
from storage.schema import (
    co_authors,
    entries,
    memory_tasks,
    messages,
    replies,
    run_parts,
    runs,
    sessions,
    threads,
    timers,
    users,
)
from storage.sql_dialect import insert_missing, upsert
from storage.sql_rows import (
    Row,
    context_row,
    entry_row,
    micros,
    numbered,
    run_part_rows,
    snapshot_row,
    task_row,
    timer_row,
)
from storage.sql_statements import Statement

SNAPSHOTS: Final[Mapping[str, Table]] = {
    "thread": threads,
    "message": messages,
    "run": runs,
    "user": users,
    "session": sessions,
}
"""The table of each kind of stored value."""

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
_DROP_PARTS = Statement(delete(run_parts).where(run_parts.c.run_id == bindparam("of_run")))
_ADD_CO_AUTHOR = Statement.inserting_into(co_authors)
_ADD_ENTRY = Statement.inserting_into(entries, without={"position"})
_ADD_REPLY = Statement.inserting_into(replies)
_ADD_TASK = Statement.inserting_into(memory_tasks, without={"position"})
_DROP_TIMER = Statement(delete(timers).where(timers.c.id == bindparam("of_timer")))
_DROP: Final = {
    kind: Statement(delete(table).where(table.c.id == bindparam("of_id")))
    for kind, table in SNAPSHOTS.items()
}


@dataclass(slots=True)
class _Changes:
    """What remains of a series of changes: the last of each value."""

    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    """By kind, then by id."""
    deleted: dict[str, set[str]] = field(default_factory=dict)
    parts: list[Row] = field(default_factory=list)
    """What runs gathered."""
    members: dict[str, tuple[PublicKey, ...]] = field(default_factory=dict)
    """The co-authors of each changed thread."""

    @classmethod
    def of(cls, numbered_entries: Iterable[JournalEntry]) -> "_Changes":
        changes = cls()
        for entry in numbered_entries:
            for change in entry.changes:
                if change.kind not in SNAPSHOTS:
                    raise JournalError(
                        "The journal cannot store this.",
                        retryable=False,
                        detail=f"no snapshot table for the kind {change.kind!r}",
                    )
                rows = changes.rows.setdefault(change.kind, {})
                deleted = changes.deleted.setdefault(change.kind, set())
                if isinstance(change, Deleted):
                    rows.pop(change.id, None)
                    deleted.add(change.id)
                    if change.kind == "thread":
                        changes.members.pop(change.id, None)
                    if change.kind == "run":
                        changes.parts = [
                            part for part in changes.parts if part["run_id"] != change.id
                        ]
                    continue
                row = snapshot_row(change, entry.seq)
                earlier = rows.get(change.id)
                if earlier is not None:
                    _keep_firsts(row, earlier)
                rows[change.id] = row
                deleted.discard(change.id)
                if change.kind == "run":
                    changes.parts += run_part_rows(change, entry.seq)
                if change.kind == "thread":
                    changes.members[change.id] = _co_authors_of(change.value)
        return changes


def _keep_firsts(row: Row, earlier: Row) -> None:
    """A value that changed twice was created, and approved, at the first of the two."""
    if "created_seq" in row:
        row["created_seq"] = earlier["created_seq"]
    if earlier.get("approved_seq") is not None:
        row["approved_seq"] = earlier["approved_seq"]


def _co_authors_of(value: Mapping[str, object]) -> tuple[PublicKey, ...]:
    listed = value.get("co_authors")
    return tuple(PublicKey(str(key)) for key in listed) if isinstance(listed, list | tuple) else ()


class BatchAppender:
    """Writes batches in the SQL of one dialect."""

    def __init__(self, dialect: str) -> None:
        keep = {"thread": {"head_seq", "last_position"}, "run": {"created_seq"}}
        first = {"message": {"approved_seq"}}
        self._put = {
            kind: Statement(
                upsert(table, dialect, keep=keep.get(kind, ()), first=first.get(kind, ())),
                columns=table.columns.keys(),
            )
            for kind, table in SNAPSHOTS.items()
        }
        self._add_part = Statement(
            insert_missing(run_parts, dialect), columns=run_parts.columns.keys()
        )
        self._put_timer = Statement(upsert(timers, dialect), columns=timers.columns.keys())

    def append(self, connection: Connection, batch: Batch) -> Committed:
        """Write a batch.

        Raises:
            JournalConflict: the head of a stream is not the expected one.
            JournalError: the batch contradicts itself.
            IntegrityError: an entry's number, or the reply's request, is taken.
        """
        numbers = _Numbers(batch.expected)
        new = tuple(numbered(draft, numbers.next(draft.stream)) for draft in batch.entries)
        for stream, head in batch.expected.items():
            actual = _HEAD.value(connection, {"of_stream": stream}) or 0
            if actual != head:
                raise JournalConflict(
                    "Somebody else was first: try again.",
                    detail=f"{stream} is at {actual}, not at {head}",
                )
        if new:
            _ADD_ENTRY.run(connection, *(entry_row(entry) for entry in new))
        self.apply(connection, new)
        if batch.run_contexts:
            contexts = (context_row(run.id, run.messages) for run in batch.run_contexts)
            self._add_part.run(connection, *contexts)
        if batch.cancelled_timers:
            _DROP_TIMER.run(connection, *({"of_timer": id_} for id_ in batch.cancelled_timers))
        if batch.timers:
            self._put_timer.run(connection, *(timer_row(timer) for timer in batch.timers))
        if batch.memory:
            rows = [_task_row(connection, task, numbers) for task in batch.memory]
            _ADD_TASK.run(connection, *rows)
        reply = _with_seq(batch.reply, numbers)
        if reply is not None:
            _ADD_REPLY.run(connection, _reply_row(reply))
        return Committed(entries=new, reply=reply)

    def apply(self, connection: Connection, new: tuple[JournalEntry, ...]) -> None:
        """Write the snapshots of what entries changed; their own rows stand already."""
        changes = _Changes.of(new)
        for kind, deleted in changes.deleted.items():
            if deleted:
                _DROP[kind].run(connection, *({"of_id": id_} for id_ in deleted))
        for run_id in changes.deleted.get("run", ()):
            _DROP_PARTS.run(connection, {"of_run": run_id})
        for thread_id in changes.deleted.get("thread", ()):
            _DROP_CO_AUTHORS.run(connection, {"of_thread": thread_id})
        for kind, rows in changes.rows.items():
            if rows:
                self._put[kind].run(connection, *rows.values())
        self._add_part.run(connection, *changes.parts)
        for thread_id, members in changes.members.items():
            _write_members(connection, thread_id, members)
        heads = {entry.stream: entry.seq for entry in new}
        moved = [
            {
                "of_thread": stream.removeprefix(_THREAD_PREFIX),
                "of_stream": stream,
                "new_head": head,
            }
            for stream, head in heads.items()
            if stream.startswith(_THREAD_PREFIX)
        ]
        if moved:
            _MOVE_HEAD.run(connection, *moved)

    def replay(self, connection: Connection, past: tuple[JournalEntry, ...]) -> None:
        """`apply` for old entries: a run's messages come from the event that started it."""
        self.apply(connection, past)
        started: dict[str, tuple[ContextMessage, ...]] = {
            fired.instance: fired.event.messages
            for entry in past
            for fired in entry.fired
            if isinstance(fired, ChorusFired) and isinstance(fired.event, RunStarted)
        }
        if started:
            contexts = (context_row(run_id, messages) for run_id, messages in started.items())
            self._add_part.run(connection, *contexts)


class _Numbers:
    """The next number of each stream of a batch."""

    def __init__(self, expected: Mapping[StreamId, int]) -> None:
        self._last = dict(expected)
        self._grown: set[StreamId] = set()

    def next(self, stream: StreamId) -> int:
        last = self._last.get(stream)
        if last is None:
            raise JournalError(
                "The journal cannot store this.",
                retryable=False,
                detail=f"the batch has an entry of {stream} and does not say its head",
            )
        self._last[stream] = last + 1
        self._grown.add(stream)
        return last + 1

    def last(self, stream: StreamId) -> int | None:
        """The number of the batch's last entry in `stream`; None where it has none."""
        return self._last[stream] if stream in self._grown else None


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


def _task_row(connection: Connection, task: MemoryTask, numbers: _Numbers) -> Row:
    if isinstance(task, IndexMessage):
        # A point is of the entry that approved its message, also when it is indexed again.
        approved = _APPROVED_AT.value(connection, {"of_message": task.message_id})
        if approved is not None:
            return task_row(task, approved)
    stream = thread_stream(task.thread_id)
    seq = numbers.last(stream)
    if seq is None:
        seq = _HEAD.value(connection, {"of_stream": stream}) or 0
    return task_row(task, seq)


def _with_seq(reply: RememberedReply | None, numbers: _Numbers) -> RememberedReply | None:
    if reply is None or reply.thread_id is None:
        return reply
    seq = numbers.last(thread_stream(ThreadId(reply.thread_id)))
    return reply if seq is None else reply.model_copy(update={"seq": seq})


def _reply_row(reply: RememberedReply) -> Row:
    return {
        "public_key": reply.public_key,
        "request_id": reply.request_id,
        "at": micros(reply.at),
        "body": reply.model_dump_json(),
    }
