"""What the journal is asked about branches: those that are open, and that of a run. Reads only."""

from sqlalchemy import Connection, bindparam, select
from sqlalchemy import true as sql_true

from machines.models.branch import Branch
from machines.models.ids import RunId, ThreadId
from storage.journal.damage import values_of
from storage.journal.schema import branches

_IS_OPEN = branches.c.is_open.is_(sql_true())
_OF_THREAD = (
    select(branches.c.id, branches.c.body)
    .where(branches.c.thread_id == bindparam("of_thread"), _IS_OPEN)
    .order_by(branches.c.at, branches.c.id)
)
_OF_RUN = select(branches.c.body).where(branches.c.run_id == bindparam("of_run"))


def branches_in(
    connection: Connection, thread_id: ThreadId, *, strict: bool = True
) -> tuple[Branch, ...]:
    """Those of a thread that are open, oldest first."""
    key = {"of_thread": thread_id}
    return values_of(connection, branches, Branch, _OF_THREAD, key, strict=strict)


def branch_of_run(connection: Connection, run_id: RunId) -> Branch | None:
    """The branch that a forked run grows, open or not."""
    body = connection.scalar(_OF_RUN, {"of_run": run_id})
    return None if body is None else Branch.model_validate_json(body)


def open_branches(connection: Connection) -> tuple[Branch, ...]:
    """Of the whole store; only `chorus verify` waits for it."""
    found = connection.scalars(select(branches.c.body).where(_IS_OPEN))
    return tuple(map(Branch.model_validate_json, found))
