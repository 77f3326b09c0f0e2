"""Many batches in one transaction, by a few statements and two round trips.

    1. BEGIN; lock the streams, in one order for all; read their heads, and what else is decided on
    2. write every table at once; tell who listens; COMMIT

Between the two each batch is accepted or found to be in conflict, here and not by the database. The
heads are read by a statement of its own: at READ COMMITTED it sees what was committed until the locks
were had, so that (stream, seq) has no gap, whoever else commits. A reply that another process
remembers in between is a key taken twice: an error of the data, which the caller answers by repeating
the batches one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from machines.models.errors import JournalConflict
from machines.models.ids import PublicKey, RequestId, StreamId, thread_stream
from machines.models.invitation import InvitationStatus
from machines.models.journal import Committed, IndexMessage, MemoryTask
from storage.journal.answers import Change
from storage.journal.appender import FIRSTS, FIXED, SNAPSHOTS, THREAD_PREFIX, not_carried
from storage.journal.inbox_rows import KINDS_OF, rows_of
from storage.journal.postgres.announcements import CHANNEL, payloads_of
from storage.journal.postgres.failures import OutcomeUnknown, ends_connection
from storage.journal.postgres.locks import lock_keys
from storage.journal.postgres.rows_at_once import RowsAtOnce, deleting, inserting, upserting
from storage.journal.prepared import PreparedBatch, Snapshots
from storage.journal.rows import RowValues, task_row
from storage.journal.schema import co_authors, entries, inbox, memory_tasks, replies, timers
from storage.journal.writer import Done, Failed, Outcome

_LOCK: Final = "SELECT pg_advisory_xact_lock(key) FROM unnest(%b::bigint[]) AS keys(key)"
_HEADS: Final = (
    "SELECT stream, (SELECT max(seq) FROM entries WHERE entries.stream = asked.stream)"
    " FROM unnest(%b::text[]) AS asked(stream)"
)
_REPLIES: Final = (
    "SELECT public_key, request_id FROM replies JOIN unnest(%b::text[], %b::text[])"
    " AS asked(public_key, request_id) USING (public_key, request_id)"
)
_MEMBERS: Final = "SELECT thread_id, public_key FROM co_authors WHERE thread_id = ANY(%b::text[])"
_NOTED: Final = "SELECT public_key, kind, subject FROM inbox WHERE subject = ANY(%b::text[])"
_CARRIERS: Final = "SELECT id, carrier FROM runs WHERE id = ANY(%b::text[])"
_APPROVED: Final = (
    "SELECT id, approved_seq FROM messages WHERE id = ANY(%b::text[]) AND approved_seq IS NOT NULL"
)
_OPEN: Final = {
    "key": "SELECT public_key, id FROM invitations"
    " WHERE public_key = ANY(%b::text[]) AND status = %b::text",
    "inviter": "SELECT invited_by, id FROM invitations"
    " WHERE invited_by = ANY(%b::text[]) AND status = %b::text",
}
_OF: Final = {"key": "public_key", "inviter": "invited_by"}
"""The column that each kind of bound is about."""
_IS_OPEN: Final = InvitationStatus.INVITED.value

_MOVE_HEADS: Final = (
    "UPDATE threads SET head_seq = moved.head, last_position = entries.position"
    " FROM unnest(%b::text[], %b::text[], %b::bigint[]) AS moved(thread_id, stream, head)"
    " JOIN entries ON entries.stream = moved.stream AND entries.seq = moved.head"
    " WHERE threads.id = moved.thread_id"
)
_DROP_MEMBERS_OF: Final = "DELETE FROM co_authors WHERE thread_id = ANY(%b::text[])"
_TELL: Final = "SELECT pg_notify(%b::text, payload) FROM unnest(%b::text[]) AS told(payload)"

_ADD_ENTRIES: Final = inserting(entries, without={"position"})
_ADD_TASKS: Final = inserting(memory_tasks, without={"position"})
_ADD_REPLIES: Final = inserting(replies)
_ADD_MEMBERS: Final = inserting(co_authors)
_DROP_MEMBERS: Final = deleting(co_authors, "thread_id", "public_key")
_ADD_ITEMS: Final = inserting(inbox)
_DROP_ITEMS: Final = deleting(inbox, "public_key", "kind", "subject")
_PUT_TIMERS: Final = upserting(timers)
_DROP_TIMERS: Final = deleting(timers, "id")
_PUT: Final = {
    kind: upserting(table, keep=FIXED.get(kind, ()), first=FIRSTS.get(kind, ()))
    for kind, table in SNAPSHOTS.items()
}
_DROP: Final = {kind: deleting(table, "id") for kind, table in SNAPSHOTS.items()}

_Connection = psycopg.Connection[Any]
_ReplyKey = tuple[PublicKey, RequestId]
_BoundKey = tuple[str, PublicKey]
"""Of what a bound is, and of whom."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored that the batches are decided on."""

    heads: Mapping[StreamId, int]
    answered: frozenset[_ReplyKey]
    members: frozenset[tuple[str, str]]
    """(thread, co-author) of the threads that change."""
    noted: frozenset[tuple[str, str, str]]
    """(user, kind, subject) of the items of inboxes that are about what changes."""
    approved: Mapping[str, int]
    """The number of the entry that approved each message that is to be indexed."""
    open: Mapping[_BoundKey, frozenset[str]]
    """The open invitations of each key, and by each inviter, that a bound is about."""
    carriers: Mapping[str, str | None]
    """Who carries each run that is advanced."""


