"""The entries about one value, whichever machine moves it. Reads only."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, select

from machines.models.ids import RunId, ThreadId, thread_stream
from machines.models.journal import JournalEntry
from storage.journal.entries import entries_of
from storage.journal.history import kept_declarations
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
    .where(entries.c.stream == bindparam("in_stream"), entries.c.seq > bindparam("after"))
    .where(entries.c.body.contains(bindparam("of")))
    .order_by(entries.c.seq)
    .limit(_AT_ONCE)
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


def _entries_about(connection: Connection, id_: str) -> Iterator[JournalEntry]:
    """Those of a run are found by an index; of another value its thread's entries are gone through."""
    if found := run_entries(connection, RunId(id_)):
        yield from found
        return
    threads_of = (connection.scalar(each, {"of": id_}) for each in _THREADS)
    thread_id = next((each for each in threads_of if each is not None), None)
    if thread_id is None:
        return
    where = {"in_stream": thread_stream(ThreadId(thread_id)), "after": 0, "of": id_}
    while page := entries_of(connection, connection.execute(_PAGE, where).mappings().all()):
        yield from page
        where["after"] = page[-1].seq
