"""Reads, each on a worker thread, and each of one moment.

Readers have their own threads and connections, so that no read waits for a write or for its disk. A read of
several statements has a transaction, which sees one moment; a single statement does so by itself, and
spares a database by network the ways of BEGIN and ROLLBACK.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from machines.models.errors import ChorusError, JournalError
from storage.journal.failures import DAMAGED_VALUE, journal_failure

T = TypeVar("T")


class SnapshotReader:
    """Runs queries. Call `start`, then `read`, then `close`."""

    def __init__(self, engine: Engine, *, threads: int, single: Engine | None = None) -> None:
        """
        Args:
            threads: Reads at the same time; as many as the engine has connections.
            single: An engine on the same connections, each of whose statements is a transaction; where there
                is none, a single statement is read as several are.
        """
        self._engine = engine
        self._single = single or engine
        self._at_once = threads
        self._threads: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Allow reading; the threads come with the first reads."""
        self._threads = ThreadPoolExecutor(self._at_once, thread_name_prefix="journal-reader")

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What `query` finds in the committed state of one moment.

        Raises:
            JournalError: the database failed, or holds what cannot be understood.
        """
        return await self._on_thread(self._engine, query)

    async def read_single(self, query: Callable[[Connection], T]) -> T:
        """As `read`, where `query` is one statement; of several each sees a moment of its own."""
        return await self._on_thread(self._single, query)

    async def close(self) -> None:
        """Finish the reads under way."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    async def _on_thread(self, engine: Engine, query: Callable[[Connection], T]) -> T:
        if self._threads is None:
            raise JournalError("The journal is closed.", retryable=False)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, engine, query)

    def _run(self, engine: Engine, query: Callable[[Connection], T]) -> T:
        try:
            try:
                return self._ask(engine, query)
            except DBAPIError as error:
                # A server may have ended a connection that lay idle; the next one is new.
                if not error.connection_invalidated:
                    raise
                return self._ask(engine, query)
        except ChorusError:
            raise
        except SQLAlchemyError as error:
            raise journal_failure(error) from error
        except ValueError as error:
            # Pydantic's ValidationError is one: a stored value does not have its shape.
            raise JournalError(
                DAMAGED_VALUE,
                retryable=False,
                detail=f"{type(error).__name__}: {error}",
            ) from error

    @staticmethod
    def _ask(engine: Engine, query: Callable[[Connection], T]) -> T:
        # The transaction begins with the first statement, and is rolled back: there is nothing
        # to commit, and on a damaged file a commit would fail after the damage was told.
        with engine.connect() as connection:
            return query(connection)