@dataclass(slots=True)
class _Accepted:
    """The batches that are to be written, and where they leave each stream."""

    heads: dict[StreamId, int]
    """Of every stream that was asked for, moved by each batch."""
    answered: set[_ReplyKey]
    open: dict[_BoundKey, frozenset[str]]
    """As `_Known` has it, moved by each batch."""
    carriers: dict[str, str | None]
    """As `_Known` has it, moved by each batch."""
    batches: list[PreparedBatch] = field(default_factory=list)

    def take(self, prepared: PreparedBatch) -> Outcome:
        """Accept a batch, if nothing came before it."""
        for stream, head in prepared.batch.expected.items():
            actual = self.heads[stream]
            if actual != head:
                return _conflict(f"{stream} is at {actual}, not at {head}")
        for run_id in prepared.batch.advances:
            if self.carriers.get(run_id) != prepared.batch.carrier:
                return Failed(not_carried(run_id))
        open_then = self._open_after(prepared)
        if any(
            len(open_then[bound.of, bound.public_key]) > bound.most
            for bound in prepared.batch.bounds
        ):
            return _conflict("another invitation came first")
        reply = prepared.reply
        if reply is not None:
            key = (reply.public_key, reply.request_id)
            if key in self.answered:
                return _conflict("the request is answered")
            self.answered.add(key)
        self.open = open_then
        runs = prepared.snapshots.rows.get("run", {})
        self.carriers.update((id_, row["carrier"]) for id_, row in runs.items())
        self.heads.update(prepared.heads)
        self.batches.append(prepared)
        return Done(Committed(entries=prepared.batch.entries, reply=reply))

    def _open_after(self, prepared: PreparedBatch) -> dict[_BoundKey, frozenset[str]]:
        rows = prepared.snapshots.rows.get("invitation", {}).values()
        if not rows or not self.open:
            return self.open
        after = dict(self.open)
        for (of, public_key), ids in self.open.items():
            changed = [row for row in rows if row[_OF[of]] == public_key]
            opened = {row["id"] for row in changed if row["status"] == _IS_OPEN}
            after[of, public_key] = ids.difference(row["id"] for row in changed) | opened
        return after


def write_group(
    connection: _Connection, group: Sequence[PreparedBatch], origin: str
) -> list[Outcome]:
    """Make batches durable in one transaction; gives what became of each.

    Args:
        connection: Commits by itself, and is in no transaction.
        origin: Of what is announced: the process that commits.

    Raises:
        OutcomeUnknown: the connection was lost after COMMIT was sent.
        psycopg.Error: nothing was written.
    """
    is_commit_sent = False
    try:
        with connection.pipeline() as pipeline:
            known = _ask(connection, group)
            accepted = _Accepted(
                dict(known.heads), set(known.answered), dict(known.open), dict(known.carriers)
            )
            outcomes = [accepted.take(prepared) for prepared in group]
            if accepted.batches:
                _write(connection, known, accepted)
                _announce(connection, known, accepted, origin)
                is_commit_sent = True
                connection.execute("COMMIT")
                pipeline.sync()
            else:
                connection.execute("ROLLBACK")
    except BaseException as error:
        _take_back(connection, error)
        if is_commit_sent and connection.closed:
            raise OutcomeUnknown from error
        raise
    return outcomes


