"""Writes to the rows that stand beside the journal: they need no entry, since losing them changes
nothing that was decided.

One function for each, on a connection whose transaction the caller commits.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, update

from machines.models.ids import ThreadId
from machines.models.journal import TimerRow
from storage.journal.dialect import upsert
from storage.journal.rows import RowValues, micros
from storage.journal.schema import meta, moments, replies, sessions, timers
from storage.journal.statements import Statement

_TOUCH = Statement(
    update(sessions).where(sessions.c.id == bindparam("token")).values(followed=bindparam("now"))
)


def note(connection: Connection, name: str, value: str | None) -> None:
    """Keep a text under a name; None forgets it."""
    if value is None:
        connection.execute(delete(meta).where(meta.c.name == name))
    else:
        connection.execute(upsert(meta, connection.dialect.name), {"name": name, "value": value})


def touch_session(connection: Connection, token_hash: str, thread_id: ThreadId | None) -> None:
    """Remember the thread that a session follows; an unknown session is left unknown."""
    _TOUCH.run(connection, {"token": token_hash, "now": thread_id})


def keep_moments(connection: Connection, rows: Sequence[RowValues]) -> None:
    """Keep what was open in threads at earlier entries."""
    connection.execute(upsert(moments, connection.dialect.name), rows)


def drop_timer(connection: Connection, row: TimerRow) -> None:
    """Remove a timer, if it is there and still due at the same time."""
    same = (timers.c.id == row.id) & (timers.c.due_at == micros(row.due_at))
    connection.execute(delete(timers).where(same))


def forget_replies(connection: Connection, before: datetime) -> int:
    """Remove replies older than `before`; returns how many."""
    return connection.execute(delete(replies).where(replies.c.at < micros(before))).rowcount
