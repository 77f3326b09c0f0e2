"""Several servers on one PostgreSQL database, all in this process, each with connections of its own.

    async with several_servers(2, folder, postgres) as (here, there):
        ann = await Caller(here).sign_in(Identity())

They share nothing but the database and a Qdrant: what a client of one sees of another came through
PostgreSQL. Servers in processes of their own are `tests.support.cluster`'s.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from server.services import Services
from tests.support.fake_qdrant import fake_qdrant
from tests.support.in_process import open_test_services


@asynccontextmanager
async def several_servers(
    count: int, folder: Path, database_url: str | None, **settings: Any
) -> AsyncIterator[list[Services]]:
    """So many; `settings` are those of each of them."""
    async with AsyncExitStack() as stack:
        qdrant = await stack.enter_async_context(fake_qdrant())
        yield [
            await stack.enter_async_context(
                open_test_services(
                    folder / str(number),
                    database_url=database_url,
                    qdrant_url=qdrant.url,
                    **settings,
                )
            )
            for number in range(count)
        ]
