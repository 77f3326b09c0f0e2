"""The entries about one value, whichever machine moves it. Reads only."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, NamedTuple, TypeVar

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam, select

from machines.models.domain import Created
from machines.models.ids import RunId, ThreadId, thread_stream
from machines.models.journal import JournalEntry
from machines.models.limits import MAX_SEQ
from storage.journal.entries import entries_of
from storage.journal.history import kept_declarations
from storage.journal.past import seq_at
from storage.journal.queries import head, require_migrated, run_entries
from storage.journal.schema import (
    branches,
    entries,
    invitations,
    invite_links,
    messages,
    removals,
    threads,
)

T = TypeVar("T")

_AT_ONCE: Final = 500
"""Entries that are read together."""

_THREADS: Final = (
    select(threads.c.id).where(threads.c.id == bindparam("of")),
    *(
        select(table.c.thread_id).where(table.c.id == bindparam("of"))
        for table in (messages, invitations, invite_links, removals, branches)
    ),
)
_PAGE = (
    select(entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest)
    .where(entries.c.stream == bindparam("in_stream"))
    .where(entries.c.seq > bindparam("after"), entries.c.seq <= bindparam("until"))
    .where(entries.c.body.contains(bindparam("of")))
    .order_by(entries.c.seq)
    .limit(_AT_ONCE)
)


_VALUES: Final = tuple(
    select(table.c.body).where(
        table.c.id == bindparam("of"), table.c.thread_id == bindparam("of_thread")
    )
    for table in (messages, invitations, invite_links, removals, branches)
)


class Subject(NamedTuple):
    """What the journal has of one value; to be read while its transaction lasts."""

    entries: Iterator[JournalEntry]
    """Those about it, in their order; at least one."""
    head_seq: int
    """The last entry of its thread."""
    declarations: Mapping[str, str]
    """By fingerprint, as the journal keeps them."""


def read_subject(connection: Connection, id_: str, read: Callable[[Subject], T]) -> T | None:
    """What `read` makes of a run, message, thread, invitation, link, removal or branch; None where there is
    none.

    Args:
        id_: a UUID.

    Raises:
        JournalError: another version wrote the journal, which is only read here.
        ValueError: an entry is not what was written.
    """
    require_migrated(connection)
    entries_of_it = _entries_about(connection, id_)
    first = next(entries_of_it, None)
    if first is None:
        return None
    found = chain([first], entries_of_it)
    return read(Subject(found, head(connection, first.stream), kept_declarations(connection)))


def value_entries(
    connection: Connection, thread_id: ThreadId, id_: str
) -> tuple[JournalEntry, ...]:
    """The entries that changed a message, invitation, link, removal or branch of a thread, or that are about a
    run of it, in their order; none where the thread has no such value.

    They lie between the times at which the value was made and changed last. Entries have the times of their
    events, and not all are in the order of these: where the first or the last is not found so, all of the
    thread's entries are gone through.
    """
    key = {"of": id_, "of_thread": thread_id}
    bodies = (connection.scalar(each, key) for each in _VALUES)
    body = next((each for each in bodies if each is not None), None)
    if body is None:
        found = run_entries(connection, RunId(id_))
        return found if found and found[0].stream == thread_stream(thread_id) else ()
    value = from_json(body)
    made, changed = (datetime.fromisoformat(value[name]) for name in ("created_at", "updated_at"))
    after = seq_at(connection, thread_id, made - timedelta(microseconds=1))
    until = seq_at(connection, thread_id, changed)
    spans = ((after, until), (0, MAX_SEQ))
    for span in spans:
        between = tuple(_changes_of(connection, thread_id, id_, *span))
        if (
            between
            and _makes(between[0], id_)
            and _version_left(between[-1], id_) == value["version"]
        ):
            break
    return between


def _changes_of(
    connection: Connection, thread_id: ThreadId, id_: str, after: int, until: int
) -> Iterator[JournalEntry]:
    for entry in _naming(connection, thread_id, id_, after, until):
        if _version_left(entry, id_):
            yield entry


def _makes(entry: JournalEntry, id_: str) -> bool:
    """Whether a value comes to be by an entry."""
    return any(isinstance(each, Created) and each.id == id_ for each in entry.changes)


def _version_left(entry: JournalEntry, id_: str) -> int:
    """The version in which an entry leaves a value; 0 where it does not change it."""
    return max((each.version for each in entry.changes if each.id == id_), default=0)


def _entries_about(connection: Connection, id_: str) -> Iterator[JournalEntry]:
    """Those of a run are found by an index; of another value its thread's entries are gone through."""
    if found := run_entries(connection, RunId(id_)):
        yield from found
        return
    threads_of = (connection.scalar(each, {"of": id_}) for each in _THREADS)
    thread_id = next((each for each in threads_of if each is not None), None)
    if thread_id is None:
        return
    yield from _naming(connection, ThreadId(thread_id), id_, 0, MAX_SEQ)


def _naming(
    connection: Connection, thread_id: ThreadId, id_: str, after: int, until: int
) -> Iterator[JournalEntry]:
    """The entries `after + 1 .. until` of a thread in which an id stands, a page of them in memory."""
    where = {
        "in_stream": thread_stream(thread_id),
        "after": after,
        "until": until,
        "of": id_,
    }
    while page := entries_of(connection, connection.execute(_PAGE, where).mappings().all()):
        yield from page
        where["after"] = page[-1].seq
