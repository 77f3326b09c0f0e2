"""A server that is frozen while another takes its sessions up serves none of them once it runs again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.client import connected, signed_in
from tests.support.cluster import ServerCluster, cluster_of
from tests.support.fake_qdrant import fake_qdrant
from tests.support.postgres import Cluster


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
async def servers(url: str, tmp_path: Path) -> AsyncIterator[ServerCluster]:
    """Two of them, each a process."""
    async with (
        fake_qdrant() as qdrant,
        cluster_of(2, tmp_path, database_url=url, qdrant_url=qdrant.url) as running,
    ):
        yield running


async def test_a_session_that_moved_on_while_its_server_was_frozen_is_closed(
    servers: ServerCluster,
) -> None:
    first, second = servers.servers
    async with (
        signed_in(first.url) as before,
        signed_in(first.url) as staying,
        connected(second.url) as after,
    ):
        thread_id = await before.new_thread(name="Mine")
        first.freeze()
        await after.resume(before.token)
        late = asyncio.create_task(
            before.reply_to("rename_thread", thread_id=thread_id, name="Too late")
        )
        await after.ask("rename_thread", thread_id=thread_id, name="Moved on")
        first.revive()
        assert await before.close_code() == 4009
        late.cancel()
        assert await staying.ask("ping") == {}
        shown = await after.ask("get_thread", thread_id=thread_id)
        assert shown["thread"]["name"] == "Moved on"
