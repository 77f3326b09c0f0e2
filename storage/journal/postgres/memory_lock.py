"""Being the one process that opens the memory, or fills it from the beginning.

A transaction that does nothing else holds the lock, so that it ends with its connection, behind a
pooler of transactions too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg

from machines.models.errors import JournalError
from storage.journal.failures import journal_failure
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.listening import connected
from storage.journal.postgres.locks import MEMORY_LOCK

PAUSE_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 120.0

_PATIENT: Final = "SELECT set_config('idle_in_transaction_session_timeout', '0', true)"
_TRY: Final = "SELECT pg_try_advisory_xact_lock(%s, %s)"


@asynccontextmanager
async def alone_with_memory(
    address: PostgresAddress,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Hold the lock; others wait.

    Args:
        monotonic: Seconds that never step back.
        sleep: Waits so many of them.

    Raises:
        JournalError: another one goes on for too long.
    """
    try:
        connection = await connected(address)
    except psycopg.Error as error:
        raise journal_failure(error, certain=True) from error
    try:
        await _hold(connection, monotonic, sleep)
        yield
    finally:
        await connection.close()


async def _hold(
    connection: psycopg.AsyncConnection[Any],
    monotonic: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Begin a transaction that has the lock, and try again and again until it has it."""
    try:
        await connection.execute("BEGIN")
        await connection.execute(_PATIENT)
        until = monotonic() + PATIENCE_SECONDS
        while monotonic() < until:
            found = await connection.execute(_TRY, MEMORY_LOCK)
            if await found.fetchone() == (True,):
                return
            await sleep(PAUSE_SECONDS)
    except psycopg.Error as error:
        raise journal_failure(error, certain=True) from error
    raise JournalError(
        "Another server has been opening or filling the memory for minutes: try again.",
        certain=True,
    )
