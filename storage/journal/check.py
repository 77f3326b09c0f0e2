"""Verify and repair: holds the snapshots, and the rows beside them, against the entries.

There is one rule for what the snapshots must be: what replaying all entries into an empty store
gives. So that is done, in a private scratch database and with the code that writes new batches, and
then the two are compared row by row. Repair writes the rows that differ, and nothing else.

What the entries themselves have lost (a gap, a damaged page, an entry that is not what was written)
cannot be mended from them: it is reported, and the snapshots are then left as they are, since a
replay with holes would take good rows back to an older state. Such a store must come from a backup,
or be saved as far as it is whole (`storage.salvage.recover`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.exc import IntegrityError

from machines.models.branch import Branch
from machines.models.chorus import RunProgress
from machines.models.domain import Deleted, SessionRecord, User
from machines.models.errors import JournalError
from machines.models.invitation import Invitation
from machines.models.invite_link import InviteLink
from machines.models.journal import (
    ApprovalTimer,
    BranchTimer,
    ForgetMessage,
    IndexMessage,
    InvitationTimer,
    InviteLinkTimer,
    JournalEntry,
    RecordLinks,
    RemovalTimer,
    RetryTimer,
    SessionTimer,
    TimerRow,
)
from machines.models.message import Message
from machines.models.removal import Removal
from machines.models.thread import Thread
from machines.models.user_thread import UserThread
from storage.journal.appender import BatchAppender
from storage.journal.damage import every_text
from storage.journal.dialect import CHUNK, damaged_pages, scratch_engine
from storage.journal.entries import read
from storage.journal.heat_counting import MARK, is_mark_whole, recount
from storage.journal.rows import RowValues, entry_columns, task_of_row
from storage.journal.schema import (
    METADATA,
    branches,
    co_authors,
    entries,
    heat,
    heat_mark,
    inbox,
    invitations,
    invite_links,
    memory_tasks,
    messages,
    removals,
    runs,
    sessions,
    standing,
    threads,
    timers,
    user_threads,
    users,
)

PrimaryKey = tuple[Any, ...]
"""The values of a table's primary key."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write a row in place of the one with its key."""

    table: Table
    row: RowValues


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove the row with a key."""

    table: Table
    key: PrimaryKey


@dataclass(frozen=True, slots=True)
class Reindex:
    """Let the database build its indices again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    sentence: str
    mend: Put | Drop | Reindex | None = None
    """None where the journal alone cannot mend it."""
    done: str = ""
    """What to say once it is mended."""


@dataclass(frozen=True, slots=True)
class _Snapshots:
    """A table that follows from the entries."""

    noun: str
    table: Table
    model: type[BaseModel] | None = None
    beside: frozenset[str] = frozenset()
    """Columns that may be newer than the entries, or do not follow from them."""


_WAY_OUT: Final = (
    "Restore the data folder from a backup, or let a repair save what is whole of its file."
)

_SNAPSHOTS: Final = (
    _Snapshots("thread", threads, Thread),
    _Snapshots("co-authorship", co_authors),
    _Snapshots("message", messages, Message),
    _Snapshots("run", runs, RunProgress, beside=frozenset({"carrier"})),
    _Snapshots("invitation", invitations, Invitation),
    _Snapshots("invite_link", invite_links, InviteLink),
    _Snapshots("removal", removals, Removal),
    _Snapshots("branch", branches, Branch),
    _Snapshots("inbox item", inbox),
    _Snapshots("reading of a thread", user_threads, UserThread),
    _Snapshots("user", users, User),
    _Snapshots("session", sessions, SessionRecord, beside=frozenset({"followed", "holder"})),
    _Snapshots("count of what machines did", heat),
    _Snapshots("count of the states of", standing),
)


def find(connection: Connection) -> tuple[Finding, ...]:
    """Everything that is wrong, in one consistent read of the store."""
    with every_text(connection):
        return _found(connection)


def _found(connection: Connection) -> tuple[Finding, ...]:
    pages = tuple(_page_finding(line) for line in damaged_pages(connection))
    if pages:
        # What is read through damaged pages or indices proves nothing about the rest.
        return pages
    engine = scratch_engine()
    try:
        with engine.connect() as scratch, scratch.begin():
            METADATA.create_all(scratch)
            damage, stale = _replay(connection, scratch)
            if damage:
                return (*damage, *stale)
            recount(connection, scratch)
            return (
                *stale,
                *_lost_mark(connection),
                *_differences(connection, scratch),
                *_contradictions(scratch),
                *_lost_timers(connection, scratch),
                *_lost_tasks(connection, scratch),
            )
    finally:
        engine.dispose()


