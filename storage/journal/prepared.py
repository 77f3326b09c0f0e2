"""A batch as rows, before any of them is written: pure.

Both adapters prepare batches alike and write them in their own way: one by one
(`storage.journal.appender`), or many at once (`storage.journal.postgres.group`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from machines.models.domain import Deleted
from machines.models.errors import JournalError
from machines.models.ids import PublicKey, ServerId, StreamId, ThreadId, thread_stream
from machines.models.journal import NOBODY, Batch, JournalEntry, RememberedReply
from storage.journal.inbox_rows import may_note
from storage.journal.rows import (
    SNAPSHOT_KINDS,
    RowValues,
    entry_row,
    reply_row,
    snapshot_row,
    timer_row,
)


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch with all of its rows that do not depend on what is stored."""

    batch: Batch
    heads: Mapping[StreamId, int]
    """The number of the last entry in each of its streams."""
    reply: RememberedReply | None
    """With its `seq`."""
    entries: tuple[RowValues, ...]
    snapshots: "Snapshots"
    timers: tuple[RowValues, ...]
    replies: tuple[RowValues, ...]
    """One at most."""

    @classmethod
    def of(cls, batch: Batch) -> "PreparedBatch":
        """Raises JournalError where the batch contradicts itself, or holds what cannot be stored."""
        heads = _heads_after(batch.entries)
        reply = _with_seq(batch.reply, heads)
        try:
            return cls(
                batch=batch,
                heads=heads,
                reply=reply,
                entries=tuple(map(entry_row, batch.entries)),
                snapshots=Snapshots.of(batch.entries, batch.carrier),
                timers=tuple(map(timer_row, batch.timers)),
                replies=() if reply is None else (reply_row(reply),),
            )
        except (ValueError, TypeError) as error:
            # Text that is no UTF-8, or a value that JSON cannot say.
            raise _unfit(type(error).__name__) from error


@dataclass(slots=True)
class Snapshots:
    """What remains of a series of changes: the last of each value."""

    rows: dict[str, dict[str, RowValues]] = field(default_factory=dict)
    """By kind, then by id."""
    deleted: dict[str, set[str]] = field(default_factory=dict)
    members: dict[str, tuple[PublicKey, ...]] = field(default_factory=dict)
    """The co-authors of each changed thread."""
    noted: dict[str, str] = field(default_factory=dict)
    """The kind, by id, of what may stand in a user's inbox, or stood there."""

    @classmethod
    def of(cls, entries: Iterable[JournalEntry], carrier: ServerId = NOBODY) -> "Snapshots":
        """Raises JournalError where a change cannot be stored.

        Args:
            carrier: The server that carries each run which is left running.
        """
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
                    snapshots.noted.pop(change.id, None)
                    if change.kind == "thread":
                        snapshots.members.pop(change.id, None)
                    continue
                row = snapshot_row(change, entry.seq)
                if row.get("carrier") is not None:
                    row["carrier"] = carrier
                rows[change.id] = _with_firsts(row, rows.get(change.id))
                deleted.discard(change.id)
                if change.kind == "thread":
                    snapshots.members[change.id] = _co_authors_of(change.value)
                elif may_note(change.kind, change.value):
                    snapshots.noted[change.id] = change.kind
        return snapshots

    @classmethod
    def merged(cls, parts: Iterable["Snapshots"]) -> "Snapshots":
        """What remains of several series, one after the other."""
        snapshots = cls()
        for part in parts:
            for kind, deleted in part.deleted.items():
                rows = snapshots.rows.setdefault(kind, {})
                for id_ in deleted:
                    rows.pop(id_, None)
                    snapshots.noted.pop(id_, None)
                    if kind == "thread":
                        snapshots.members.pop(id_, None)
                snapshots.deleted.setdefault(kind, set()).update(deleted)
            for kind, changed in part.rows.items():
                rows = snapshots.rows.setdefault(kind, {})
                for id_, row in changed.items():
                    rows[id_] = _with_firsts(row, rows.get(id_))
                snapshots.deleted.setdefault(kind, set()).difference_update(changed)
            snapshots.members.update(part.members)
            snapshots.noted.update(part.noted)
        return snapshots


def _with_firsts(row: RowValues, earlier: RowValues | None) -> RowValues:
    """A value that changed twice was created, and approved, at the first of the two."""
    if earlier is None:
        return row
    firsts = {name: earlier[name] for name in ("created_seq",) if name in row}
    if earlier.get("approved_seq") is not None:
        firsts["approved_seq"] = earlier["approved_seq"]
    return {**row, **firsts}


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
