"""How the journal's values become rows and come back: one pure function for each direction.

No statement and no connection. A snapshot's JSON is stored as pydantic writes it, an entry's as
`storage.journal.bodies` says; the columns beside it are derived from that same value here and nowhere
else, so that verify can derive them again.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, Protocol

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from machines.models.branch import BranchStatus
from machines.models.chorus import RunProgress, RunStatus
from machines.models.domain import Created, SessionRecord, Updated
from machines.models.errors import ErrorCode, JournalError, RequestRefused, VectorError
from machines.models.ids import ThreadId
from machines.models.journal import (
    NOBODY,
    ChorusFired,
    ForgetMessage,
    IndexMessage,
    JournalEntry,
    MemoryTask,
    QueuedTask,
    RecordLinks,
    RememberedReply,
    RetryTimer,
    TimerRow,
)
from machines.models.limits import MAX_SEQ
from machines.models.message import MessageStatus
from storage.journal.bodies import body_of
from storage.journal.sources import Stored

RowValues = dict[str, Any]
"""A row by column name."""

DIGEST_BYTES: Final = 16
"""Of an entry's digest."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def time_of(at: int) -> datetime:
    """The time that `micros` made a number of."""
    return _EPOCH + at * _MICROSECOND


# --- Entries ------------------------------------------------------------------------------------


def entry_row(entry: JournalEntry) -> RowValues:
    """The row of an entry; its position is the database's to give."""
    body = body_of(entry)
    return {
        "stream": entry.stream,
        "seq": entry.seq,
        **entry_columns(entry),
        "body": body,
        "digest": entry_digest(entry.stream, entry.seq, body),
    }


def entry_digest(stream: str, seq: int, body: str) -> bytes:
    """By what an entry is known to be what was written: `DIGEST_BYTES` of BLAKE2b.

    Against decay, not against tampering: a program that writes the file can write the digest too.

    Args:
        body: Where it is no UTF-8 any more, with the bytes that are not as `surrogateescape` has them.
    """
    content = f"{seq} {stream}\n{body}".encode(errors="surrogateescape")
    return blake2b(content, digest_size=DIGEST_BYTES).digest()


def stored_of_row(row: Mapping[Any, Any]) -> Stored:
    """The body of a row with `stream`, `seq`, `body` and `digest`, parsed.

    Raises:
        ValueError: the row is not what was written, in words that hold nothing of its content.
    """
    stream, seq, body = row["stream"], row["seq"], row["body"]
    if row["digest"] != entry_digest(stream, seq, body):
        raise ValueError(f"entry {seq} of {stream} is not what was written")
    try:
        stored = from_json(body)
    except ValueError as error:
        raise unreadable(stream, seq) from error
    if not isinstance(stored, dict):
        raise unreadable(stream, seq)
    return stored


def unreadable(stream: str, seq: int) -> ValueError:
    """An entry that cannot be read, although it is what was written."""
    return ValueError(f"entry {seq} of {stream} cannot be read")


def entry_columns(entry: JournalEntry) -> RowValues:
    """The columns that repeat what the body says, for queries and for operators."""
    return {
        "type": entry.type,
        "kind": entry.kind,
        "at": micros(entry.at),
        "run_id": _run_of(entry),
    }


def _run_of(entry: JournalEntry) -> str | None:
    """The run that an entry is about: the one that fired, was queued, or is answered for."""
    for fired in entry.fired:
        if isinstance(fired, ChorusFired):
            return fired.instance
    for change in entry.changes:
        if isinstance(change, Created) and change.kind == "run":
            return change.id
    if entry.type == "chorus_response":
        run_id = entry.data.get("run_id")
        return run_id if isinstance(run_id, str) else None
    return None


# --- Snapshots ----------------------------------------------------------------------------------


def snapshot_row(change: Created | Updated, seq: int) -> RowValues:
    """The row of a changed value; `seq` is the number of the entry that changed it.

    Raises:
        JournalError: the value lacks what its columns are derived from.
    """
    try:
        derived = _DERIVED[change.kind](change.value, seq)
    except (KeyError, TypeError, ValueError) as error:
        raise _unfit(change) from error
    value = change.value
    if change.kind == "run":
        value = {name: each for name, each in value.items() if name in _PROGRESS}
    return {
        "id": change.id,
        "version": change.version,
        **derived,
        "body": to_json(value).decode(),
    }


