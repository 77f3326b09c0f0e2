"""A place of a copy: a store that is held for as long as the copy takes.

Everything blocks. Every failure is a `PlaceFailed`.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from sqlalchemy import Connection, Table
from sqlalchemy.exc import SQLAlchemyError

from machines.models.errors import JournalError
from storage.copying.tables import Values
from storage.journal.failures import journal_failure
from storage.journal.migrations import Migrated


class Place(Protocol):
    """A store that a journal is copied from, or into; `str` of it shows no password."""

    def is_same(self, other: "Place") -> bool:
        """Whether both are plainly one store."""

    def hold(self, *, make: bool) -> None:
        """Keep every other process away until `release`.

        Args:
            make: Whether to make the store, without tables, where there is none.
        """

    def release(self) -> None:
        """Let others have it; may be called without `hold`."""

    def state(self) -> Migrated:
        """How far its tables are migrated."""

    def make_tables(self) -> None:
        """Make the tables of this version, empty, in a store without any."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads, and may take its time."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is durable when the block ends, and is taken back where it raises."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[Values]) -> None:
        """Write rows that are not there yet."""

    def last_number(self, connection: Connection, table: Table) -> int:
        """The highest number that the database has given to a row of the table; 0 before the first."""

    def number_after(self, connection: Connection, table: Table, last: int) -> None:
        """Let the database give no number up to `last` to a further row."""


class PlaceFailed(JournalError):
    """A place cannot be copied from or into."""

    def __init__(self, place: object, problem: str, detail: str = "") -> None:
        super().__init__(f"{place}: {problem}", retryable=False, certain=True, detail=detail)


@contextmanager
def named(place: object) -> Iterator[None]:
    """Let what fails say where."""
    try:
        yield
    except PlaceFailed:
        raise
    except JournalError as error:
        raise PlaceFailed(place, error.message, error.detail) from error
    except SQLAlchemyError as error:
        failure = journal_failure(error)
        raise PlaceFailed(place, failure.message, failure.detail) from error
