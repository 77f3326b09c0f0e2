"""Several servers on one database: a run goes on whatever becomes of the server that carries it."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.client import Identity, signed_in
from tests.support.cluster import ServerCluster, cluster_of
from tests.support.collector import Collected, collector, exports_to
from tests.support.eventually import eventually
from tests.support.fake_qdrant import fake_qdrant
from tests.support.handed_over import begun, completed_steps_asked, ended
from tests.support.obedient_model import ObedientModel, answer_to, obedient_model
from tests.support.postgres import Cluster

LEASE_SECONDS = 5.0
RUNS = 5
"""Of which there is a trace: cancelled, killed, frozen, revived, stopped."""


@dataclass(frozen=True)
class Setup:
    """Three servers, and what they stand on."""

    cluster: ServerCluster
    model: ObedientModel
    postgres: Cluster
    url: str
    """Of the database."""
    collected: Collected
    """The traces that all servers send."""

    def carriers(self) -> Counter[str]:
        """How many running runs each living server carries."""
        database = self.url.rpartition("/")[2]
        found = self.postgres.run(
            "SELECT servers.id FROM runs JOIN servers ON servers.id = carrier", database=database
        )
        return Counter(id_ for (id_,) in found)

    def living(self) -> int:
        """How many servers have a lease."""
        database = self.url.rpartition("/")[2]
        (found,) = self.postgres.run("SELECT count(*) FROM servers", database=database)
        return int(found[0])


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
async def collected(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collected]:
    async with collector() as running:
        exports_to(monkeypatch, running.url)
        yield running


@pytest.fixture
async def setup(
    url: str, postgres: Cluster, collected: Collected, tmp_path: Path
) -> AsyncIterator[Setup]:
    async with (
        obedient_model() as model,
        fake_qdrant() as qdrant,
        cluster_of(
            3,
            tmp_path,
            model.url,
            database_url=url,
            qdrant_url=qdrant.url,
            lease_seconds=LEASE_SECONDS,
        ) as cluster,
    ):
        yield Setup(cluster, model, postgres, url, collected)


async def cancelled_elsewhere(setup: Setup, who: Identity) -> None:
    """A run is broken off at its carrier where its user stops it at another server."""
    first, second, _ = setup.cluster.servers
    thread_id, run_id, held = await begun(setup.model, first, who, "cancelled elsewhere")
    async with signed_in(second.url, who) as client:
        await client.ask("cancel_run", thread_id=thread_id, run_id=run_id)
    await held.hung_up.wait()


async def test_a_run_goes_on_whether_its_server_is_killed_frozen_or_stopped(setup: Setup) -> None:
    alice = Identity()
    first, second, third = setup.cluster.servers
    await cancelled_elsewhere(setup, alice)

    thread_id, run_id, _ = await begun(setup.model, first, alice, "killed")
    asked = completed_steps_asked(setup.model, "killed")
    await first.kill()
    entries = await ended(second, alice, thread_id, run_id)
    assert answer_to("killed") in str(entries)
    assert "carrier_lost" in str(entries)
    again = completed_steps_asked(setup.model, "killed")
    assert again == asked, "no completed step is asked for again"

    thread_id, run_id, held = await begun(setup.model, second, alice, "frozen")
    second.freeze()
    held.opened.set()
    before = await ended(third, alice, thread_id, run_id)
    second.revive()
    async with signed_in(second.url, alice) as client:
        # The revived one has learnt that it was dead, and serves by another name.
        await eventually(lambda: setup.living() == 2, "the revived server joins again")
        other = await client.new_thread()
        run = await client.ask("submit_prompt", thread_id=other, prompt="revived")
        assert (await client.end_of(run["run_id"]))["status"] == "finished"
    assert await ended(second, alice, thread_id, run_id) == before, "what it brought is refused"

    thread_id, run_id, _ = await begun(setup.model, third, alice, "stopped")
    assert await third.stop() == 0
    assert "carrier_lost" in str(await ended(second, alice, thread_id, run_id))
    assert setup.carriers() == Counter(), "no run is left"
    await eventually(lambda: len(setup.collected.once().roots()) == RUNS, "every run is a trace")
    traces = setup.collected.once()
    assert traces.problems() == []
    resumed = [{event.name for event in root.events} for root in traces.roots()]
    assert resumed.count({"chorus.resumed"}) >= len(("killed", "frozen", "stopped"))
