"""Servers reach each other through the database's notifications, where they have nothing better.

One connection listens and sends by turns: what is to be sent is gathered for a quarter of a second. The
notifications of all servers go through one queue of PostgreSQL, so they are bounded: what is beyond
that is dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import psycopg

from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.announcements import MAX_PAYLOAD
from storage.journal.postgres.listening import connected

log = logging.getLogger(__name__)

CHANNEL: Final = "chorus_passing"

GATHER_SECONDS: Final = 0.25

MOST_AT_ONCE: Final = 250
"""Notifications that are sent together: at most 1,000 a second."""

AGAIN_SECONDS: Final = 1.0
"""After a connection was lost."""

ANSWER_SECONDS: Final = 5.0
"""How long the database may take; then the connection is given up."""

ENVELOPE_BYTES: Final = 160
"""Of what names sender and receiver."""

_ALL: Final = "*"
_TELL: Final = "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS told(payload)"


class PostgresPassing:
    """Carries texts between servers; `server.passing.port.Passing` says how."""

    most_bytes: Final = MAX_PAYLOAD - ENVELOPE_BYTES
    gather_seconds: Final = GATHER_SECONDS

    def __init__(self, address: PostgresAddress, *, name: str) -> None:
        """Nothing is connected to yet.

        Args:
            name: By which others reach this server; no blank is in it.
        """
        self.name = name
        self._address = address
        self._waiting: deque[str] = deque(maxlen=MOST_AT_ONCE)
        self._is_stale = False
        """Whether the connection may lead to a database that lost its place to another."""

    def connect_anew(self) -> None:
        self._is_stale = True

    def send(self, text: str, to: str | None = None) -> None:
        if len(self._waiting) < MOST_AT_ONCE:
            self._waiting.append(f"{self.name} {to or _ALL}\n{text}")

    async def run(self, take: Callable[[str], None], on_connected: Callable[[], None]) -> None:
        while True:
            try:
                self._is_stale = False
                connection = await connected(self._address)
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await connection.execute(f"LISTEN {CHANNEL}")
                    on_connected()
                    await self._serve(connection, take)
                finally:
                    await connection.close()
            except (psycopg.Error, TimeoutError) as error:
                log.info("nothing is told in passing: %s", type(error).__name__)
            self._waiting.clear()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _serve(
        self, connection: psycopg.AsyncConnection[Any], take: Callable[[str], None]
    ) -> None:
        while not self._is_stale:
            async for told in connection.notifies(timeout=GATHER_SECONDS):
                envelope, _, text = told.payload.partition("\n")
                sender, _, to = envelope.partition(" ")
                if sender != self.name and to in {self.name, _ALL}:
                    take(text)
            if self._waiting:
                some = list(self._waiting)
                self._waiting.clear()
                # One that is cut off without a word never answers, and nothing would be heard again.
                async with asyncio.timeout(ANSWER_SECONDS):
                    await connection.execute(_TELL, [CHANNEL, some])
