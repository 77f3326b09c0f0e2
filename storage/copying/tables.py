"""Which tables are copied, and their rows in the order of their keys, alike on every database.

Texts in keys are compared byte by byte by both databases, so both give the same order.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select, tuple_

from storage.journal.schema import METADATA, meta, moments, rate_buckets, servers

_OWN: Final = frozenset({meta.name, moments.name, rate_buckets.name, servers.name})
"""`meta` names the store, so a copy has its own; what was counted, and who lives, is of that store alone; what
`moments` has is gathered again where it is missing."""

COPIED: Final[tuple[Table, ...]] = tuple(
    table for table in METADATA.sorted_tables if table.name not in _OWN
)

FETCHED: Final = 200
"""Rows that the driver holds at a time."""
MOST_ROWS: Final = 1_000
MOST_CHARACTERS: Final = 4 * 2**20
"""Of the texts and bytes of a chunk; its last row may pass it."""

Key = tuple[str | int, ...]
"""The values of a row's primary key."""
Values = Row[Any]
"""Of every column of a table, in the order of its declaration."""


def key_of(table: Table, row: Values) -> Key:
    """The key of a row, by which the next one is found."""
    return tuple(row._mapping[column.name] for column in table.primary_key.columns)


def count(connection: Connection, table: Table) -> int:
    """How many rows a table has."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def rows_after(connection: Connection, table: Table, after: Key | None) -> Iterator[Values]:
    """The rows whose keys come after one, or all of them, a few in memory at a time."""
    keys: list[ColumnElement[Any]] = list(table.primary_key.columns)
    statement = select(table).order_by(*keys)
    if after is not None:
        statement = statement.where(tuple_(*keys) > after)
    yield from connection.execute(statement, execution_options={"yield_per": FETCHED})


def chunks(rows: Iterable[Values]) -> Iterator[list[Values]]:
    """`rows` in lists of `MOST_ROWS` at most, shorter where the rows are long."""
    chunk: list[Values] = []
    room = MOST_CHARACTERS
    for row in rows:
        chunk.append(row)
        room -= sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(chunk) == MOST_ROWS or room <= 0:
            yield chunk
            chunk, room = [], MOST_CHARACTERS
    if chunk:
        yield chunk


class TableDigest:
    """The digest of a table's rows, given in the order of their keys."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)

    def add(self, rows: Iterable[Values]) -> None:
        """Take the next rows."""
        for row in rows:
            # Of text, bytes, whole numbers, truth values and None, no two have the same repr.
            self._hash.update(repr(tuple(row)).encode())

    @property
    def value(self) -> bytes:
        """Of all rows so far."""
        return self._hash.digest()
