"""PostgreSQL fails under a server that works: it is restarted, it crashes, it ends connections; and a
connection is lost before its COMMIT arrives, or after it was carried out and before anyone hears of it.

Nobody is told of anything that is not durable, what is in doubt comes to pass once, and all goes on by
itself. In the end the database is copied into a folder, and read there as that of a server that died.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from tests.faults.campaign import Campaign, scenario
from tests.faults.kill import Life
from tests.faults.stores import until_ready
from tests.support.eventually import eventually
from tests.support.fake_qdrant import fake_qdrant
from tests.support.postgres import cluster

PATIENCE: Final = 60.0
WORK_SECONDS: Final = (0.1, 1.0)
"""How long everybody works before a fault."""

_COMMIT: Final = b"COMMIT\0"
"""What a client sends, and what the server says when it is done."""
_CHUNK: Final = 65_536


class Cut(StrEnum):
    """Where a connection is lost."""

    BEFORE = "before COMMIT"
    AFTER = "after COMMIT"


@dataclass
class CommitCable:
    """A relay to PostgreSQL that cuts a connection at its COMMIT."""

    host: str
    port: int
    url: str = ""
    """Of the database through it."""
    cuts: int = 0
    _armed: Cut | None = None

    def arm(self, cut: Cut) -> None:
        """Cut the connection that commits next."""
        self._armed = cut

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            from_server, to_server = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection()
        pumps = (
            asyncio.create_task(self._ask(connection, reader, to_server)),
            asyncio.create_task(self._answer(connection, from_server, writer)),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for each in (writer, to_server):
                each.transport.abort()

    async def _ask(
        self, connection: "_Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if self._armed is not None and _COMMIT in chunk:
                cut, self._armed = self._armed, None
                if cut is Cut.BEFORE:
                    self.cuts += 1
                    return
                connection.is_cut = True
            writer.write(chunk)
            await writer.drain()

    async def _answer(
        self, connection: "_Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        told = b""
        while chunk := await reader.read(_CHUNK):
            if not connection.is_cut:
                writer.write(chunk)
                await writer.drain()
                continue
            told += chunk
            if _COMMIT in told:
                self.cuts += 1
                return


@dataclass
class _Connection:
    is_cut: bool = field(default=False)
    """Whether no answer is passed on any more."""


@asynccontextmanager
async def cable_to(url: str) -> AsyncIterator[CommitCable]:
    """A relay to the database of a URL, on a free port."""
    asked = conninfo_to_dict(url)
    cable = CommitCable(str(asked["host"]), int(str(asked["port"])))
    server = await asyncio.start_server(cable.relay, "127.0.0.1", 0)
    cable.url = url.replace(f":{cable.port}/", f":{server.sockets[0].getsockname()[1]}/")
    try:
        yield cable
    finally:
        server.close()


async def meanwhile(
    campaign: Campaign, life: Life, fault: str, act: Callable[[], Awaitable[None]]
) -> None:
    """Let the database fail while everybody works, and see all of it go on."""
    load = life.load
    with campaign.fault(fault):
        load.stores_fail = True
        working = asyncio.create_task(load.work(PATIENCE))
        try:
            await asyncio.wait({working}, timeout=life.dice.uniform(*WORK_SECONDS))
            await act()
            await until_ready(life, ready=True)
        finally:
            load.stop()
            await working
        assert await load.ask_again(), "the server ended although it should have waited"
        load.stores_fail = False
        await load.work(0.5)


@scenario("database")
async def database_fails(campaign: Campaign) -> None:
    """Restarts, crashes, ended connections, and connections lost around COMMIT."""
    with cluster() as postgres:
        url = postgres.database(migrated=True)
        async with (
            fake_qdrant() as qdrant,
            cable_to(url) as cable,
            Life.begun(
                campaign.folder / "life",
                random.Random(campaign.random.random()),
                settings={"database_url": cable.url, "qdrant_url": qdrant.url},
            ) as life,
        ):

            async def restart(how: signal.Signals) -> None:
                await asyncio.to_thread(postgres.stop, how)
                await asyncio.to_thread(postgres.start)

            async def end_connections() -> None:
                assert await asyncio.to_thread(postgres.terminate_connections, url)

            async def cut(where: Cut) -> None:
                before = cable.cuts
                cable.arm(where)
                await eventually(
                    lambda: cable.cuts > before, f"a connection was lost {where}", within=PATIENCE
                )

            for _ in range(1 if campaign.short else 4):
                await meanwhile(
                    campaign, life, "PostgreSQL: restarted", lambda: restart(signal.SIGINT)
                )
                await meanwhile(
                    campaign, life, "PostgreSQL: crashed", lambda: restart(signal.SIGQUIT)
                )
                await meanwhile(campaign, life, "PostgreSQL: connections ended", end_connections)
                for where in Cut:
                    await meanwhile(
                        campaign,
                        life,
                        f"PostgreSQL: connection lost {where}",
                        lambda where=where: cut(where),  # type: ignore[misc]
                    )
            await life.close_into(campaign)
