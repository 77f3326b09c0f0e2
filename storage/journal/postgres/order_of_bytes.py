"""Texts that are looked up are compared byte by byte, as SQLite does.

The order of a language differs between databases and changes with their libraries, and an index that was
built by an older order finds nothing any more.
"""

from typing import Final

from sqlalchemy import Connection, text

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
_LANGUAGE_TEXT: Final = text("""
    SELECT 1 FROM pg_attribute
    WHERE attrelid = CAST(:table AS regclass) AND attname = :column
      AND atttypid = 'text'::regtype AND attcollation <> '"C"'::regcollation
""")


def order_by_bytes(connection: Connection) -> None:
    """Let every indexed text be compared so. Their indexes are built anew."""
    for table, column in connection.execute(_COLLATED).all():
        _order(connection, table, column)


def order_column_by_bytes(connection: Connection, table: str, column: str) -> None:
    """Let a column be compared so, if it is a text; costs nothing where no index has it."""
    if connection.scalar(_LANGUAGE_TEXT, {"table": table, "column": column}):
        _order(connection, table, column)


def _order(connection: Connection, table: str, column: str) -> None:
    connection.exec_driver_sql(
        f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"'
    )
