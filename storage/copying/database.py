"""A PostgreSQL database as a place of a copy."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Table

from storage.copying.place import Place, named
from storage.copying.tables import Values
from storage.journal import migrations
from storage.journal.migrations import Migrated
from storage.journal.postgres import engines, migrating, poolers, whole_tables
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.committer import take_database


class DatabasePlace:
    """The journal in a database."""

    def __init__(self, address: PostgresAddress, make_epoch: Callable[[], str]) -> None:
        """Nothing is connected to yet.

        Args:
            make_epoch: Names a store whose tables are made.
        """
        self._address = address
        self._make_epoch = make_epoch
        self._engine = engines.writing_engine(address)
        self._held: Connection | None = None
        """The connection whose lock keeps others away."""

    def __str__(self) -> str:
        return str(self._address)

    def is_same(self, other: Place) -> bool:
        return isinstance(other, DatabasePlace) and str(self) == str(other)

    def hold(self, *, make: bool) -> None:
        del make  # a database is made by its owner
        with named(self):
            poolers.check_direct(self._address)
            connection = self._held = self._engine.connect()
            engines.check_server(connection)
            connection.commit()
            take_database(connection, alone=True)
            connection.commit()

    def release(self) -> None:
        connection, self._held = self._held, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()
        self._engine.dispose()

    def state(self) -> Migrated:
        with self.reading() as connection:
            return migrations.state(connection)

    def make_tables(self) -> None:
        with named(self):
            migrating.migrate(self._connection, self._make_epoch)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.writing() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with named(self), self._connection.begin():
            engines.unhurried(self._connection)
            yield self._connection

    def insert(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        whole_tables.insert(connection, table, rows)

    def last_number(self, connection: Connection, table: Table) -> int:
        return whole_tables.last_number(connection, table)

    def number_after(self, connection: Connection, table: Table, last: int) -> None:
        whole_tables.number_after(connection, table, last)

    @property
    def _connection(self) -> Connection:
        assert self._held is not None  # noqa: S101 - `hold` comes first
        return self._held
