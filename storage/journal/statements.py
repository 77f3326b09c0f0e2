"""Statements that are compiled once and run on the driver's own cursor.

A statement is still SQLAlchemy Core and speaks every dialect; but each time that SQLAlchemy executes
one it makes a context, a result and a dozen events, which costs several times what SQLite then does.
The writer runs the same dozen statements for every batch, so it pays for that once. Only plain
columns are bound here (text, numbers, truth values, bytes), which every driver takes as they are; no
`IN (...)` that grows with its parameters.

Transactions stay SQLAlchemy's: this runs inside whatever the connection has begun.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Delete, Insert, Select, Table, TextClause, Update
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Parameters = Mapping[str, Any]
"""Values by the name of their column or `bindparam`."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in the words of one dialect."""

    sql: str
    order: tuple[str, ...] | None
    """Names in the order of the placeholders; None where the driver binds by name."""
    fixed: Parameters
    """Values that the statement itself holds."""

    def bind(self, parameters: Parameters) -> Any:
        """The parameters as the driver takes them."""
        if self.fixed:
            parameters = {**self.fixed, **parameters}
        if self.order is None:
            return parameters
        return [parameters[name] for name in self.order]


class Statement:
    """A Core statement, compiled at its first use; later uses cost what the driver costs.

    An `Insert` is given the columns that its rows have (all of the table, unless said otherwise).
    """

    def __init__(
        self,
        statement: Select[Any] | Insert | Update | Delete | TextClause,
        *,
        columns: Collection[str] | None = None,
    ) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)
        self._compiled: dict[str, _Compiled] = {}

    @classmethod
    def inserting_into(cls, table: Table, *, without: Collection[str] = ()) -> "Statement":
        """Inserts rows that have every column of the table but those named."""
        columns = [column.name for column in table.columns if column.name not in without]
        return cls(table.insert().inline(), columns=columns)

    def run(self, connection: Connection, *rows: Parameters) -> None:
        """Run it once for each row; not at all where there is none.

        Raises DBAPIError, as SQLAlchemy does.
        """
        compiled = self._for(connection)
        if len(rows) == 1:
            bound = compiled.bind(rows[0])
            _on_cursor(connection, compiled, lambda cursor: cursor.execute(compiled.sql, bound))
        elif rows:
            many = [compiled.bind(row) for row in rows]
            _on_cursor(connection, compiled, lambda cursor: cursor.executemany(compiled.sql, many))

    def column(self, connection: Connection, parameters: Parameters) -> list[Any]:
        """The first column of every row that it finds. Raises DBAPIError, as SQLAlchemy does."""
        compiled = self._for(connection)
        bound = compiled.bind(parameters)

        def fetch(cursor: DBAPICursor) -> Sequence[Sequence[Any]]:
            cursor.execute(compiled.sql, bound)
            return cursor.fetchall()

        return [row[0] for row in _on_cursor(connection, compiled, fetch)]

    def value(self, connection: Connection, parameters: Parameters) -> Any | None:
        """The first column of the first row; None where there is no row."""
        return next(iter(self.column(connection, parameters)), None)

    def sql_for(self, connection: Connection) -> str:
        """The statement in the words of the connection's dialect."""
        return self._for(connection).sql

    def _for(self, connection: Connection) -> _Compiled:
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            made = self._statement.compile(dialect=dialect, column_keys=self._columns)
            assert isinstance(made, SQLCompiler)  # noqa: S101 - DDL is none of these
            given = set(self._columns or ())
            compiled = self._compiled[dialect.name] = _Compiled(
                sql=made.string,
                order=tuple(made.positiontup) if made.positiontup is not None else None,
                fixed={
                    name: bind.value
                    for name, bind in made.binds.items()
                    if name not in given and not bind.required
                },
            )
        return compiled


def _on_cursor(connection: Connection, compiled: _Compiled, work: Callable[[DBAPICursor], T]) -> T:
    cursor = connection.connection.cursor()
    try:
        return work(cursor)
    except connection.dialect.loaded_dbapi.Error as error:
        # What the rest of the storage expects of a failed statement, without its values.
        raise DBAPIError.instance(
            compiled.sql,
            None,
            error,
            connection.dialect.loaded_dbapi.Error,
            hide_parameters=True,
            dialect=connection.dialect,
        ) from error
    finally:
        cursor.close()