def _take_back(connection: _Connection, error: BaseException) -> None:
    """End the transaction that failed; where that cannot be, end the connection.

    A connection that its server ended may have that still unread, and then never leaves pipeline mode.
    """
    if not connection.closed and not ends_connection(error):
        with suppress(psycopg.Error):
            connection.rollback()
    if connection.info.transaction_status is not TransactionStatus.IDLE or ends_connection(error):
        connection.close()


# --- The first round trip ---------------------------------------------------------------------------


def _ask(connection: _Connection, group: Sequence[PreparedBatch]) -> _Known:
    streams = {stream for prepared in group for stream in prepared.heads}
    tasks = [task for prepared in group for task in prepared.batch.memory]
    asked = sorted(streams.union(thread_stream(task.thread_id) for task in tasks))
    keys = [
        (prepared.reply.public_key, prepared.reply.request_id)
        for prepared in group
        if prepared.reply is not None
    ]
    bounds = sorted(
        {(bound.of, bound.public_key) for prepared in group for bound in prepared.batch.bounds}
    )
    changed = sorted({id_ for prepared in group for id_ in prepared.snapshots.members})
    noted = sorted(
        {id_ for prepared in group for id_ in prepared.snapshots.noted}
        | {
            id_
            for prepared in group
            for kind in KINDS_OF
            for id_ in prepared.snapshots.deleted.get(kind, ())
        }
    )
    advanced = sorted({run_id for prepared in group for run_id in prepared.batch.advances})
    indexed = sorted({task.message_id for task in tasks if isinstance(task, IndexMessage)})

    connection.execute("BEGIN")
    counted = [f"invitations of {of} {public_key}" for of, public_key in bounds]
    connection.execute(_LOCK, [lock_keys([*streams, *counted])])
    heads = connection.execute(_HEADS, [asked])
    answered = connection.execute(_REPLIES, [[key for key, _ in keys], [id_ for _, id_ in keys]])
    members = connection.execute(_MEMBERS, [changed]) if changed else ()
    items = connection.execute(_NOTED, [noted]) if noted else ()
    approved = connection.execute(_APPROVED, [indexed]) if indexed else ()
    carriers = connection.execute(_CARRIERS, [advanced]) if advanced else ()
    whose = {of: [key for each, key in bounds if each == of] for of in _OPEN}
    found = {
        of: connection.execute(_OPEN[of], [keys_, _IS_OPEN]) for of, keys_ in whose.items() if keys_
    }
    open_ids: dict[_BoundKey, set[str]] = {bound: set() for bound in bounds}
    for of, rows in found.items():
        for public_key, id_ in rows:
            open_ids[of, public_key].add(id_)
    return _Known(
        open={bound: frozenset(ids) for bound, ids in open_ids.items()},
        heads={stream: head or 0 for stream, head in heads},
        answered=frozenset((key, request_id) for key, request_id in answered),
        members=frozenset((thread_id, key) for thread_id, key in members),
        noted=frozenset((key, kind, subject) for key, kind, subject in items),
        approved=dict(approved),
        carriers=dict(carriers),
    )


# --- The second -------------------------------------------------------------------------------------


def _write(connection: _Connection, known: _Known, accepted: _Accepted) -> None:
    batches = accepted.batches
    _run(connection, _ADD_REPLIES, _sorted(row for each in batches for row in each.replies))
    _run(connection, _ADD_ENTRIES, [row for each in batches for row in each.entries])
    snapshots = (
        batches[0].snapshots
        if len(batches) == 1
        else Snapshots.merged(each.snapshots for each in batches)
    )
    for kind, deleted in snapshots.deleted.items():
        _run(connection, _DROP[kind], [{"id": id_} for id_ in sorted(deleted)])
    if gone := snapshots.deleted.get("thread"):
        connection.execute(_DROP_MEMBERS_OF, [sorted(gone)])
    for kind, rows in snapshots.rows.items():
        _run(connection, _PUT[kind], _sorted(rows.values()))
    _write_members(connection, known, snapshots)
    _write_items(connection, known, snapshots)
    _write_timers(connection, batches)
    _run(connection, _ADD_TASKS, list(_task_rows(known, accepted, snapshots)))
    _move_heads(connection, accepted)


