"""Statements that write many rows: each takes one array for each column.

One statement of a thousand rows costs PostgreSQL about what ten of one row cost, and one message each
way. Built from the tables' declarations; nothing here knows what the rows mean.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, Table, Text
from sqlalchemy.types import TypeEngine

from storage.journal.rows import RowValues


@dataclass(frozen=True, slots=True)
class RowsAtOnce:
    """A statement, and the columns whose values it takes."""

    sql: str
    columns: tuple[str, ...]

    def bind(self, rows: Sequence[RowValues]) -> list[list[Any]]:
        """The arrays of so many rows."""
        return [[row[name] for row in rows] for name in self.columns]


def inserting(table: Table, *, without: Collection[str] = ()) -> RowsAtOnce:
    """Inserts rows in their order, which is that of the numbers that the database gives them."""
    columns = tuple(column.name for column in table.columns if column.name not in without)
    named = _listed(columns)
    return RowsAtOnce(
        f"INSERT INTO {table.name} ({named}) SELECT {named}"  # noqa: S608 - names of our own tables
        f" FROM unnest({_arrays(table, columns)}) WITH ORDINALITY AS given({named}, nth)"
        " ORDER BY nth",
        columns,
    )


def upserting(
    table: Table, *, keep: Collection[str] = (), first: Collection[str] = ()
) -> RowsAtOnce:
    """Inserts rows, or overwrites those with the same primary keys.

    Args:
        keep: Columns that an existing row keeps.
        first: Columns that an existing row keeps unless it has none (NULL).
    """
    keys = tuple(column.name for column in table.primary_key.columns)
    names = (column.name for column in table.columns)
    changed = [
        f'"{name}" = coalesce({table.name}."{name}", excluded."{name}")'
        if name in first
        else f'"{name}" = excluded."{name}"'
        for name in names
        if name not in keys and name not in keep
    ]
    insert = inserting(table)
    return RowsAtOnce(
        f"{insert.sql} ON CONFLICT ({_listed(keys)}) DO UPDATE SET {', '.join(changed)}",
        insert.columns,
    )


def deleting(table: Table, *columns: str) -> RowsAtOnce:
    """Deletes the rows with the given values in `columns`."""
    return RowsAtOnce(
        f"DELETE FROM {table.name} WHERE ({_listed(columns)})"  # noqa: S608 - as above
        f" IN (SELECT * FROM unnest({_arrays(table, columns)}))",
        columns,
    )


def _listed(columns: Collection[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _arrays(table: Table, columns: Collection[str]) -> str:
    return ", ".join(f"%b::{_type_name(table.columns[name].type)}[]" for name in columns)


def _type_name(type_: TypeEngine[Any]) -> str:
    match type_:
        case Text():
            return "text"
        case BigInteger():
            return "bigint"
        case Integer():
            return "integer"
        case Boolean():
            return "boolean"
        case LargeBinary():
            return "bytea"
        case _:
            raise TypeError(f"no array type for {type_!r}")
