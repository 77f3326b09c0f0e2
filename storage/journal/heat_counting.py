"""Counts what the machines did: how often they took each edge, how long values stood in their states.

Entries are counted once, in the order of their positions, some at a time: what they add to the hours and
days of their thread, and of all threads, is committed with a mark behind the last of them. So no commit
of an entry waits for a count that other servers write too, a process that is killed counts nothing twice,
and a journal of an earlier version is counted as a new one is. Where a value stands at the mark is kept
in `standing`, so that a state that is left later has its holding time.

On PostgreSQL a position may be missing although a later one is there: its commit is under way, or its
transaction was taken back. It is looked for again, for an hour. Entries of one stream never become
visible out of order.

`storage.journal.heat_questions` asks for what is counted, `storage.journal.heat_tally` says what an
entry adds.
"""

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, delete, select, text, tuple_

from machines.models.heat import Refusals
from machines.models.ids import ThreadId
from storage.journal.damage import all_rows, whole_of
from storage.journal.dialect import chunks, upsert
from storage.journal.heat_tally import (
    DAY,
    HOUR,
    Counted,
    Standing,
    Tally,
    ThreadHour,
    add,
    changed_values,
    standing_of,
    tally_of,
    tally_text,
)
from storage.journal.rows import micros, stored_of_row
from storage.journal.schema import entries, heat, heat_mark, heat_refusals, standing
from storage.journal.sources import Stored

AT_ONCE: Final = 200
"""Entries that are counted in one transaction: some milliseconds, for which commits wait."""

ALL_THREADS: Final = ThreadId("")
"""What stands for a thread in the counts of all."""

SECOND: Final = 1_000_000
"""Microseconds."""

NO_END: Final = 2**62
"""Behind every position, and every time."""

_MISSED: Final = HOUR
"""How long a missing position is looked for, in microseconds; no commit takes as long."""

_THREAD: Final = "thread:"
MARK: Final = "entries"
"""Name of the one mark."""

_PAGE = (
    select(
        entries.c.position,
        entries.c.stream,
        entries.c.seq,
        entries.c.body,
        entries.c.digest,
    )
    .where(entries.c.position > bindparam("after"), entries.c.position <= bindparam("up_to"))
    .order_by(entries.c.position)
    .limit(bindparam("most"))
)
_LATE: Final = {
    # Each gap is looked up in the index: its limit tells PostgreSQL that it is short, which else holds
    # a range of unknown ends for a good part of the table.
    "postgresql": text(
        "SELECT late.* FROM json_array_elements(CAST(:gaps AS json)) AS gap (ends)"
        " CROSS JOIN LATERAL (SELECT position, stream, seq, body, digest FROM entries"
        " WHERE position BETWEEN (gap.ends ->> 0)::bigint AND (gap.ends ->> 1)::bigint"
        " ORDER BY position LIMIT (gap.ends ->> 1)::bigint - (gap.ends ->> 0)::bigint + 1) AS late"
        " ORDER BY late.position"
    ),
    "sqlite": text(
        "SELECT position, stream, seq, body, digest FROM json_each(:gaps) AS gap"
        " CROSS JOIN entries ON position BETWEEN json_extract(gap.value, '$[0]')"
        " AND json_extract(gap.value, '$[1]') ORDER BY position"
    ),
}
_IDS: Final[Any] = bindparam("ids", expanding=True)
_STANDING = select(standing.c.id, standing.c.states).where(standing.c.id.in_(_IDS))
_MARKS = select(heat_mark).where(heat_mark.c.name == MARK)
_HAS_MARK = select(heat_mark.c.name).where(heat_mark.c.name == MARK)
_DROP_STANDING = delete(standing).where(standing.c.id.in_(_IDS))
_ALONE: Final = {
    # `CHOR`, and a number that `storage.journal.postgres.locks` leaves to this.
    "postgresql": text("SELECT pg_try_advisory_xact_lock(1128812370, 5)"),
    "sqlite": text("SELECT true"),
}

