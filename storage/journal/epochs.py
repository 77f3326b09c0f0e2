"""The store's name, its epoch, and the names that it had before.

What clients remember of `seq` holds within one epoch. A store that lost commits while servers ran on it
gets another one from them, and keeps those that it had: so each server can tell whether the store that
it finds is the one that it knows under a newer name, or one that went back behind it. A store that a
command names anew begins without any.

One function for each read and write, on a connection whose transaction the caller ends.
"""

from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from storage.journal.dialect import upsert
from storage.journal.schema import meta

EPOCH: Final = "epoch"
"""Name in `meta` of the epoch."""

FORMER_EPOCHS: Final = "former_epochs"
"""Name in `meta` of those that were superseded, one a line, the oldest first."""

COMMITS_LOST: Final = "commits_lost"
"""Name in `meta` of the epoch that began when the store was last found to have lost commits."""

OF_THE_STORE: Final = (EPOCH, FORMER_EPOCHS, COMMITS_LOST)
"""Names in `meta` that say which store it is: a copy has its own."""

MOST_FORMER: Final = 100
"""Superseded epochs that are kept: the first, by which servers know what they have in common, and the
newest of the others."""

_VALUE = select(meta.c.value).where(meta.c.name == bindparam("of_name"))


def epoch(connection: Connection) -> str | None:
    """The store's name; None where it has none yet."""
    return connection.scalar(_VALUE, {"of_name": EPOCH})


def former_epochs(connection: Connection) -> tuple[str, ...]:
    """Its superseded names, the oldest first."""
    kept: str | None = connection.scalar(_VALUE, {"of_name": FORMER_EPOCHS})
    return tuple((kept or "").split())


def origin(connection: Connection) -> str | None:
    """The name that it had first: it stays the same while servers run on it."""
    return next(iter(former_epochs(connection)), None) or epoch(connection)


def set_epoch(connection: Connection, name: str) -> None:
    """Name the store, in place of all names that it had."""
    connection.execute(delete(meta).where(meta.c.name == FORMER_EPOCHS))
    _put(connection, EPOCH, name)


def supersede(connection: Connection, known: str, name: str) -> None:
    """Name a store that lost commits.

    Args:
        known: The newest name that is known of it, which it may have lost as well.
    """
    before = dict.fromkeys((*former_epochs(connection), epoch(connection) or known, known))
    first, *others = before
    _put(connection, FORMER_EPOCHS, "\n".join([first, *others[1 - MOST_FORMER :]]))
    _put(connection, EPOCH, name)
    _put(connection, COMMITS_LOST, name)


def _put(connection: Connection, name: str, value: str) -> None:
    connection.execute(upsert(meta, connection.dialect.name), {"name": name, "value": value})