def repair(connection: Connection) -> tuple[str, ...]:
    """Mend what `find` finds, in the caller's transaction; returns what was done."""
    findings = find(connection)
    done = [finding.done for finding in findings if finding.mend is not None]
    if any(isinstance(finding.mend, Reindex) for finding in findings):
        connection.execute(text("REINDEX"))
        findings = find(connection)
        done += [finding.done for finding in findings if finding.mend is not None]
    mends = [finding.mend for finding in findings]
    # All that is wrong goes first: a wrong row may hold a key that a right one needs.
    for mend in mends:
        match mend:
            case Put(table, row):
                connection.execute(delete(table).where(_has_key(table, _key(table, row))))
            case Drop(table, key):
                connection.execute(delete(table).where(_has_key(table, key)))
            case Reindex() | None:
                pass
    for mend in mends:
        if isinstance(mend, Put):
            connection.execute(insert(mend.table), mend.row)
    return tuple(dict.fromkeys(done))


def _page_finding(line: str) -> Finding:
    if "index" in line:
        return Finding(f"The database reports: {line}.", Reindex(), "Built the indices again.")
    return Finding(f"The database reports: {line}. {_WAY_OUT}")


# --- The entries themselves ---------------------------------------------------------------------

_ENTRIES: Final = select(entries).order_by(entries.c.position).execution_options(yield_per=CHUNK)


