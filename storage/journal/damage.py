"""Rows that cannot be read are told once each, and left out of what is read of many rows.

A start, a background task or a list reads rows of many threads together: one that is damaged must cost
what it says alone. `chorus verify` names the same rows, and mends those that follow from entries. Who decides
on a thread reads without this: of a value that cannot be read nothing may be decided.

Each connection of a journal leads to the journal's `DamageLog` by an execution option.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection, Engine, Select, Table

log = logging.getLogger(__name__)

MOST_KNOWN: Final = 10_000
"""Rows that are told; beyond them the store is to be verified anyway."""

UNREADABLE: Final = (ValueError, LookupError, TypeError)
"""What parsing raises for a text that is not the JSON of its value."""

_OPTION: Final = "damage_log"

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class DamageLog:
    """The damaged rows that a process has met. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        """How many rows they are."""
        return len(self._known)

    def on(self, engine: Engine) -> Engine:
        """The same engine, whose connections tell this of damaged rows."""
        return engine.execution_options(**{_OPTION: self})

    def note(self, table: str, key: object) -> None:
        """A row of a table, named by its key, cannot be read."""
        # The key may be damaged as well.
        name = table, str(key).encode(errors="backslashreplace").decode()
        with self._lock:
            if name in self._known or len(self._known) >= MOST_KNOWN:
                return
            self._known.add(name)
        log.error("the row %s of %s is damaged and left out: run `chorus verify`", name[1], table)


def note_damage(connection: Connection, table: str, key: object) -> None:
    """Tell the journal of this connection of a damaged row."""
    damage: DamageLog | None = connection.get_execution_options().get(_OPTION)
    (DamageLog() if damage is None else damage).note(table, key)


def all_rows(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any]
) -> Sequence[Any]:
    """The rows that a statement finds, those with texts that are no UTF-8 as well."""
    with every_text(connection):
        return connection.execute(statement, parameters).all()


def whole_of(
    connection: Connection, table: Table, rows: Sequence[Any], read: Callable[[Any], T]
) -> tuple[T, ...]:
    """What `read` makes of each row that it can read. The first column of the rows is the table's key."""
    found: list[T] = []
    for row in rows:
        try:
            found.append(read(row))
        except UNREADABLE:
            note_damage(connection, table.name, row[0])
    return tuple(found)


def values_of(
    connection: Connection,
    table: Table,
    model: type[M],
    statement: Select[Any],
    parameters: Mapping[str, Any],
    *,
    strict: bool = False,
) -> tuple[M, ...]:
    """The values of rows with a key, which comes first, and a `body`.

    Args:
        strict: Whether a damaged one raises ValueError, instead of being left out.
    """
    if strict:
        rows = connection.execute(statement, parameters)
        return tuple(model.model_validate_json(row.body) for row in rows)
    rows_ = all_rows(connection, statement, parameters)
    return whole_of(connection, table, rows_, lambda row: model.model_validate_json(row.body))


@contextmanager
def every_text(connection: Connection) -> Iterator[None]:
    """Let SQLite's driver give texts that are no UTF-8, which are no JSON then; it would refuse all rows for
    one of them. PostgreSQL keeps none."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        yield
        return
    driver.text_factory = _text
    try:
        yield
    finally:
        driver.text_factory = str


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")
