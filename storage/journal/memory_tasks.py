"""The journal's rows for the memory that is searched: tasks that wait, kept vectors, what must be found.

Reads and writes, one function for each, on a connection whose transaction the caller ends.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, distinct, func, insert, select, update
from sqlalchemy import false as sql_false
from sqlalchemy import true as sql_true

from machines.models.ids import MessageId, ThreadId
from machines.models.journal import (
    ForgetMessage,
    IndexMessage,
    MemoryTask,
    QueuedTask,
    RecordLinks,
)
from machines.models.message import Message, MessageStatus
from machines.models.thread import Thread
from storage.journal.answers import GivenToMemory, StoredVector
from storage.journal.damage import all_rows, whole_of
from storage.journal.dialect import CHUNK, chunks, upsert
from storage.journal.rows import task_of_row, task_row, vector_bytes, vector_of_bytes
from storage.journal.schema import memory_tasks, messages, threads, vectors

# --- Reads --------------------------------------------------------------------------------------

_TASK = select(
    memory_tasks.c.position, memory_tasks.c.thread_id, memory_tasks.c.seq, memory_tasks.c.body
)
_WAITING = memory_tasks.c.waiting.is_(sql_true())
_QUEUED = (
    _TASK.where(_WAITING, memory_tasks.c.position > bindparam("after_position"))
    .order_by(memory_tasks.c.position)
    .limit(bindparam("at_most"))
)
_LINKS = (
    _TASK.where(memory_tasks.c.task == RecordLinks.model_fields["task"].default)
    .where(memory_tasks.c.position > bindparam("after_position"))
    .order_by(memory_tasks.c.position)
    .limit(CHUNK)
)
_FIRST = select(func.min(memory_tasks.c.position)).where(_WAITING)
_FIRST_OF = _FIRST.where(memory_tasks.c.thread_id.in_(bindparam("threads", expanding=True)))
_VECTORS = (
    select(vectors.c.message_id, vectors.c.vector)
    .where(vectors.c.message_id.in_(bindparam("ids", expanding=True)))
    .where(vectors.c.fingerprint == bindparam("of_embedder"))
)
_DONE = select(func.count(distinct(memory_tasks.c.subject))).where(
    memory_tasks.c.waiting.is_(sql_false())
)
_GIVEN_MESSAGES = (
    _DONE.where(memory_tasks.c.task == IndexMessage.model_fields["task"].default)
    .where(messages.c.id == memory_tasks.c.subject)
    .where(messages.c.status == MessageStatus.APPROVED.value)
    .where(vectors.c.message_id == memory_tasks.c.subject)
    .where(vectors.c.fingerprint == bindparam("of_embedder"))
)
_GIVEN_LINKS = _DONE.where(memory_tasks.c.task == RecordLinks.model_fields["task"].default)
_FORGOTTEN = (
    select(memory_tasks.c.position)
    .where(memory_tasks.c.task == ForgetMessage.model_fields["task"].default)
    .limit(1)
)
_APPROVED = (
    select(
        messages.c.id,
        messages.c.thread_id,
        messages.c.idx,
        messages.c.body,
        messages.c.approved_seq,
        threads.c.body.label("thread"),
    )
    .join(threads, threads.c.id == messages.c.thread_id)
    .where(messages.c.status == MessageStatus.APPROVED.value)
    .where(
        (messages.c.thread_id > bindparam("after_thread"))
        | (
            (messages.c.thread_id == bindparam("after_thread"))
            & (messages.c.idx > bindparam("after_index"))
        )
    )
    .order_by(messages.c.thread_id, messages.c.idx)
    .limit(CHUNK)
)


def queued_tasks(
    connection: Connection, *, after: int = 0, limit: int = 100
) -> tuple[QueuedTask, ...]:
    return whole_tasks(connection, _queued(connection, after, limit))


def claimable(connection: Connection, *, limit: int) -> tuple[tuple[QueuedTask, ...], list[int]]:
    """The first tasks that wait, and the positions of damaged ones among them."""
    found = _queued(connection, 0, limit)
    tasks = whole_tasks(connection, found)
    return tasks, damaged_among(found, tasks)


def first_queued(connection: Connection, thread_ids: Collection[ThreadId] | None) -> int | None:
    if thread_ids is None:
        position: int | None = connection.scalar(_FIRST)
        return position
    positions = [
        connection.scalar(_FIRST_OF, {"threads": ids}) for ids in chunks(frozenset(thread_ids))
    ]
    return min((position for position in positions if position is not None), default=None)


def given_to_memory(connection: Connection, *, fingerprint: str) -> GivenToMemory:
    """How many points each collection was given, at least.

    A message whose task was dropped because it could not be embedded is not counted. What several
    iterations of a run linked may be the same, so a run counts as one. Once a message was forgotten,
    links went with it, and of how many runs is not known.
    """
    messages_given = connection.scalar(_GIVEN_MESSAGES, {"of_embedder": fingerprint}) or 0
    if connection.scalar(_FORGOTTEN) is not None:
        return GivenToMemory(messages=messages_given, links=0)
    return GivenToMemory(messages=messages_given, links=connection.scalar(_GIVEN_LINKS) or 0)


def kept_vectors(
    connection: Connection, message_ids: Collection[MessageId], *, fingerprint: str
) -> dict[MessageId, tuple[float, ...]]:
    kept: dict[MessageId, tuple[float, ...]] = {}
    for ids in chunks(frozenset(message_ids)):
        rows = connection.execute(_VECTORS, {"ids": ids, "of_embedder": fingerprint}).all()
        kept.update(
            whole_of(
                connection,
                vectors,
                rows,
                lambda row: (MessageId(row.message_id), vector_of_bytes(row.vector)),
            )
        )
    return kept


Approved = tuple[Message, Thread, int]


class ApprovedPage(NamedTuple):
    """Approved messages, each with its thread and the seq that approved it."""

    messages: tuple[Approved, ...]
    last: tuple[ThreadId, int] | None
    """Thread and index of the last one, damaged or not; None where there are no more."""


class LinksPage(NamedTuple):
    """Link tasks, done or waiting."""

    tasks: tuple[QueuedTask, ...]
    last: int | None
    """Position of the last one, damaged or not; None where there are no more."""


def approved_page(connection: Connection, after: tuple[ThreadId, int]) -> ApprovedPage:
    """The next approved messages after the one at this thread and index."""
    thread_id, index = after
    place = {"after_thread": thread_id, "after_index": index}
    rows = all_rows(connection, _APPROVED, place)
    bodies = {row.thread_id: row.thread for row in rows}
    of_ids = dict(
        whole_of(
            connection,
            threads,
            tuple(bodies.items()),
            lambda each: (each[0], Thread.model_validate_json(each[1])),
        )
    )
    found = whole_of(
        connection,
        messages,
        [row for row in rows if row.thread_id in of_ids],
        lambda row: (
            Message.model_validate_json(row.body),
            of_ids[row.thread_id],
            row.approved_seq,
        ),
    )
    return ApprovedPage(found, (ThreadId(rows[-1].thread_id), rows[-1].idx) if rows else None)


def links_page(connection: Connection, after: int) -> LinksPage:
    """The next link tasks with a position above `after`."""
    rows = all_rows(connection, _LINKS, {"after_position": after})
    return LinksPage(whole_tasks(connection, rows), rows[-1].position if rows else None)


def whole_tasks(connection: Connection, rows: Sequence[Any]) -> tuple[QueuedTask, ...]:
    """The tasks of rows that can be read."""
    return whole_of(
        connection,
        memory_tasks,
        rows,
        lambda row: task_of_row(row.position, row.thread_id, row.seq, row.body),
    )


def damaged_among(rows: Sequence[Any], tasks: Sequence[QueuedTask]) -> list[int]:
    """The positions of rows that are none of these tasks: nothing comes of them, so they wait no more."""
    whole = {each.position for each in tasks}
    return [row.position for row in rows if row.position not in whole]


def _queued(connection: Connection, after: int, limit: int) -> Sequence[Any]:
    return all_rows(connection, _QUEUED, {"after_position": after, "at_most": limit})


# --- Writes -------------------------------------------------------------------------------------


def finish_tasks(connection: Connection, positions: Sequence[int]) -> None:
    """Let these tasks wait no more; unknown positions are fine."""
    for some in chunks(positions):
        connection.execute(
            update(memory_tasks).where(memory_tasks.c.position.in_(some)).values(waiting=False)
        )


def keep_vectors(connection: Connection, kept: Sequence[StoredVector]) -> None:
    """Keep vectors, each in place of what was kept for its message and embedder."""
    connection.execute(
        upsert(vectors, connection.dialect.name),
        [
            {
                "message_id": one.message_id,
                "fingerprint": one.fingerprint,
                "vector": vector_bytes(one.vector),
            }
            for one in kept
        ],
    )


_SAME_TASK = (memory_tasks.c.subject == bindparam("of_subject")) & (
    memory_tasks.c.body == bindparam("of_body")
)
_ASKED = select(func.max(memory_tasks.c.seq)).where(_SAME_TASK)
_WAITS = select(memory_tasks.c.position).where(_SAME_TASK, memory_tasks.c.waiting).limit(1)
_DROP_TASK = delete(memory_tasks).where(_SAME_TASK)
_APPROVED_AT = select(messages.c.approved_seq).where(messages.c.id == bindparam("of_message"))


def requeue(connection: Connection, tasks: Sequence[MemoryTask]) -> None:
    """Let tasks wait again, at the end of the queue and with the seq that they had.

    A task that waits already keeps its place. Left out is what the journal does not know: a task
    that it never asked for, the indexing of a message that is not approved.
    """
    for task in tasks:
        row = task_row(task, 0)
        key = {"of_subject": row["subject"], "of_body": row["body"]}
        if connection.scalar(_WAITS, key) is not None:
            continue
        seq = connection.scalar(_ASKED, key)
        if seq is None and isinstance(task, IndexMessage):
            seq = connection.scalar(_APPROVED_AT, {"of_message": task.message_id})
        if seq is None:
            continue
        # A new row instead of a changed one: who reads on from a position must come across it.
        connection.execute(_DROP_TASK, key)
        connection.execute(insert(memory_tasks), {**row, "seq": seq})
