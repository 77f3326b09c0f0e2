"""Makes a revision while servers of the version before commit to the same tables.

Who waits to change a table keeps all others waiting behind it. So no lock is waited for longer than
`WAIT_MS`; the change is taken back then, and asked for again. An index is built outside of any
transaction, which keeps no commit waiting.
"""

from collections.abc import Callable
from time import sleep
from typing import Final

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from machines.models.errors import JournalError
from storage.journal import migrations
from storage.journal.migrations.steps import BuiltIndex, Step
from storage.journal.postgres.engines import unhurried_but_brief
from storage.journal.postgres.failures import cause_of
from storage.journal.postgres.order_of_bytes import order_by_bytes, order_column_by_bytes

WAIT_MS: Final = 300
"""For each lock; a tenth and less of what a commit may wait."""

PAUSES: Final = (0.1, 0.2, 0.4, 0.8, *[1.6] * 20)
"""Seconds between tries: commits have their turn meanwhile."""

_IN_USE: Final = frozenset({"55P03", "40P01"})
"""Lock not available, deadlock."""

_UNBOUNDED: Final = (
    "SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false)"
)
_IS_BROKEN: Final = text(
    "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
)
"""Of an index whose building was broken off."""


def make_beside_servers(connection: Connection, step: Step) -> None:
    """Make one revision, on a connection without a transaction.

    Raises:
        JournalError: a table was in use whenever it was asked for.
        DBAPIError: the database failed.
    """
    if step.index is not None:
        _build(connection, step.index)

    def make() -> None:
        migrations.upgrade(connection, step.revision)
        order_by_bytes(connection)

    _brief(connection, make)


def _build(connection: Connection, index: BuiltIndex) -> None:
    """Build an index, in the order of bytes; one that is broken is built anew.

    It waits for every transaction that is under way, and no transaction waits for it.
    """

    def order() -> None:
        for column in index.columns:
            order_column_by_bytes(connection, index.table, column)

    _brief(connection, order)
    with connection.begin():
        is_broken = connection.scalar(_IS_BROKEN, {"name": index.name}) is not None
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine's driver is psycopg
    columns = ", ".join(f'"{each}"' for each in index.columns)
    build = f'CREATE INDEX CONCURRENTLY IF NOT EXISTS "{index.name}" ON "{index.table}" ({columns})'
    driver.autocommit = True
    try:
        driver.execute(_UNBOUNDED)
        if is_broken:
            driver.execute(f'DROP INDEX CONCURRENTLY "{index.name}"'.encode())
        driver.execute(build.encode())
    finally:
        if not driver.closed:
            driver.autocommit = False


def _brief(connection: Connection, change: Callable[[], None]) -> None:
    """Make a change in a transaction that waits for no lock for long, as often as it takes.

    Raises JournalError where a table was in use whenever it was asked for.
    """
    for pause in (*PAUSES, None):
        try:
            with connection.begin():
                unhurried_but_brief(connection, WAIT_MS)
                change()
                return
        except DBAPIError as error:
            if getattr(cause_of(error), "sqlstate", None) not in _IN_USE:
                raise
            if pause is None:
                raise JournalError(
                    "A table is in use for long, perhaps by a backup: run `chorus migrate` again.",
                    certain=True,
                ) from error
        sleep(pause)
