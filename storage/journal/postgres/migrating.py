"""Brings a PostgreSQL database to this version's tables, and says whether one is there already.

Servers never migrate it: an operator does, by `chorus migrate`, before the first server of a new version
starts. The migrations are those of SQLite. Where servers of the version before go on beside all that is
to be done, it is done beside them, each revision by itself. Else all of it is one transaction of who
holds the database alone.
"""

import logging
from collections.abc import Callable, Iterable
from typing import assert_never

from sqlalchemy import Connection

from machines.models.errors import JournalError
from storage.journal import epochs, migrations
from storage.journal.migrations import SERVABLE, Migrated
from storage.journal.migrations.steps import Servers, Step
from storage.journal.postgres.beside_servers import make_beside_servers
from storage.journal.postgres.committer import take_database
from storage.journal.postgres.engines import unhurried
from storage.journal.postgres.locks import take_migrating
from storage.journal.postgres.order_of_bytes import order_by_bytes

log = logging.getLogger(__name__)


def migrate(connection: Connection, make_epoch: Callable[[], str]) -> Migrated:
    """Migrate the database, if it is not of this version; gives what it was before.

    Several processes may call it at once: one migrates, and the others wait for it.

    Raises:
        StoreTaken: servers run on it, and cannot go on beside what is to be done.
        JournalError: it is of a newer version, or a table was in use for too long.
        DBAPIError: the database failed.
    """
    take_migrating(connection)
    with connection.begin():
        before = migrations.state(connection)
        if before in {Migrated.NEWER, Migrated.UNFINISHED}:
            check_migrated(connection)
        named = before is not Migrated.EMPTY and epochs.epoch(connection) is not None
        plan = () if before in SERVABLE else migrations.pending(connection)
        beside = named and _go_on_beside(connection, plan)
    if named and before in SERVABLE:
        return before
    with connection.begin():
        take_database(connection, alone=not beside)
    if beside:
        for step in plan:
            make_beside_servers(connection, step)
        return before
    with connection.begin():
        unhurried(connection)
        migrations.upgrade(connection)
        order_by_bytes(connection)
        if epochs.epoch(connection) is None:
            epochs.set_epoch(connection, make_epoch())
    migrations.finish(connection)
    return before


def check_servable(connection: Connection) -> None:
    """Say where the database is of a newer version beside which this one serves.

    Raises:
        JournalError: it is of any other version than this one.
    """
    if migrations.state(connection) is Migrated.AHEAD:
        log.warning(
            "The database is of a newer version of chorus: this server goes on beside it until one of"
            " that version replaces it."
        )
        return
    check_migrated(connection)


def check_migrated(connection: Connection) -> None:
    """Raises JournalError where the database is not exactly of this version."""
    match migrations.state(connection):
        case Migrated.CURRENT:
            return
        case Migrated.EMPTY:
            message = "The database holds no journal yet: run `chorus migrate`."
        case Migrated.OLDER:
            message = "The database is of an earlier version: run `chorus migrate`."
        case Migrated.UNFINISHED:
            raise migrations.unfinished()
        case Migrated.NEWER | Migrated.AHEAD:
            message = "The database is of a newer version of chorus: install that version."
        case never:
            assert_never(never)
    raise JournalError(message, retryable=False, certain=True)


def _go_on_beside(connection: Connection, plan: Iterable[Step]) -> bool:
    """Whether servers go on beside all that the database lacks."""
    go_on = all(step.servers is Servers.GO_ON for step in plan)
    return go_on and not migrations.is_rewriting(connection)
