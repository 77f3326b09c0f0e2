"""What one of several servers takes to carry out: deadlines that are due, memory tasks that wait.

A claim is a time in the row itself, by the database's clock, until which no other server takes it. What
a server that died had claimed is claimed again once that time is over. Who is slower than that does
what another does as well: what comes of it must not depend on who was first.

Rows that another server is claiming at this moment are passed over, and each is looked at once more
when its lock is had, so that no row is given twice.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, bindparam, or_, select, text, update
from sqlalchemy import true as sql_true

from machines.models.journal import QueuedTask, TimerRow
from storage.journal.damage import all_rows, whole_of
from storage.journal.memory_tasks import damaged_among, finish_tasks, whole_tasks
from storage.journal.schema import memory_tasks, timers

_MICROSECONDS: Final = 1_000_000

_NOW: Final = {
    "postgresql": text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"),
    "sqlite": text("SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"),
}
"""The database's clock, in microseconds since 1970."""


def _free(table: Table) -> ColumnElement[bool]:
    """A row that no server has claimed, or had."""
    return or_(table.c.claimed_until.is_(None), table.c.claimed_until <= bindparam("now"))


_DUE = (
    select(timers.c.id, timers.c.body)
    .where(timers.c.due_at <= bindparam("now"), _free(timers))
    .order_by(timers.c.due_at, timers.c.id)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_CLAIM_TIMERS = (
    update(timers)
    .where(timers.c.id.in_(bindparam("ids", expanding=True)))
    .values(claimed_until=bindparam("until"))
)
_WAITING = (
    select(
        memory_tasks.c.position, memory_tasks.c.thread_id, memory_tasks.c.seq, memory_tasks.c.body
    )
    .where(memory_tasks.c.waiting.is_(sql_true()), _free(memory_tasks))
    .order_by(memory_tasks.c.position)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_CLAIM_TASKS = (
    update(memory_tasks)
    .where(memory_tasks.c.position.in_(bindparam("ids", expanding=True)))
    .values(claimed_until=bindparam("until"))
)


def claim_timers(connection: Connection, *, limit: int, seconds: float) -> tuple[TimerRow, ...]:
    now = _now(connection)
    found = all_rows(connection, _DUE, {"now": now, "at_most": limit})
    if found:
        key = {"ids": [row.id for row in found], "until": now + round(seconds * _MICROSECONDS)}
        connection.execute(_CLAIM_TIMERS, key)
    return whole_of(connection, timers, found, lambda row: TimerRow.model_validate_json(row.body))


def claim_tasks(connection: Connection, *, limit: int, seconds: float) -> tuple[QueuedTask, ...]:
    now = _now(connection)
    found = all_rows(connection, _WAITING, {"now": now, "at_most": limit})
    if found:
        key = {
            "ids": [row.position for row in found],
            "until": now + round(seconds * _MICROSECONDS),
        }
        connection.execute(_CLAIM_TASKS, key)
    tasks = whole_tasks(connection, found)
    finish_tasks(connection, damaged_among(found, tasks))
    return tasks


def release_tasks(connection: Connection, positions: Sequence[int]) -> None:
    """Let tasks that were claimed be claimed by whoever comes."""
    if positions:
        connection.execute(_CLAIM_TASKS, {"ids": list(positions), "until": None})


def _now(connection: Connection) -> int:
    now: int = connection.execute(_NOW[connection.dialect.name]).scalar_one()
    return now