def _write_members(connection: _Connection, known: _Known, snapshots: Snapshots) -> None:
    """Let the membership rows be those of the changed threads; most stay as they are."""
    wanted = {(id_, key) for id_, keys in snapshots.members.items() for key in keys}
    before = {(id_, key) for id_, key in known.members if id_ in snapshots.members}
    for statement, pairs in ((_DROP_MEMBERS, before - wanted), (_ADD_MEMBERS, wanted - before)):
        rows = [{"thread_id": id_, "public_key": key} for id_, key in sorted(pairs)]
        _run(connection, statement, rows)


def _write_items(connection: _Connection, known: _Known, snapshots: Snapshots) -> None:
    """Let the items of inboxes be those that follow from what changed."""
    wanted = {
        (row["public_key"], row["kind"], row["subject"]): row
        for id_, kind in snapshots.noted.items()
        for row in rows_of(kind, snapshots.rows[kind][id_])
    }
    gone = [
        {"public_key": key, "kind": kind, "subject": subject}
        for key, kind, subject in sorted(known.noted - wanted.keys())
    ]
    _run(connection, _DROP_ITEMS, gone)
    _run(connection, _ADD_ITEMS, [wanted[each] for each in sorted(wanted.keys() - known.noted)])


def _write_timers(connection: _Connection, batches: Sequence[PreparedBatch]) -> None:
    left: dict[str, RowValues | None] = {}
    for each in batches:
        left.update(dict.fromkeys(each.batch.cancelled_timers))
        left.update((row["id"], row) for row in each.timers)
    gone = [{"id": id_} for id_, row in sorted(left.items()) if row is None]
    _run(connection, _DROP_TIMERS, gone)
    _run(connection, _PUT_TIMERS, _sorted(row for row in left.values() if row is not None))


def _task_rows(known: _Known, accepted: _Accepted, snapshots: Snapshots) -> Iterable[RowValues]:
    """The tasks of all batches. A point is of the entry that approved its message, also when it is
    indexed again."""
    changed = snapshots.rows.get("message", {})
    for each in accepted.batches:
        for task in each.batch.memory:
            yield task_row(task, _seq_of(task, each, known, changed))


def _seq_of(
    task: MemoryTask, by: PreparedBatch, known: _Known, changed: Mapping[str, RowValues]
) -> int:
    if isinstance(task, IndexMessage):
        approved = known.approved.get(task.message_id)
        if approved is None and task.message_id in changed:
            approved = changed[task.message_id]["approved_seq"]
        if approved is not None:
            return approved
    stream = thread_stream(task.thread_id)
    return by.heads.get(stream, known.heads[stream])


def _move_heads(connection: _Connection, accepted: _Accepted) -> None:
    moved = sorted(
        (stream.removeprefix(THREAD_PREFIX), stream, head)
        for stream, head in _heads_after(accepted).items()
        if stream.startswith(THREAD_PREFIX)
    )
    if moved:
        connection.execute(_MOVE_HEADS, [list(column) for column in zip(*moved, strict=True)])


def _announce(connection: _Connection, known: _Known, accepted: _Accepted, origin: str) -> None:
    changes = [
        Change(stream, known.heads[stream], head) for stream, head in _heads_after(accepted).items()
    ]
    if changes:
        connection.execute(_TELL, [CHANNEL, list(payloads_of(origin, changes))])


def _heads_after(accepted: _Accepted) -> dict[StreamId, int]:
    """Where the batches leave the streams that they append to."""
    heads: dict[StreamId, int] = {}
    for each in accepted.batches:
        heads.update(each.heads)
    return heads


def _run(connection: _Connection, statement: RowsAtOnce, rows: Sequence[RowValues]) -> None:
    if rows:
        connection.execute(statement.sql, statement.bind(rows))


def _sorted(rows: Iterable[RowValues]) -> list[RowValues]:
    """In the order of their keys, so that no two transactions wait for each other."""
    return sorted(rows, key=lambda row: row.get("id") or (row["public_key"], row["request_id"]))


def _conflict(detail: str) -> Failed:
    return Failed(JournalConflict("Another change came first: try again.", detail=detail))
