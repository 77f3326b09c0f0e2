"""How far a copy is: kept in the target, and moved in the transaction that writes the rows.

While it is there, the target is an unfinished copy, which no server opens.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from storage.copying.tables import Key
from storage.journal import queries, side_tables
from storage.journal.migrations import UNFINISHED_COPY


class TableCursor(BaseModel):
    """How far the copy of one table is."""

    model_config = ConfigDict(frozen=True)

    after: Key | None = None
    """Key of the last row that was copied; None before the first."""
    rows: int = 0
    """How many were copied."""


class Cursor(BaseModel):
    """How far a copy is."""

    model_config = ConfigDict(frozen=True)

    source: str
    """Epoch of the store that is copied."""
    revision: str
    """Of the tables of both stores."""
    tables: dict[str, TableCursor] = {}
    """By name; one that is not begun is missing."""

    def of(self, table: str) -> TableCursor:
        """How far one table is."""
        return self.tables.get(table, TableCursor())

    def moved(self, table: str, to: TableCursor) -> Self:
        """With one table further on."""
        return self.model_copy(update={"tables": {**self.tables, table: to}})

    def keep(self, connection: Connection) -> None:
        """Write it into the target, in the caller's transaction."""
        side_tables.note(connection, UNFINISHED_COPY, self.model_dump_json())

    @classmethod
    def kept(cls, connection: Connection) -> Self | None:
        """The one in a target whose tables are there; None where nothing is being copied into it."""
        text = queries.noted(connection, UNFINISHED_COPY)
        return None if text is None else cls.model_validate_json(text)


def drop(connection: Connection) -> None:
    """Let the target be a store as any other, in the caller's transaction."""
    side_tables.note(connection, UNFINISHED_COPY, None)