Span = tuple[str, int, int]
"""A thread, the length of an hour or day in seconds, and its beginning."""


class _Missing(NamedTuple):
    """Positions that were not there when those behind them were counted."""

    first: int
    last: int
    since: int
    """When they were missed, in microseconds."""


class Mark(NamedTuple):
    """How far entries are counted."""

    position: int
    missing: tuple[_Missing, ...]

    def leaves_out(self, position: int) -> bool:
        """Whether a position before the mark is not counted."""
        return any(each.first <= position <= each.last for each in self.missing)


def count_entries(connection: Connection, now: datetime) -> bool:
    """Count some of the entries that are not counted yet, in the caller's transaction.

    Returns:
        Whether more may be left; False also where another server counts.
    """
    if not connection.scalar(_ALONE[connection.dialect.name]):
        return False
    if not is_mark_whole(connection):
        # How far the counts go is not known.
        for table in (heat, standing, heat_mark):
            connection.execute(delete(table))
    mark = mark_of(connection)
    late = late_entries(connection, mark)
    rows = page(connection, mark.position, NO_END)
    if not rows and not mark.missing:
        return False
    counted = Counted()
    count(connection, counted, (*late, *rows))
    _write(connection, counted)
    _put_mark(connection, _moved(mark, late, rows, micros(now)))
    return len(rows) == AT_ONCE


def recount(connection: Connection, scratch: Connection) -> None:
    """Count in `scratch`, which has no counts, what the mark in `connection` says is counted."""
    mark = mark_of(connection)
    after = 0
    while rows := page(connection, after, mark.position):
        after = rows[-1]["position"]
        counted = Counted()
        count(scratch, counted, [row for row in rows if not mark.leaves_out(row["position"])])
        _write(scratch, counted)


def count_refusals(connection: Connection, refusals: Iterable[Refusals]) -> None:
    """Add refusals to the hours of their threads, and of all, in the caller's transaction."""
    names = ("thread_id", "start", "machine", "event", "guard")
    counts: dict[tuple[str, int, str, str, str], int] = {}
    for each in refusals:
        at = micros(each.hour)
        for id_ in (each.thread_id, ALL_THREADS):
            key = (id_, at - at % HOUR, each.machine, each.event, each.guard)
            counts[key] = counts.get(key, 0) + each.count
    rows = [dict(zip(names, key, strict=True)) | {"count": n} for key, n in sorted(counts.items())]
    if rows:
        adding = upsert(heat_refusals, connection.dialect.name, sums=("count",))
        connection.execute(adding, rows)


def count(connection: Connection, counted: Counted, rows: Sequence[RowMapping]) -> None:
    """Add rows to what is counted. An entry that is not what was written counts as nothing: `verify`
    tells of it."""
    readable: list[tuple[RowMapping, Stored]] = []
    for row in rows:
        if not row["stream"].startswith(_THREAD):
            continue
        try:
            readable.append((row, stored_of_row(row)))
        except ValueError:
            continue
    wanted = {id_ for _, stored in readable for id_ in changed_values(stored)}
    counted.standing.update(_standing(connection, sorted(wanted - counted.standing.keys())))
    for row, stored in readable:
        # A column may be mended; the body is what was written.
        at = micros(datetime.fromisoformat(stored["at"]))
        counted.see(row["stream"].removeprefix(_THREAD), at, stored)


def _standing(connection: Connection, ids: Collection[str]) -> Iterator[tuple[str, Standing]]:
    for some in chunks(ids):
        rows = all_rows(connection, _STANDING, {"ids": some})
        yield from whole_of(
            connection, standing, rows, lambda row: (row.id, standing_of(row.states))
        )


