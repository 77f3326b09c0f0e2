"""What statements cannot say alike for both databases, and the engines of SQLite.

All other statements are plain SQLAlchemy Core. Two engines serve one journal: one connection that
writes, a few that read. PostgreSQL's are in `storage.journal.postgres.engines`.
"""

import sqlite3
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    Table,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from storage.journal.statements import Statement

READERS: Final = 2
"""Connections that read at the same time."""

K = TypeVar("K")

CHUNK: Final = 500
"""Keys in one `IN (...)`; databases bound the number of parameters."""


def chunks(keys: Collection[K]) -> Iterator[list[K]]:
    """`keys` in lists that fit into one statement."""
    rest = iter(keys)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def journal_url(file: Path) -> URL:
    """The address of an SQLite file."""
    return URL.create("sqlite", database=str(file))


def writing_engine(url: URL, *, busy_timeout: float) -> Engine:
    """An engine of one connection to an SQLite file whose transactions may write.

    Args:
        busy_timeout: Seconds to wait for a lock that another connection holds.
    """
    engine = quiet_engine(url, pool_size=1, max_overflow=0, connect_args={"timeout": busy_timeout})
    # A transaction that reads first and writes later could lose the race for the write lock in
    # the middle; IMMEDIATE takes it at the beginning.
    _begin_ourselves(engine, "BEGIN IMMEDIATE", pragmas=("journal_mode=WAL", "synchronous=FULL"))
    return engine


def reading_engine(url: URL, *, busy_timeout: float) -> Engine:
    """An engine of `READERS` connections to an SQLite file; each transaction sees one moment."""
    engine = quiet_engine(
        url, pool_size=READERS, max_overflow=0, connect_args={"timeout": busy_timeout}
    )
    _begin_ourselves(engine, "BEGIN", pragmas=("query_only=ON",))
    return engine


def scratch_engine() -> Engine:
    """A private database on disk that is gone when the engine is disposed of; for rebuilding."""
    # SQLite's empty name: a temporary file, deleted with its connection.
    engine = quiet_engine(
        "sqlite+pysqlite://",
        creator=lambda: sqlite3.connect("", check_same_thread=False),
    )
    _begin_ourselves(engine, "BEGIN", pragmas=("synchronous=OFF",))
    return engine


def quiet_engine(url: URL | str, **options: Any) -> Engine:
    """An engine whose errors, which go to the log, do not show the values of a statement."""
    return create_engine(url, hide_parameters=True, **options)


def _begin_ourselves(engine: Engine, begin: str, *, pragmas: Collection[str]) -> None:
    """Let `begin` open each transaction: sqlite3 would begin one before the first write only."""
    statement = Statement(text(begin))

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        statement.run(connection, {})


def upsert(
    table: Table,
    dialect: str,
    *,
    keep: Collection[str] = (),
    first: Collection[str] = (),
    sums: Collection[str] = (),
) -> Insert:
    """Insert a row, or overwrite the one with the same primary key.

    Args:
        dialect: Name of the connection's dialect.
        keep: Columns that an existing row keeps.
        first: Columns that an existing row keeps unless it has none (NULL).
        sums: Columns to whose number in an existing row that of the new one is added.
    """
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table)
    changed: dict[str, Any] = {}
    for column in table.columns:
        if column.primary_key or column.name in keep:
            continue
        offered = statement.excluded[column.name]
        changed[column.name] = (
            text(f"coalesce({table.name}.{column.name}, excluded.{column.name})")
            if column.name in first
            else text(f"{table.name}.{column.name} + excluded.{column.name}")
            if column.name in sums
            else offered
        )
    result: Insert = statement.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key.columns], set_=changed
    )
    return result


def damaged_pages(connection: Connection) -> tuple[str, ...]:
    """What the database itself finds wrong with its files, in its own words."""
    if connection.dialect.name != "sqlite":
        return ()  # A server checks its pages as it reads them.
    try:
        rows = connection.execute(text("PRAGMA integrity_check(20)")).scalars().all()
    except DBAPIError as error:
        return (str(error.orig),)
    return tuple(line for line in map(str, rows) if line != "ok")
