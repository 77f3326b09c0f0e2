"""What a batch writes: its entries, the snapshots of what they changed, and the rows beside them.

`BatchAppender.append` runs inside a transaction that somebody else opens and commits; it decides
nothing, and knows nothing of threads, queues or disks. `apply` alone is what turns changes into
snapshot rows, for new batches and for a rebuild from the entries alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

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
    runs,
    sessions,
    threads,
    timers,
    users,
)
from storage.sql_dialect import upsert
from storage.sql_rows import (
    Row,
    context_json,
    entry_row,
    micros,
    numbered,
    snapshot_row,
    task_row,
    timer_row,
)

SNAPSHOTS: Final[Mapping[str, Table]] = {
    "thread": threads,
    "message": messages,
    "run": runs,
    "user": users,
    "session": sessions,
}
"""The table of each kind of stored value."""

_THREAD_PREFIX: Final = "thread:"

_APPROVED_AT = select(messages.c.approved_seq).where(messages.c.id == bindparam("of_message"))
_HEAD = select(func.max(entries.c.seq)).where(entries.c.stream == bindparam("of_stream"))
_POSITION = select(entries.c.position).where(
    entries.c.stream == bindparam("of_stream"), entries.c.seq == bindparam("new_head")
)
_MOVE_HEAD = (
    update(threads)
    .where(threads.c.id == bindparam("of_thread"))
    .values(head_seq=bindparam("new_head"), last_position=_POSITION.scalar_subquery())
)
_SET_CONTEXT = (
    update(runs).where(runs.c.id == bindparam("of_run")).values(context=bindparam("new_context"))
)
_CO_AUTHORS = select(co_authors.c.public_key).where(
    co_authors.c.thread_id == bindparam("of_thread")
)
_DROP_CO_AUTHOR = delete(co_authors).where(
    co_authors.c.thread_id == bindparam("of_thread"), co_authors.c.public_key == bindparam("key")
)
_DROP_CO_AUTHORS = delete(co_authors).where(co_authors.c.thread_id == bindparam("of_thread"))
_ADD_CO_AUTHOR = insert(co_authors)
_ADD_ENTRY = insert(entries)
_ADD_REPLY = insert(replies)
_ADD_TASK = insert(memory_tasks)
_DROP_TIMER = delete(timers).where(timers.c.id == bindparam("of_timer"))
_DROP: Final = {
    kind: delete(table).where(table.c.id == bindparam("of_id")) for kind, table in SNAPSHOTS.items()
}


@dataclass(slots=True)
class _Changes:
    """What remains of a series of changes: the last of each value."""

    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    """By kind, then by id."""
    deleted: dict[str, set[str]] = field(default_factory=dict)
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
                    continue
                row = snapshot_row(change, entry.seq)
                earlier = rows.get(change.id)
                if earlier is not None:
                    _keep_firsts(row, earlier)
                rows[change.id] = row
                deleted.discard(change.id)
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
        self._put = {
            "thread": upsert(threads, dialect, keep={"head_seq", "last_position"}),
            "message": upsert(messages, dialect, first={"approved_seq"}),
            "run": upsert(runs, dialect, keep={"created_seq", "context"}),
            "user": upsert(users, dialect),
            "session": upsert(sessions, dialect),
        }
        self._put_timer = upsert(timers, dialect)

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
            actual = connection.scalar(_HEAD, {"of_stream": stream}) or 0
            if actual != head:
                raise JournalConflict(
                    "Somebody else was first: try again.",
                    detail=f"{stream} is at {actual}, not at {head}",
                )
        if new:
            connection.execute(_ADD_ENTRY, [entry_row(entry) for entry in new])
        self.apply(connection, new)
        if batch.run_contexts:
            _write_contexts(connection, {run.id: run.messages for run in batch.run_contexts})
        if batch.cancelled_timers:
            connection.execute(_DROP_TIMER, [{"of_timer": id_} for id_ in batch.cancelled_timers])
        if batch.timers:
            connection.execute(self._put_timer, [timer_row(timer) for timer in batch.timers])
        if batch.memory:
            rows = [_task_row(connection, task, numbers) for task in batch.memory]
            connection.execute(_ADD_TASK, rows)
        reply = _with_seq(batch.reply, numbers)
        if reply is not None:
            connection.execute(_ADD_REPLY, _reply_row(reply))
        return Committed(entries=new, reply=reply)

    def apply(self, connection: Connection, new: tuple[JournalEntry, ...]) -> None:
        """Write the snapshots of what entries changed; their own rows stand already."""
        changes = _Changes.of(new)
        for kind, deleted in changes.deleted.items():
            if deleted:
                connection.execute(_DROP[kind], [{"of_id": id_} for id_ in deleted])
        for thread_id in changes.deleted.get("thread", ()):
            connection.execute(_DROP_CO_AUTHORS, {"of_thread": thread_id})
        for kind, rows in changes.rows.items():
            if rows:
                connection.execute(self._put[kind], list(rows.values()))
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
            connection.execute(_MOVE_HEAD, moved)

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
            _write_contexts(connection, started)


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


def _write_contexts(
    connection: Connection, contexts: Mapping[str, tuple[ContextMessage, ...]]
) -> None:
    connection.execute(
        _SET_CONTEXT,
        [{"of_run": id_, "new_context": context_json(of)} for id_, of in contexts.items()],
    )


def _write_members(connection: Connection, thread_id: str, members: tuple[PublicKey, ...]) -> None:
    """Let the membership rows be `members`; a thread changes often, its co-authors seldom."""
    before = set(connection.scalars(_CO_AUTHORS, {"of_thread": thread_id}))
    after = set(members)
    if gone := before - after:
        connection.execute(_DROP_CO_AUTHOR, [{"of_thread": thread_id, "key": key} for key in gone])
    if come := after - before:
        connection.execute(
            _ADD_CO_AUTHOR, [{"thread_id": thread_id, "public_key": key} for key in come]
        )


def _task_row(connection: Connection, task: MemoryTask, numbers: _Numbers) -> Row:
    if isinstance(task, IndexMessage):
        # A point is of the entry that approved its message, also when it is indexed again.
        approved = connection.scalar(_APPROVED_AT, {"of_message": task.message_id})
        if approved is not None:
            return task_row(task, approved)
    stream = thread_stream(task.thread_id)
    seq = numbers.last(stream)
    if seq is None:
        seq = connection.scalar(_HEAD, {"of_stream": stream}) or 0
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
