"""What can be read of a damaged SQLite journal, table by table and row by row.

Two ways lead to a row, and both are taken. SQL descends the tree of a table, and gives what the journal
held up to the first damage. Beside it the leaves are looked for page by page, whatever became of the
trees above them; which table a leaf belongs to shows in its rows, since no two tables of the journal
have columns of the same types. Here is only known that a row has the right shape: whether it is whole,
its reader says.

Nothing is written here, and nothing is decided about what the rows mean.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from mmap import ACCESS_READ, mmap
from operator import itemgetter
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Table

from storage.journal.rows import Row
from storage.journal.schema import entries
from storage.salvage.sqlite_pages import Buffer, Pages, Place, Value, open_pages

T = TypeVar("T")

_LATER: Final = frozenset({entries.c.digest})
"""Columns that journals of earlier versions lack; always the last ones of their table."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the rows of a table look like."""

    types: tuple[tuple[type, ...], ...]
    """That each column may hold."""
    fewest: int
    """Columns of a row of the first version."""

    @classmethod
    def of(cls, table: Table) -> "_Shape":
        return cls(
            types=tuple(_types(table, column) for column in table.columns),
            fewest=sum(1 for column in table.columns if column not in _LATER),
        )

    def fits(self, values: Sequence[Value]) -> bool:
        return len(values) in range(self.fewest, len(self.types) + 1) and all(
            map(isinstance, values, self.types)
        )


@contextmanager
def open_damaged(file: Path, copy: Path, tables: Collection[Table]) -> "Iterator[DamagedJournal]":
    """The journal in `file`, for reading some of its tables.

    Args:
        copy: Of the file, with its log beside it: SQLite may write both while it opens them.
    """
    with ExitStack() as stack:
        pages = open_pages(_mapped(stack, copy), _mapped(stack, Path(f"{copy}-wal")))
        database = stack.enter_context(closing(sqlite3.connect(file)))
        with suppress(sqlite3.DatabaseError):
            # A file that is shorter than its header says is read as far as it goes.
            database.execute("PRAGMA writable_schema=ON")
        yield DamagedJournal(database, pages, tables)


class DamagedJournal:
    """Gives the rows of `tables`. Reads the file once to see what lies where."""

    def __init__(
        self, database: sqlite3.Connection, pages: Pages, tables: Collection[Table]
    ) -> None:
        self._database = database
        self._pages = pages
        self._shapes = {table.name: _Shape.of(table) for table in tables}
        self._places: dict[str, list[tuple[int, Place]]] = {name: [] for name in self._shapes}
        free = pages.free()
        for place, stored in pages.rows():
            for name, shape in self._shapes.items():
                # Entries are never deleted or changed, so one that lies in a free page is as good
                # as any. What else lies there may have been deleted.
                if shape.fits(stored.values) and (name == entries.name or place.page not in free):
                    self._places[name].append((stored.rowid, place))

    def rows(self, table: Table, whole: Callable[[Row], T | None]) -> Iterator[T]:
        """What `whole` makes of every row, in the order of the row ids.

        Where a row is there in several versions, it is the first that `whole` does not refuse with
        None; SQL's comes before those of the leaves.
        """
        found = merge(self._by_sql(table), sorted(self._places[table.name]), key=itemgetter(0))
        for rowid, versions in groupby(found, key=itemgetter(0)):
            for _, version in versions:
                row = self._row(table, rowid, version) if isinstance(version, Place) else version
                if row is not None and (result := whole(row)) is not None:
                    yield result
                    break

    def _by_sql(self, table: Table) -> Iterator[tuple[int, Row | Place]]:
        """The rows that lie before the first damage of the table's tree."""
        shape = self._shapes[table.name]
        last: int | None = None
        try:
            there = {row[1] for row in self._database.execute(f"PRAGMA table_info({table.name})")}
            names = [column.name for column in table.columns if column.name in there]
            if not names:
                return
            query = f"SELECT rowid, {', '.join(names)} FROM {table.name} ORDER BY rowid"  # noqa: S608 - our own names
            for rowid, *values in self._database.execute(query):
                if last is not None and rowid <= last:
                    # A damaged page leads back to rows that were read: this is no tree any more.
                    return
                last = rowid
                if shape.fits(values):
                    yield rowid, dict(zip(names, values, strict=True))
        except (sqlite3.Error, UnicodeDecodeError):
            return  # the leaves have what is behind it

    def _row(self, table: Table, rowid: int, place: Place) -> Row | None:
        stored = self._pages.row(place)
        if stored is None:
            return None
        # A row of an earlier version ends before the last columns.
        row = dict(zip((column.name for column in table.columns), stored.values, strict=False))
        key = table.autoincrement_column
        return row if key is None else {**row, key.name: rowid}


def _types(table: Table, column: Column[Any]) -> tuple[type, ...]:
    stored = column.type.python_type
    # SQLite keeps truth values as numbers, and a column that is the row id as nothing.
    plain = int if stored is bool else stored
    return (
        (plain, NoneType) if column.nullable or column is table.autoincrement_column else (plain,)
    )


def _mapped(stack: ExitStack, file: Path) -> Buffer:
    """The bytes of a file; none where there is no such file."""
    if not file.exists() or not file.stat().st_size:
        return b""  # nothing can be mapped
    opened = stack.enter_context(file.open("rb"))
    return stack.enter_context(mmap(opened.fileno(), 0, access=ACCESS_READ))
