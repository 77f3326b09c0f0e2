"""Who carries which run: questions and writes that both databases know.

In a folder there is one server at a time, so whatever another carried is free. One function for each, on
a connection whose transaction the caller commits.
"""

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy import true as sql_true

from machines.models.chorus import RunProgress
from machines.models.ids import ServerId
from storage.journal.damage import values_of
from storage.journal.schema import runs

_CARRIED = (
    select(runs.c.id, runs.c.body)
    .where(runs.c.live.is_(sql_true()), runs.c.carrier == bindparam("by"))
    .order_by(runs.c.thread_id, runs.c.created_seq, runs.c.id)
)
_OF_OTHERS = runs.c.live.is_(sql_true()) & (runs.c.carrier != bindparam("to"))
_TAKE_ALL = update(runs).where(_OF_OTHERS).values(carrier=bindparam("to"))
_ORPHANS = (
    select(runs.c.id, runs.c.body)
    .where(_OF_OTHERS)
    .order_by(runs.c.thread_id, runs.c.created_seq, runs.c.id)
)


def carried_runs(connection: Connection, server_id: ServerId) -> tuple[RunProgress, ...]:
    """The running runs that a server carries."""
    return values_of(connection, runs, RunProgress, _CARRIED, {"by": server_id})


def claim_all(connection: Connection, server_id: ServerId) -> tuple[RunProgress, ...]:
    """Let a server carry every run that another carried, or nobody; a damaged one too, which goes on once
    it is mended."""
    taken = values_of(connection, runs, RunProgress, _ORPHANS, {"to": server_id})
    connection.execute(_TAKE_ALL, {"to": server_id})
    return taken