_PROGRESS: Final = frozenset(RunProgress.model_fields)
"""Fields of a run's row; its entries alone hold the others (`storage.journal.runs`)."""


def _unfit(change: Created | Updated) -> JournalError:
    return JournalError(
        "The journal cannot store this.",
        retryable=False,
        detail=f"the value of {change.kind} {change.id} lacks what its rows are made of",
    )


def _thread_columns(value: Mapping[str, Any], _seq: int) -> RowValues:
    # The head and the position are set for every thread whose stream grew, changed or not.
    return {"visibility": value["visibility"], "head_seq": 0, "last_position": 0}


def _message_columns(value: Mapping[str, Any], seq: int) -> RowValues:
    return {
        "thread_id": value["thread_id"],
        "idx": value["index"],
        "status": value["status"],
        "author": value["author"],
        "approved_seq": seq if value["status"] == MessageStatus.APPROVED else None,
    }


def _run_columns(value: Mapping[str, Any], seq: int) -> RowValues:
    status = RunStatus(value["status"])
    return {
        "thread_id": value["thread_id"],
        "live": not status.final,
        "created_seq": seq,
        "carrier": NOBODY if status is RunStatus.RUNNING else None,
    }


def _invitation_columns(value: Mapping[str, Any], _seq: int) -> RowValues:
    return {
        "thread_id": value["thread_id"],
        "public_key": value["public_key"],
        "invited_by": value["invited_by"],
        "status": value["status"],
        "at": micros(_moment(value["created_at"])),
    }


def _invite_link_columns(value: Mapping[str, Any], _seq: int) -> RowValues:
    return {
        "thread_id": value["thread_id"],
        "secret_hash": value["secret_hash"],
        "status": value["status"],
        "at": micros(_moment(value["created_at"])),
    }


def _removal_columns(value: Mapping[str, Any], _seq: int) -> RowValues:
    return {
        "thread_id": value["thread_id"],
        "status": value["status"],
        "at": micros(_moment(value["created_at"])),
    }


def _branch_columns(value: Mapping[str, Any], _seq: int) -> RowValues:
    return {
        "thread_id": value["thread_id"],
        "run_id": value["run_id"],
        "is_open": BranchStatus(value["status"]).is_open,
        "at": micros(_moment(value["created_at"])),
    }


