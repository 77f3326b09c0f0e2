"""Hears what other processes commit: one connection, which does nothing else."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from storage.journal.answers import Change
from storage.journal.failures import journal_failure
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.announcements import CHANNEL, changes_in, epoch_in
from storage.journal.postgres.engines import CONNECTING

_Connection = psycopg.AsyncConnection[Any]


class Announced:
    """`Changes`, from a connection that listens."""

    def __init__(
        self,
        connection: _Connection,
        origin: str,
        is_news: Callable[[Change], bool],
        on_epoch: Callable[[str], object],
    ) -> None:
        """
        Args:
            origin: Whose commits are not told.
            is_news: Asked of each change: what it denies is not told.
            on_epoch: Told each epoch that another process gave the store.
        """
        self._connection = connection
        self._on_epoch = on_epoch
        self._origin = origin
        self._is_news = is_news

    async def __aiter__(self) -> AsyncIterator[Change]:
        try:
            async for told in self._connection.notifies():
                if (epoch := epoch_in(told.payload)) is not None:
                    self._on_epoch(epoch)
                for change in changes_in(told.payload, without=self._origin):
                    if self._is_news(change):
                        yield change
        except psycopg.Error as error:
            raise journal_failure(error) from error


@asynccontextmanager
async def listening(
    address: PostgresAddress,
    origin: str,
    is_news: Callable[[Change], bool],
    on_epoch: Callable[[str], object],
) -> AsyncIterator[Announced]:
    """What others commit, from the moment on in which this is entered; arguments are those of `Announced`.

    Raises:
        JournalError: the database cannot be reached.
    """
    try:
        connection = await connected(address)
    except psycopg.Error as error:
        raise journal_failure(error) from error
    try:
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error as error:
            raise journal_failure(error) from error
        yield Announced(connection, origin, is_news, on_epoch)
    finally:
        # Not as a context: that commits, and would wait for who still listens.
        await connection.close()


async def connected(address: PostgresAddress) -> _Connection:
    """A connection outside of any pool, each of whose statements is a transaction.

    Raises:
        psycopg.Error: the database cannot be reached.
    """
    dialect: Any = PGDialect_psycopg
    _, options = dialect().create_connect_args(address.url)
    connection: _Connection = await psycopg.AsyncConnection.connect(
        autocommit=True, **options, **CONNECTING
    )
    return connection
