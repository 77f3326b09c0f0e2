"""Entries as they are read: each row's body, with what it refers to put in its place.

Reads only. Rows are read together, so that what a page of them refers to takes three queries: one for
the messages, one for what runs found, one for what forks keep.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Connection, Select, bindparam, select

from machines.models.journal import JournalEntry
from storage.journal.bodies import entry_of, needs_of
from storage.journal.dialect import chunks
from storage.journal.rows import stored_of_row, unreadable
from storage.journal.schema import entries, messages
from storage.journal.sources import Sources, Stored

_MESSAGES: Final = select(messages.c.id, messages.c.body).where(
    messages.c.id.in_(bindparam("ids", expanding=True))
)
_OF_RUNS: Final = (
    select(entries.c.stream, entries.c.seq, entries.c.body, entries.c.digest)
    .where(entries.c.run_id.in_(bindparam("ids", expanding=True)))
    .order_by(entries.c.run_id, entries.c.position)
)
# A run adds priors where a search answers, and says `started` then; a fork begins with some.
_SEARCHED: Final = _OF_RUNS.where(entries.c.kind.in_(["started", "queued"]))
_MADE: Final = _OF_RUNS.where(entries.c.kind.in_(["started", "queued", "completed"]))


def entries_of(connection: Connection, rows: Iterable[Mapping[Any, Any]]) -> list[JournalEntry]:
    """The entries of rows with `stream`, `seq`, `body` and `digest`.

    Raises:
        ValueError: a row is not what was written, or refers to what is not there.
    """
    found: list[JournalEntry] = []
    for each in read(connection, list(rows)):
        if isinstance(each, ValueError):
            raise each
        found.append(each)
    return found


def read(
    connection: Connection,
    rows: Sequence[Mapping[Any, Any]],
    *,
    messages_in: Connection | None = None,
) -> list[JournalEntry | ValueError]:
    """For each row its entry, or what is wrong with it, in words that hold nothing of its content.

    Args:
        messages_in: Where messages are looked up that no row of these creates, if not in `connection`.
    """
    parsed = [_parsed(row) for row in rows]
    bodies = [each for each in parsed if not isinstance(each, ValueError)]
    sources = Sources()
    for stored in bodies:
        sources.learn(stored)
    needs = needs_of(bodies, sources)
    if needs.priors or needs.runs:
        # Of a prior that was found twice the first counts, and that may stand before these rows.
        sources.priors.clear()
        _learn(connection, _SEARCHED, needs.priors, sources)
        learn_made(connection, needs.runs | sources.makers_of(needs.priors), sources)
        for stored in bodies:
            sources.learn(stored)
    sources.messages.update(messages_of(messages_in or connection, needs.messages))
    return [
        each if isinstance(each, ValueError) else _whole(row, each, sources)
        for row, each in zip(rows, parsed, strict=True)
    ]


def learn_made(connection: Connection, run_ids: Collection[str], sources: Sources) -> None:
    """Learn what runs found and completed, and what they changed as forks."""
    _learn(connection, _MADE, run_ids, sources)


def _learn(
    connection: Connection, rows: Select[Any], run_ids: Collection[str], sources: Sources
) -> None:
    """Learn from entries of runs. Who refers to what is damaged there lacks it."""
    for keys in chunks(run_ids):
        for row in connection.execute(rows, {"ids": keys}).mappings():
            with suppress(ValueError):
                sources.learn(stored_of_row(row))


def messages_of(connection: Connection, ids: Collection[str]) -> dict[str, Stored]:
    """The JSON of messages, as they are now; what is not there is left out."""
    return {
        row.id: from_json(row.body)
        for keys in chunks(ids)
        for row in connection.execute(_MESSAGES, {"ids": keys})
    }


def _parsed(row: Mapping[Any, Any]) -> Stored | ValueError:
    try:
        return stored_of_row(row)
    except ValueError as error:
        return error


def _whole(row: Mapping[Any, Any], stored: Stored, sources: Sources) -> JournalEntry | ValueError:
    stream, seq = row["stream"], row["seq"]
    try:
        return entry_of(stream, seq, stored, sources)
    except ValueError as error:
        failure = unreadable(stream, seq)
        failure.__cause__ = error
        return failure
