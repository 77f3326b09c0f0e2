"""Which connection holds each session, where several servers share the journal.

A session serves one connection at a time. The row names the one that resumed it last, so that every
server can see whether that is still its own. One function for each question and write, on a connection
whose transaction the caller commits.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, select, update

from storage.journal.dialect import chunks
from storage.journal.schema import sessions
from storage.journal.statements import Statement

_HOLDERS = select(sessions.c.id, sessions.c.holder).where(
    sessions.c.id.in_(bindparam("tokens", expanding=True))
)
_THERE = (
    select(sessions.c.id)
    .where(sessions.c.id.in_(bindparam("tokens", expanding=True)))
    # In one order, so that no two transactions wait for each other.
    .order_by(sessions.c.id)
    .with_for_update()
)
_HOLD = Statement(
    update(sessions).where(sessions.c.id == bindparam("token")).values(holder=bindparam("now"))
)


def session_holders(connection: Connection, token_hashes: Collection[str]) -> dict[str, str | None]:
    return {
        row.id: row.holder
        for some in chunks(frozenset(token_hashes))
        for row in connection.execute(_HOLDERS, {"tokens": some})
    }


def hold_sessions(connection: Connection, wanted: Mapping[str, str]) -> frozenset[str]:
    """Let each session that is there be held by the connection named beside it; gives those."""
    there = [
        token_hash
        for some in chunks(sorted(wanted))
        for token_hash in connection.scalars(_THERE, {"tokens": some})
    ]
    _HOLD.run(connection, *({"token": each, "now": wanted[each]} for each in there))
    return frozenset(there)
