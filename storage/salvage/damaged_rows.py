"""What can be read of a damaged SQLite journal, table by table and row by row.

The leaves are looked for page by page, whatever became of the trees above them; which table a leaf
belongs to shows in its rows, since no two tables of the journal have columns of the same types. SQLite
itself is not asked: it finds no row that is not found here. Here is only known that a row has the right
shape: whether it is whole, its reader says.

Nothing is written here, and nothing is decided about what the rows mean.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from mmap import ACCESS_READ, mmap
from operator import itemgetter
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Table

from storage.journal.rows import RowValues
from storage.journal.schema import entries, memory_tasks, timers
from storage.salvage.sqlite_pages import Buffer, CellPlace, Pages, SqlValue, open_pages

T = TypeVar("T")

_LATER: Final = frozenset({entries.c.digest, memory_tasks.c.claimed_until, timers.c.claimed_until})
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

    def fits(self, values: Sequence[SqlValue]) -> bool:
        return len(values) in range(self.fewest, len(self.types) + 1) and all(
            map(isinstance, values, self.types)
        )


@contextmanager
def open_damaged(copy: Path, tables: Collection[Table]) -> "Iterator[DamagedJournal]":
    """A damaged journal, for reading some of its tables.

    Args:
        copy: Of the file, with its log beside it.
    """
    with ExitStack() as stack:
        pages = open_pages(_mapped(stack, copy), _mapped(stack, Path(f"{copy}-wal")))
        yield DamagedJournal(pages, tables)


class DamagedJournal:
    """Gives the rows of `tables`. Reads the file once to see what lies where."""

    def __init__(self, pages: Pages, tables: Collection[Table]) -> None:
        self._pages = pages
        self._shapes = {table.name: _Shape.of(table) for table in tables}
        self._places: dict[str, list[tuple[int, CellPlace]]] = {name: [] for name in self._shapes}
        free = pages.free()
        for place, stored in pages.rows():
            for name, shape in self._shapes.items():
                # Entries are never deleted, and change at most in form, so one that lies in a free
                # page is as good as any. What else lies there may have been deleted.
                if shape.fits(stored.values) and (name == entries.name or place.page not in free):
                    self._places[name].append((stored.rowid, place))

    def rows(self, table: Table, whole: Callable[[RowValues], T | None]) -> Iterator[T]:
        """What `whole` makes of every row, in the order of the row ids.

        Where a row is there in several versions, it is the first in the file that `whole` does not
        refuse with None.
        """
        for rowid, versions in groupby(sorted(self._places[table.name]), key=itemgetter(0)):
            for _, place in versions:
                row = self._row(table, rowid, place)
                if row is not None and (result := whole(row)) is not None:
                    yield result
                    break

    def _row(self, table: Table, rowid: int, place: CellPlace) -> RowValues | None:
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