def _write(connection: Connection, counted: Counted) -> None:
    dialect = connection.dialect.name
    for some in chunks(sorted(id_ for id_, states in counted.standing.items() if not states)):
        connection.execute(_DROP_STANDING, {"ids": some})
    stand = [
        {"id": id_, "states": json.dumps(states, separators=(",", ":"))}
        for id_, states in sorted(counted.standing.items())
        if states
    ]
    if stand:
        connection.execute(upsert(standing, dialect), stand)
    grown = _spans(counted.tallies)
    key = tuple_(*heat.primary_key)
    for spans in chunks(sorted(grown)):
        rows = all_rows(connection, select(heat).where(key.in_(spans)), {})
        before = whole_of(connection, heat, rows, lambda row: (tuple(row[:3]), tally_of(row.tally)))
        for span, tally in before:
            add(grown[span], tally)
    rows = [
        {"thread_id": id_, "seconds": seconds, "start": start, "tally": tally_text(tally)}
        for (id_, seconds, start), tally in sorted(grown.items())
    ]
    if rows:
        connection.execute(upsert(heat, dialect), rows)


def _spans(tallies: Mapping[ThreadHour, Tally]) -> dict[Span, Tally]:
    """What the hours of threads add to the hours and days of these threads, and of all."""
    grown: dict[Span, Tally] = {}
    for (thread_id, start), tally in tallies.items():
        for id_ in (thread_id, ALL_THREADS):
            for length in (HOUR, DAY):
                span = (id_, length // SECOND, start - start % length)
                add(grown.setdefault(span, {}), tally)
    return grown


# --- The mark ------------------------------------------------------------------------------------


def mark_of(connection: Connection) -> Mark:
    """How far the entries are counted; not at all where the mark is damaged."""
    marks = _marks(connection)
    return marks[0] if marks else Mark(0, ())


def is_mark_whole(connection: Connection) -> bool:
    """Whether the mark can be read, or is not there."""
    return bool(_marks(connection)) or connection.scalar(_HAS_MARK) is None


def _marks(connection: Connection) -> tuple[Mark, ...]:
    return whole_of(connection, heat_mark, all_rows(connection, _MARKS, {}), _mark_of_row)


def _mark_of_row(row: Any) -> Mark:
    return Mark(row.position, tuple(_Missing(*map(int, each)) for each in json.loads(row.missing)))


def page(
    connection: Connection, after: int, up_to: int, most: int = AT_ONCE
) -> Sequence[RowMapping]:
    """The entries with the positions `after + 1 .. up_to`, in order, at most so many."""
    rows = all_rows(connection, _PAGE, {"after": after, "up_to": up_to, "most": most})
    return [row._mapping for row in rows]


def late_entries(connection: Connection, mark: Mark) -> Sequence[RowMapping]:
    """Entries that were missing and are there, in order: one statement, however many gaps there are."""
    if not mark.missing:
        return ()
    gaps = json.dumps([(each.first, each.last) for each in mark.missing])
    return connection.execute(_LATE[connection.dialect.name], {"gaps": gaps}).mappings().all()


def _put_mark(connection: Connection, mark: Mark) -> None:
    row = {"name": MARK, "position": mark.position, "missing": json.dumps(mark.missing)}
    connection.execute(upsert(heat_mark, connection.dialect.name), row)


def _moved(mark: Mark, late: Iterable[RowMapping], rows: Sequence[RowMapping], now: int) -> Mark:
    """The mark once these rows are counted."""
    last = rows[-1]["position"] if rows else mark.position
    found = sorted(row["position"] for row in (*late, *rows))
    missing = [each for each in mark.missing if now - each.since < _MISSED]
    new = _Missing(mark.position + 1, last, now)
    return Mark(last, tuple(left for each in (*missing, new) for left in _without(each, found)))


def _without(span: _Missing, found: Sequence[int]) -> Iterator[_Missing]:
    """The parts of a span in which none of the positions lies that are `found`, in order."""
    first = span.first
    for position in found[bisect_left(found, span.first) : bisect_left(found, span.last + 1)]:
        if position > first:
            yield span._replace(first=first, last=position - 1)
        first = position + 1
    if first <= span.last:
        yield span._replace(first=first)