def _replay(
    connection: Connection, scratch: Connection
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Fill `scratch` from the entries; returns what they have lost, and what else is wrong there."""
    appender = BatchAppender(scratch.dialect.name)
    heads: dict[str, int] = {}
    versions: dict[str, int] = {}
    damage: list[Finding] = []
    stale: list[Finding] = []
    for part in connection.execute(_ENTRIES).mappings().partitions():
        rows = [dict(row) for row in part]
        readable: list[JournalEntry] = []
        # Messages are those of the replay: a snapshot proves nothing about an entry.
        for row, entry in zip(rows, read(connection, rows, messages_in=scratch), strict=True):
            stream, seq = row["stream"], row["seq"]
            damage += _gap(stream, heads.get(stream, 0), seq)
            heads[stream] = seq
            if isinstance(entry, ValueError):
                damage.append(Finding(f"The {entry}. {_WAY_OUT}"))
                continue
            readable.append(entry)
            damage += _run_gaps(versions, entry)
            columns = entry_columns(entry)
            if any(row[name] != value for name, value in columns.items()):
                stale.append(
                    Finding(
                        f"The columns of entry {seq} of {stream} contradict its body.",
                        Put(entries, {**row, **columns}),
                        f"Rewrote the columns of entry {seq} of {stream}.",
                    )
                )
        if damage:
            continue
        scratch.execute(insert(entries), [{**row, "body": ""} for row in rows])
        try:
            with scratch.begin_nested():
                appender.apply(scratch, tuple(readable))
        except (IntegrityError, JournalError) as error:
            reason = error.detail if isinstance(error, JournalError) else str(error.orig)
            damage.append(
                Finding(
                    f"The entries at positions {rows[0]['position']} to {rows[-1]['position']} "
                    f"contradict each other: {reason}."
                )
            )
    return tuple(damage), tuple(stale)


def _gap(stream: str, last: int, seq: int) -> Iterator[Finding]:
    if seq != last + 1:
        yield Finding(
            f"The stream {stream} has entry {seq} after entry {last}: entries are missing or out of "
            f"order. {_WAY_OUT}"
        )


def _run_gaps(versions: dict[str, int], entry: JournalEntry) -> Iterator[Finding]:
    """A run is put together of its entries, so they must tell of each of its versions."""
    for change in entry.changes:
        if change.kind == "run" and not isinstance(change, Deleted):
            wanted = versions.get(change.id, 0) + 1
            if change.version != wanted:
                yield Finding(f"The run {change.id} lacks its version {wanted}. {_WAY_OUT}")
            versions[change.id] = change.version


# --- Snapshots against the replay ---------------------------------------------------------------


def _differences(connection: Connection, scratch: Connection) -> Iterator[Finding]:
    for kind in _SNAPSHOTS:
        table = kind.table
        for part in scratch.execute(select(table)).mappings().partitions(CHUNK):
            right = _by_key(table, part)
            actual = _rows(connection, table, right)
            for key, row in right.items():
                yield from _difference(kind, key, row, actual.get(key))
        keyed = select(*table.primary_key).execution_options(yield_per=CHUNK)
        for rows in connection.execute(keyed).partitions():
            keys = [tuple(row) for row in rows]
            known = _rows(scratch, table, keys)
            for key in keys:
                if key not in known:
                    yield Finding(
                        f"The {kind.noun} {_name(key)} stands in no entry.",
                        Drop(table, key),
                        f"Removed the {kind.noun} {_name(key)}, which stands in no entry.",
                    )


def _difference(
    kind: _Snapshots, key: PrimaryKey, right: RowValues, actual: RowValues | None
) -> Iterator[Finding]:
    what = f"the {kind.noun} {_name(key)}"
    if kind.model is not None:
        try:
            kind.model.model_validate_json(right["body"])
        except ValueError:
            yield Finding(f"The entries give {what} a value that cannot be read.")
    if actual is None:
        sentence = f"The snapshots lack {what}."
    else:
        # What may be newer is kept as it is.
        right = {**right, **{name: actual[name] for name in kind.beside}}
        if right == actual:
            return
        sentence = f"The snapshot of {what} contradicts the entries."
    yield Finding(sentence, Put(kind.table, right), f"Rewrote {what} from the entries.")


# --- What the entries contradict ----------------------------------------------------------------


def _contradictions(truth: Connection) -> Iterator[Finding]:
    """Rules between values that the entries themselves break; no snapshot is to blame."""
    indices = (
        select(
            messages.c.thread_id,
            func.count().label("how_many"),
            func.max(messages.c.idx).label("last"),
        )
        .group_by(messages.c.thread_id)
        .subquery()
    )
    counted = select(threads.c.id, threads.c.body, indices.c.how_many, indices.c.last).join(
        indices, indices.c.thread_id == threads.c.id, isouter=True
    )
    for row in truth.execute(counted):
        count = row.how_many or 0
        # Indices are unique and not negative, so the highest says whether one is missing.
        if count and row.last != count - 1:
            yield Finding(f"The messages of thread {row.id} are not numbered without a gap.")
        claimed = Thread.model_validate_json(row.body).message_count
        if claimed != count:
            yield Finding(f"The thread {row.id} counts {claimed} messages and has {count}.")
    belonging = (
        (messages, "message"),
        (runs, "run"),
        (invitations, "invitation"),
        (invite_links, "invite link"),
        (removals, "removal"),
        (branches, "branch"),
        (user_threads, "reading of a thread"),
    )
    for table, noun in belonging:
        orphans = select(table.c.id).where(table.c.thread_id.not_in(select(threads.c.id)))
        for id_ in truth.scalars(orphans):
            yield Finding(f"The {noun} {id_} belongs to no thread.")


def _lost_mark(connection: Connection) -> Iterator[Finding]:
    if not is_mark_whole(connection):
        yield Finding(
            "How far the machines' counts go cannot be read.",
            Drop(heat_mark, (MARK,)),
            "Removed the mark of the machines' counts: they are counted anew.",
        )


def _lost_timers(connection: Connection, truth: Connection) -> Iterator[Finding]:
    for row in connection.execute(select(timers).execution_options(yield_per=CHUNK)):
        try:
            timer = TimerRow.model_validate_json(row.body).timer
        except ValueError:
            known = False
        else:
            match timer:
                case RetryTimer(run_id=id_):
                    known = _exists(truth, runs, runs.c.id == id_)
                case ApprovalTimer(message_id=id_):
                    known = _exists(truth, messages, messages.c.id == id_)
                case InvitationTimer(invitation_id=id_):
                    known = _exists(truth, invitations, invitations.c.id == id_)
                case InviteLinkTimer(link_id=id_):
                    known = _exists(truth, invite_links, invite_links.c.id == id_)
                case RemovalTimer(removal_id=id_):
                    known = _exists(truth, removals, removals.c.id == id_)
                case BranchTimer(branch_id=id_):
                    known = _exists(truth, branches, branches.c.id == id_)
                case SessionTimer(token_hash=id_):
                    known = _exists(truth, sessions, sessions.c.id == id_)
        if not known:
            yield Finding(
                f"The timer {row.id} is for nothing that exists.",
                Drop(timers, (row.id,)),
                f"Removed the timer {row.id}.",
            )


def _lost_tasks(connection: Connection, truth: Connection) -> Iterator[Finding]:
    for row in connection.execute(select(memory_tasks).execution_options(yield_per=CHUNK)):
        try:
            task = task_of_row(row.position, row.thread_id, row.seq, row.body).task
        except ValueError:
            known = False
        else:
            match task:
                case IndexMessage(message_id=id_) | ForgetMessage(message_id=id_):
                    approved = messages.c.approved_seq.is_not(None)
                    known = _exists(truth, messages, (messages.c.id == id_) & approved)
                case RecordLinks(run_id=id_):
                    known = _exists(truth, runs, runs.c.id == id_)
        if not known:
            yield Finding(
                f"The memory task {row.position} is for nothing that exists.",
                Drop(memory_tasks, (row.position,)),
                f"Removed the memory task {row.position}.",
            )


def _exists(connection: Connection, table: Table, condition: ColumnElement[bool]) -> bool:
    found = connection.scalar(select(literal(1)).select_from(table).where(condition).limit(1))
    return found is not None


# --- Rows by key --------------------------------------------------------------------------------


def _key(table: Table, row: RowValues) -> PrimaryKey:
    return tuple(row[column.name] for column in table.primary_key)


def _has_key(table: Table, key: PrimaryKey) -> ColumnElement[bool]:
    return tuple_(*table.primary_key).in_([key])


def _rows(
    connection: Connection, table: Table, keys: Iterable[PrimaryKey]
) -> dict[PrimaryKey, RowValues]:
    wanted: Sequence[PrimaryKey] = list(keys)
    statement = select(table).where(tuple_(*table.primary_key).in_(wanted))
    return _by_key(table, connection.execute(statement).mappings())


def _by_key(table: Table, rows: Iterable[RowMapping]) -> dict[PrimaryKey, RowValues]:
    plain = [dict(row) for row in rows]
    return {_key(table, row): row for row in plain}


def _name(key: PrimaryKey) -> str:
    return " of ".join(str(each) for each in reversed(key) if each != "")
