"""What the machines did in a period, in one thread or in all: from counts, and a few entries behind them.

No question reads more entries than those that are not counted yet, which it finds by their positions;
all else that it reads grows with the hours and days of its period. Reads only.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from machines.models.heat import GuardCount, Heat, MachineHeat
from machines.models.ids import ThreadId
from storage.journal import queries
from storage.journal.damage import all_rows, whole_of
from storage.journal.heat_counting import (
    ALL_THREADS,
    AT_ONCE,
    NO_END,
    SECOND,
    count,
    late_entries,
    mark_of,
    page,
)
from storage.journal.heat_tally import (
    DAY,
    HOUR,
    Counted,
    Tally,
    ThreadHour,
    add,
    heat_of,
    tally_of,
)
from storage.journal.rows import micros
from storage.journal.schema import entries, heat_refusals
from storage.journal.schema import heat as counts

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_LAST = select(func.max(entries.c.position))
_COUNTS = select(counts.c.thread_id, counts.c.tally).where(
    counts.c.thread_id == bindparam("thread_id"),
    counts.c.seconds == bindparam("seconds"),
    counts.c.start >= bindparam("since"),
    counts.c.start < bindparam("until"),
)
_TIMES = func.sum(heat_refusals.c["count"]).label("times")
_REFUSED = (
    select(heat_refusals.c.machine, heat_refusals.c.event, heat_refusals.c.guard, _TIMES)
    .where(
        heat_refusals.c.thread_id == bindparam("thread_id"),
        heat_refusals.c.start >= bindparam("since"),
        heat_refusals.c.start < bindparam("until"),
    )
    .group_by(heat_refusals.c.machine, heat_refusals.c.event, heat_refusals.c.guard)
    .order_by(_TIMES.desc(), heat_refusals.c.event, heat_refusals.c.guard)
)


def heat(
    connection: Connection,
    thread_id: ThreadId | None,
    *,
    since: datetime | None,
    until: datetime | None,
    machine: str | None = None,
    most: int | None = None,
) -> Heat:
    """What the machines did from `since` to `until`, both widened to whole hours.

    Args:
        thread_id: None is all threads together.
        machine: Of this one alone; None is every one.
        most: Entries that are counted for the answer where they are not counted yet; None counts all.
    """
    begin = None if since is None else _hour_before(micros(since))
    end = None if until is None else -_hour_before(-micros(until))
    low, high = -NO_END if begin is None else begin, NO_END if end is None else end
    scope = ALL_THREADS if thread_id is None else thread_id
    tally: Tally = {}
    for seconds, first, last in _parts(low, high):
        asked = {"thread_id": scope, "seconds": seconds, "since": first, "until": last}
        rows = all_rows(connection, _COUNTS, asked)
        for more in whole_of(connection, counts, rows, lambda row: tally_of(row.tally)):
            add(tally, more)
    tail, uncounted = _tail(connection, most)
    for hour, more in tail.items():
        if low <= hour.start < high and scope in {ALL_THREADS, hour.thread_id}:
            add(tally, more)
    refused: dict[str, list[GuardCount]] = {}
    for row in connection.execute(_REFUSED, {"thread_id": scope, "since": low, "until": high}):
        one = GuardCount(event=row.event, guard=row.guard, count=int(row.times))
        refused.setdefault(row.machine, []).append(one)
    names = {*tally, *refused}
    if machine is not None:
        names &= {machine}
    return Heat(
        since=_moment(begin),
        until=_moment(end),
        machines=tuple(
            _machine(each, tally.get(each), refused.get(each, ())) for each in sorted(names)
        ),
        uncounted=uncounted,
    )


def heat_of_journal(
    connection: Connection,
    thread_id: ThreadId | None,
    *,
    since: datetime | None,
    until: datetime | None,
) -> Heat | None:
    """`heat` of a journal that is not opened, whatever is not counted yet; None where the thread is none
    of its.

    Raises:
        JournalError: another version wrote it.
    """
    queries.require_migrated(connection)
    if thread_id is not None and queries.thread(connection, thread_id) is None:
        return None
    return heat(connection, thread_id, since=since, until=until)


def _machine(name: str, tally: object, refused: Iterable[GuardCount]) -> MachineHeat:
    found = heat_of(name, tally if isinstance(tally, dict) else {})
    return found.model_copy(update={"refused": tuple(refused)})


def _parts(low: int, high: int) -> Iterator[tuple[int, int, int]]:
    """A period as whole days and the hours beside them: the length in seconds, first start, and end."""
    first_day, last_day = low + -low % DAY, high - high % DAY
    if first_day >= last_day:
        yield HOUR // SECOND, low, high
        return
    yield HOUR // SECOND, low, first_day
    yield DAY // SECOND, first_day, last_day
    yield HOUR // SECOND, last_day, high


def _tail(connection: Connection, most: int | None) -> tuple[Mapping[ThreadHour, Tally], int]:
    """What is not counted yet, and how many entries were left out of it."""
    mark = mark_of(connection)
    counted = Counted()
    count(connection, counted, late_entries(connection, mark))
    after, left = mark.position, NO_END if most is None else most
    while left:
        rows = page(connection, after, NO_END, min(left, AT_ONCE))
        if not rows:
            return counted.tallies, 0
        count(connection, counted, rows)
        after, left = rows[-1]["position"], left - len(rows)
    return counted.tallies, max(0, (connection.scalar(_LAST) or 0) - after)


def _hour_before(at: int) -> int:
    return at - at % HOUR


def _moment(at: int | None) -> datetime | None:
    return None if at is None else _EPOCH + timedelta(microseconds=at)
