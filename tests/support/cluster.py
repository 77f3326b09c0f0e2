"""Several servers on one PostgreSQL database and one Qdrant, each a process of its own.

    async with cluster_of(2, folder, model.url, database_url=url, qdrant_url=qdrant.url) as cluster:
        first, second = cluster.servers
        await first.kill()            # or stop(), freeze() and revive()
        third = await cluster.join()

Each has a folder of its own, and what `served` checks of one server at its end holds for each.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.support.served import PROGRAM, ServerProcess, served


class ServerCluster:
    """What `cluster_of` gives."""

    def __init__(
        self, stack: AsyncExitStack, folder: Path, llm: str, settings: dict[str, object]
    ) -> None:
        self.servers: list[ServerProcess] = []
        """In the order in which they were asked for, those that ended too."""
        self._stack = stack
        self._folder = folder
        self._llm = llm
        self._settings = settings

    @property
    def urls(self) -> list[str]:
        """Of each server, where it listened last."""
        return [server.url for server in self.servers]

    async def join(
        self, how_many: int = 1, *, program: Sequence[str] = PROGRAM, **settings: object
    ) -> ServerProcess:
        """Start so many more at once, with `settings` of their own; gives the last of them."""
        begun = len(self.servers)
        folders = [self._folder / f"server-{begun + n + 1}" for n in range(how_many)]
        for folder in folders:
            folder.mkdir()
        chosen = {**self._settings, **settings}
        starting = (
            self._stack.enter_async_context(served(folder, self._llm, program=program, **chosen))
            for folder in folders
        )
        self.servers.extend(await asyncio.gather(*starting))
        return self.servers[-1]


@asynccontextmanager
async def cluster_of(
    how_many: int, folder: Path, llm: str = "offline", **settings: object
) -> AsyncIterator[ServerCluster]:
    """So many running servers with the same settings; `database_url` and `qdrant_url` among them."""
    async with AsyncExitStack() as stack:
        cluster = ServerCluster(stack, folder, llm, settings)
        await cluster.join(how_many)
        yield cluster
