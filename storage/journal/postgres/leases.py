"""The leases of servers, and who carries which run: by a connection of their own.

A commit that waits for a lock must not cost its server the lease, so nothing else uses this connection.
Every time is the database's: servers' clocks may differ by any amount.

A server is dead once its row is gone. Whoever finds one that ran out removes it, which no renewal can
undo; then whoever comes first takes each of its runs, by comparing and setting the run's own column. To
choose runs by "no live server has it" and lock their rows is not enough: two choose the same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, LiteralString, TypeVar

import psycopg

from machines.models.chorus import RunProgress
from machines.models.errors import JournalError
from machines.models.ids import RunId, ServerId, ThreadId, thread_stream
from machines.models.journal import NOBODY
from storage.journal.damage import DamageLog
from storage.journal.failures import journal_failure
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.listening import connected
from storage.journal.postgres.locks import lock_keys
from storage.journal.runs import charts_in
from storage.journal.schema import runs
from storage.journal.store_clock import StoreClock

CLAIMED_AT_ONCE: Final = 64
"""Runs that a server takes in one transaction, so that several share the rest."""

RELEASED: Final = "chorus_released"
"""The channel on which a server that ends tells the others that its runs are free."""

ANSWER_SECONDS: Final = 5.0
"""How long the database may take; then the connection is given up."""

_CONFIGURE: Final = (
    "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
    " set_config('idle_in_transaction_session_timeout', %s, false)"
)
_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_JOIN: Final = (
    f"INSERT INTO servers (id, version, until, length) VALUES (%s, %s, {_NOW} + %s, %s)"  # noqa: S608 - our own words
    " ON CONFLICT (id) DO UPDATE SET until = excluded.until RETURNING clock_timestamp()"
)
_RENEW: Final = (
    f"UPDATE servers SET until = {_NOW} + %s WHERE id = %s AND until > {_NOW}"  # noqa: S608 - as above
    " RETURNING clock_timestamp(), (SELECT value FROM meta WHERE name = 'epoch')"
)
_BURY: Final = (
    "DELETE FROM servers WHERE id IN"  # noqa: S608 - as above
    f" (SELECT id FROM servers WHERE until <= {_NOW} ORDER BY id FOR UPDATE SKIP LOCKED)"
)
_LENGTHS: Final = f"SELECT DISTINCT length FROM servers WHERE until > {_NOW} AND length IS NOT NULL ORDER BY length"  # noqa: S608 - as above
_IS_KNOWN: Final = "SELECT 1 FROM servers WHERE id = %s"
_ORPHANS: Final = (
    "SELECT id, thread_id, carrier FROM runs WHERE live AND carrier IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM servers WHERE servers.id = runs.carrier)"
    " ORDER BY random() LIMIT %s"
)
_TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(%s)"
_NEWEST: Final = "SELECT body FROM entries WHERE run_id = %s ORDER BY position DESC LIMIT 8"
_TAKE: Final = (
    "UPDATE runs SET carrier = %s WHERE id = %s AND carrier = %s AND live RETURNING id, body"
)
_VERSIONS: Final = f"SELECT version FROM servers WHERE until > {_NOW}"  # noqa: S608 - as above
_CARRIED: Final = "SELECT id, thread_id FROM runs WHERE carrier = %s AND live"
_LOCK: Final = "SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS keys(key)"
_RELEASE: Final = "UPDATE runs SET carrier = %s WHERE carrier = %s AND live AND id = ANY(%s)"
_LEAVE: Final = "DELETE FROM servers WHERE id = %s"
_TELL: Final = "SELECT pg_notify(%s, %s)"

_SECOND: Final = 1_000_000
"""In microseconds."""

_Connection = psycopg.AsyncConnection[Any]
T = TypeVar("T")


class Leases:
    """Asks and answers for one server, one thing after the other. `close` last."""

    def __init__(self, address: PostgresAddress, clock: StoreClock, damage: DamageLog) -> None:
        """Nothing is connected to yet.

        Args:
            clock: Read with each answer to `join` and `renew`.
            damage: Told of runs that cannot be read.
        """
        self._address = address
        self._damage = damage
        self._clock = clock
        self._connection: _Connection | None = None
        self._turn = asyncio.Lock()
        self._is_stale = False
        """Whether the connection may lead to a server that is none any more."""

    async def join(self, server_id: ServerId, *, version: str, seconds: float) -> None:
        async def insert(connection: _Connection) -> None:
            await self._timed(connection, _JOIN, [server_id, version, *[_micros(seconds)] * 2])

        await self._ask(insert)

    async def renew(self, server_id: ServerId, *, seconds: float) -> str | None:
        """The store's epoch; None where the lease has run out."""

        async def update(connection: _Connection) -> str | None:
            row = await self._timed(connection, _RENEW, [_micros(seconds), server_id])
            return None if row is None else str(row[1])

        return await self._ask(update)

    async def lengths(self) -> tuple[float, ...]:
        """How many seconds the leases of living servers run, each length once."""

        async def read(connection: _Connection) -> tuple[float, ...]:
            found = await connection.execute(_LENGTHS)
            return tuple(length / _SECOND for (length,) in await found.fetchall())

        return await self._ask(read)

    async def claim(
        self, server_id: ServerId, fingerprints: Collection[str]
    ) -> tuple[RunProgress, ...]:
        async def take(connection: _Connection) -> tuple[RunProgress, ...]:
            await connection.execute(_BURY)
            async with connection.transaction():
                known = await connection.execute(_IS_KNOWN, [server_id])
                if await known.fetchone() is None:
                    return ()
                orphans = await connection.execute(_ORPHANS, [CLAIMED_AT_ONCE])
                found = await orphans.fetchall()
                others = await _charts_of_the_living(connection) if found else frozenset[str]()
                left = others.difference(fingerprints)
                taken = [await _take(connection, server_id, left, *row) for row in found]
            return tuple(self._whole([row for row in taken if row is not None]))

        return await self._ask(take)

    def _whole(self, rows: Iterable[tuple[str, str]]) -> Iterator[RunProgress]:
        """The runs that can be read, of ids and bodies. A damaged one is carried, so that no server looks
        for it again and again, and goes on once it is mended."""
        for run_id, body in rows:
            try:
                yield RunProgress.model_validate_json(body)
            except ValueError:
                self._damage.note(runs.name, run_id)

    async def leave(self, server_id: ServerId) -> int:
        """Gives how many runs are given back."""

        async def release(connection: _Connection) -> int:
            carried = await (await connection.execute(_CARRIED, [server_id])).fetchall()
            keys = lock_keys(thread_stream(ThreadId(thread_id)) for _, thread_id in carried)
            async with connection.transaction():
                # As commits do: who locked rows first would wait for one that waits for them.
                await connection.execute(_LOCK, [keys])
                ids = [run_id for run_id, _ in carried]
                released = await connection.execute(_RELEASE, [NOBODY, server_id, ids])
                await connection.execute(_LEAVE, [server_id])
                await connection.execute(_TELL, [RELEASED, server_id])
            return released.rowcount

        return await self._ask(release)

    async def hear_of_release(self, within: float) -> None:
        async def listen(connection: _Connection) -> None:
            async for _ in connection.notifies(timeout=within, stop_after=1):
                return

        await self._ask(listen, within=within + ANSWER_SECONDS)

    def connect_anew(self) -> None:
        """Let the next to ask have another connection."""
        self._is_stale = True

    async def close(self) -> None:
        """End the connection; the lease runs on until it runs out."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _timed(
        self, connection: _Connection, statement: LiteralString, values: list[Any]
    ) -> tuple[Any, ...] | None:
        """The row of a statement that begins with the time; None where it wrote none."""
        asked = self._clock.monotonic()
        row: tuple[Any, ...] | None = await (await connection.execute(statement, values)).fetchone()
        if row is not None:
            self._clock.read(row[0], asked=asked, answered=self._clock.monotonic())
        return row

    async def _ask(
        self, what: Callable[[_Connection], Awaitable[T]], within: float = ANSWER_SECONDS
    ) -> T:
        """What `what` gives. After a failure the next to ask has another connection.

        Raises JournalError.
        """
        try:
            async with self._turn, asyncio.timeout(within), self._connected() as connection:
                return await what(connection)
        except TimeoutError as error:
            raise JournalError("The database took too long.") from error
        except psycopg.Error as error:
            raise journal_failure(error) from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Connection]:
        try:
            if self._is_stale:
                await self.close()
            if self._connection is None or self._connection.closed:
                self._is_stale = False
                self._connection = await connected(self._address)
                seconds = f"{ANSWER_SECONDS:g}s"
                await self._connection.execute(_CONFIGURE, [seconds] * 3)
                await self._connection.execute(f"LISTEN {RELEASED}")
            yield self._connection
        except BaseException:
            # Of one that was left in the middle of something nothing more can be known.
            with suppress(psycopg.Error):
                await self.close()
            raise


async def _take(
    connection: _Connection,
    server_id: ServerId,
    left: Collection[str],
    run_id: RunId,
    thread_id: ThreadId,
    carrier: ServerId,
) -> tuple[str, str] | None:
    """Carry a run on, and give its id and body, unless another was first, or its chart is one that is left to others.

    Under the lock of the thread's stream: a commit of its carrier that is under way is awaited by the
    next try.
    """
    (key,) = lock_keys([thread_stream(thread_id)])
    locked = await (await connection.execute(_TRY_LOCK, [key])).fetchone()
    if locked != (True,) or (left and await _is_of(connection, run_id, left)):
        return None
    return await (await connection.execute(_TAKE, [server_id, run_id, carrier])).fetchone()


async def _charts_of_the_living(connection: _Connection) -> frozenset[str]:
    """What the versions of living servers name, the fingerprints of their charts among it."""
    versions = await (await connection.execute(_VERSIONS)).fetchall()
    return frozenset(name for (version,) in versions for name in version.split())


async def _is_of(connection: _Connection, run_id: RunId, charts: Collection[str]) -> bool:
    """Whether the newest event of a run was accepted by one of these charts."""
    bodies = await (await connection.execute(_NEWEST, [run_id])).fetchall()
    for (body,) in bodies:
        if accepted := charts_in(body).split():
            return any(each in charts for each in accepted)
    return False


def _micros(seconds: float) -> int:
    return int(seconds * _SECOND)
