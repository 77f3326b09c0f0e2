"""What the journal is asked about removals: those that are voted on. Reads only."""

from sqlalchemy import Connection, bindparam, select

from machines.models.ids import ThreadId
from machines.models.removal import Removal, RemovalStatus
from storage.journal.damage import values_of
from storage.journal.schema import removals

_IS_OPEN = removals.c.status == RemovalStatus.PROPOSED.value
_OF_THREAD = (
    select(removals.c.id, removals.c.body)
    .where(removals.c.thread_id == bindparam("of_thread"), _IS_OPEN)
    .order_by(removals.c.at, removals.c.id)
)


def removals_in(
    connection: Connection, thread_id: ThreadId, *, strict: bool = True
) -> tuple[Removal, ...]:
    """Those of a thread, oldest first."""
    key = {"of_thread": thread_id}
    return values_of(connection, removals, Removal, _OF_THREAD, key, strict=strict)


def open_removals(connection: Connection) -> tuple[Removal, ...]:
    """Of the whole store; only `chorus verify` waits for it."""
    found = connection.scalars(select(removals.c.body).where(_IS_OPEN))
    return tuple(map(Removal.model_validate_json, found))
