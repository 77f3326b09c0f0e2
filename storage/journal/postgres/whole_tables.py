"""Fills whole tables: many rows by COPY, and the numbers that the database gives from then on."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Table, text

from storage.journal.failures import journal_failure

_SEQUENCE: Final = text("SELECT pg_get_serial_sequence(:table, :column)")
_SET: Final = text("SELECT setval(CAST(:sequence AS regclass), :last, :given)")


def insert(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows, in the caller's transaction.

    Args:
        rows: Each with every column, in the order of the table's declaration.

    Raises:
        JournalError: nothing was written.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine's driver is psycopg
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    try:
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {table.name} ({names}) FROM STDIN".encode()) as stream,
        ):
            for row in rows:
                stream.write_row(row)
    except psycopg.Error as error:
        raise journal_failure(error, certain=True) from error


def last_number(connection: Connection, table: Table) -> int:
    """The highest number that was given to a row; 0 before the first."""
    sequence = _sequence_of(connection, table)
    last, given = connection.exec_driver_sql(
        f"SELECT last_value, is_called FROM {sequence}"  # noqa: S608 - the database's own name
    ).one()
    return int(last) if given else 0


def number_after(connection: Connection, table: Table, last: int) -> None:
    """Let the next row have the number after `last`."""
    sequence = _sequence_of(connection, table)
    connection.execute(_SET, {"sequence": sequence, "last": max(last, 1), "given": last > 0})


def _sequence_of(connection: Connection, table: Table) -> str:
    (column,) = table.primary_key.columns
    found: str = connection.execute(
        _SEQUENCE, {"table": table.name, "column": column.name}
    ).scalar_one()
    return found
