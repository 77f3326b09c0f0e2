"""Several servers on one database: what a client of one does, and what becomes of a run whose server
is killed, frozen or stopped."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.client import Identity, signed_in
from tests.support.cluster import ServerCluster, cluster_of
from tests.support.fake_qdrant import fake_qdrant
from tests.support.obedient_model import ObedientModel, answer_to, obedient_model
from tests.support.postgres import Cluster


@dataclass(frozen=True)
class Setup:
    """Two servers, and what they stand on."""

    cluster: ServerCluster
    model: ObedientModel
    url: str
    """Of the database."""


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
async def setup(url: str, tmp_path: Path) -> AsyncIterator[Setup]:
    async with (
        obedient_model() as model,
        fake_qdrant() as qdrant,
        cluster_of(2, tmp_path, model.url, database_url=url, qdrant_url=qdrant.url) as cluster,
    ):
        yield Setup(cluster, model, url)


async def test_a_thread_of_one_server_goes_on_at_another(setup: Setup) -> None:
    alice = Identity()
    first, second = setup.cluster.servers
    async with signed_in(first.url, alice) as client:
        thread_id = await client.new_thread()
    async with signed_in(second.url, alice) as client:
        await client.follow(thread_id, after_seq=0)
        run = await client.ask("submit_prompt", thread_id=thread_id, prompt="on the other")
        finished = await client.end_of(run["run_id"])
    assert finished["message"]["content"] == answer_to("on the other")