def _moment(value: object) -> datetime:
    """A time as it is in a value, or as JSON has it."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def _user_thread_columns(value: Mapping[str, Any], _seq: int) -> RowValues:
    own = {name: value[name] for name in ("public_key", "thread_id", "read_seq")}
    return {**own, "hidden": value.get("hidden", False)}


def _user_columns(value: Mapping[str, Any], _seq: int) -> RowValues:
    return {"public_key": value["public_key"], "name": value.get("name")}


def _session_columns(value: Mapping[str, Any], _seq: int) -> RowValues:
    return {"followed": value.get("thread_id"), "holder": None}


class _Derive(Protocol):
    def __call__(self, value: Mapping[str, Any], seq: int, /) -> RowValues: ...


_DERIVED: Final[dict[str, _Derive]] = {
    "thread": _thread_columns,
    "message": _message_columns,
    "run": _run_columns,
    "invitation": _invitation_columns,
    "invite_link": _invite_link_columns,
    "removal": _removal_columns,
    "branch": _branch_columns,
    "user_thread": _user_thread_columns,
    "user": _user_columns,
    "session": _session_columns,
}


SNAPSHOT_KINDS: Final = frozenset(_DERIVED)
"""Kinds of values that have a table."""


def session_of_row(body: str, followed: str | None) -> SessionRecord:
    """A session with the thread that it followed last."""
    session = SessionRecord.model_validate_json(body)
    thread_id = None if followed is None else ThreadId(followed)
    return session.model_copy(update={"thread_id": thread_id})


# --- Timers, memory tasks, vectors --------------------------------------------------------------


def timer_row(timer: TimerRow) -> RowValues:
    """The row of a timer."""
    return {
        "id": timer.id,
        "due_at": micros(timer.due_at),
        # A retry is of the server that carries the run out.
        "claimed_until": MAX_SEQ if isinstance(timer.timer, RetryTimer) else None,
        "body": timer.model_dump_json(),
    }


def reply_row(reply: RememberedReply) -> RowValues:
    """The row of an answer that is remembered."""
    return {
        "public_key": reply.public_key,
        "request_id": reply.request_id,
        "at": micros(reply.at),
        "body": reply.model_dump_json(),
    }


_TASK: Final[TypeAdapter[MemoryTask]] = TypeAdapter(MemoryTask)


def task_row(task: MemoryTask, seq: int) -> RowValues:
    """The row of a memory task that waits; `seq` is that of the entry that asked for it."""
    match task:
        case IndexMessage(message_id=message_id) | ForgetMessage(message_id=message_id):
            subject = str(message_id)
        case RecordLinks(run_id=run_id):
            subject = str(run_id)
    return {
        "thread_id": task.thread_id,
        "seq": seq,
        "task": task.task,
        "subject": subject,
        "waiting": True,
        "claimed_until": None,
        "body": task.model_dump_json(),
    }


def task_of_row(position: int, thread_id: str, seq: int, body: str) -> QueuedTask:
    """A memory task with its place in the queue."""
    return QueuedTask(
        position=position,
        thread_id=ThreadId(thread_id),
        seq=seq,
        task=_TASK.validate_json(body),
    )


def vector_bytes(vector: Sequence[float]) -> bytes:
    """A vector as little-endian float32.

    Raises:
        VectorError: a number does not fit into a float32.
    """
    try:
        return struct.pack(f"<{len(vector)}f", *vector)
    except (OverflowError, struct.error) as error:
        raise VectorError("A vector holds a number that is no float32.") from error


def vector_of_bytes(data: bytes) -> tuple[float, ...]:
    """The vector that `vector_bytes` wrote, at float32 precision. Raises ValueError for other bytes."""
    try:
        return struct.unpack(f"<{len(data) // 4}f", data)
    except struct.error as error:
        raise ValueError("no float32 values") from error


# --- Cursors ------------------------------------------------------------------------------------

_CURSOR_PREFIX: Final = b"p"


def cursor(position: int) -> str:
    """The opaque place after the thread whose last entry has this position."""
    return urlsafe_b64encode(_CURSOR_PREFIX + str(position).encode()).decode().rstrip("=")


def cursor_position(text: str) -> int:
    """The position that `cursor` was made of.

    Raises:
        RequestRefused: it was not made by `cursor` (INVALID_FIELD).
    """
    try:
        decoded = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        position = int(decoded.removeprefix(_CURSOR_PREFIX))
    except ValueError:
        position = -1
    # One spelling for each place: what decodes leniently is no cursor of ours.
    if not 0 <= position <= MAX_SEQ or cursor(position) != text:
        raise no_cursor()
    return position


def moment_cursor(at: int, id_: str) -> str:
    """The opaque place after the value that was made `at` (microseconds) and has this id."""
    return urlsafe_b64encode(f"{at}.{id_}".encode()).decode().rstrip("=")


def cursor_moment(text: str) -> tuple[int, str]:
    """The time and the id that `moment_cursor` was made of.

    Raises:
        RequestRefused: it was not made by `moment_cursor` (INVALID_FIELD).
    """
    try:
        decoded = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        at, _, id_ = decoded.partition(".")
        found = (int(at), id_)
    except ValueError:
        found = (-1, "")
    if not 0 <= found[0] <= MAX_SEQ or moment_cursor(*found) != text:
        raise no_cursor()
    return found


def no_cursor() -> RequestRefused:
    """The answer to a cursor that this store never gave."""
    return RequestRefused(
        ErrorCode.INVALID_FIELD,
        "This list cannot be continued from there.",
        details={"field": "after", "problem": "is no cursor of this server"},
    )
