"""Brings a PostgreSQL database to this version's tables, and says whether one is there already.

Servers never migrate it: an operator does, by `chorus migrate`. The migrations are those of SQLite.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, text

from machines.models.errors import JournalError
from storage.journal import migrations, queries, side_tables
from storage.journal.migrations import Migrated
from storage.journal.postgres.committer import StoreTaken
from storage.journal.postgres.engines import unhurried
from storage.journal.postgres.locks import hold_database, take_migrating

_COLLATED: Final = text("""
    SELECT DISTINCT relation.relname, attribute.attname
    FROM pg_index AS index
    JOIN pg_class AS relation ON relation.oid = index.indrelid
    JOIN pg_attribute AS attribute
      ON attribute.attrelid = relation.oid AND attribute.attnum = ANY(index.indkey)
    WHERE relation.relnamespace = current_schema()::regnamespace
      AND relation.relkind = 'r'
      AND attribute.atttypid = 'text'::regtype
      AND attribute.attcollation <> '"C"'::regcollation
    ORDER BY 1, 2
""")
"""Indexed texts whose order is that of a language."""


def migrate(connection: Connection, make_epoch: Callable[[], str]) -> bool:
    """Migrate the database, if it is not of this version; gives whether anything was done.

    Several processes may call it at once: one migrates, and the others wait for it.

    Raises:
        StoreTaken: servers run on it.
        JournalError: it is of a newer version.
        DBAPIError: the database failed.
    """
    unhurried(connection)
    take_migrating(connection)
    done = migrations.state(connection) is Migrated.CURRENT and queries.epoch(connection)
    connection.commit()
    if done:
        return False
    if not hold_database(connection, alone=True):
        raise StoreTaken(alone=True)
    connection.commit()
    with connection.begin():
        unhurried(connection)
        migrations.upgrade(connection)
        _order_by_bytes(connection)
        if queries.epoch(connection) is None:
            side_tables.set_epoch(connection, make_epoch())
    migrations.finish(connection)
    return True


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
        case Migrated.NEWER:
            message = "The database is of a newer version of chorus: install that version."
    raise JournalError(message, retryable=False, certain=True)


def _order_by_bytes(connection: Connection) -> None:
    """Let every indexed text be compared byte by byte, as SQLite does.

    The order of a language differs between databases and changes with their libraries, and an index
    that was built by an older order finds nothing any more.
    """
    for table, column in connection.execute(_COLLATED).all():
        connection.exec_driver_sql(
            f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"'
        )
