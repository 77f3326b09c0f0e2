"""Several servers on one database: a run goes on whatever becomes of the server that carries it."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.client import Client, Frame, Identity, seqs, signed_in
from tests.support.cluster import ServerCluster, cluster_of
from tests.support.eventually import eventually
from tests.support.fake_qdrant import fake_qdrant
from tests.support.obedient_model import STEPS, Gate, ObedientModel, answer_to, obedient_model
from tests.support.postgres import Cluster
from tests.support.served import ServerProcess

LEASE_SECONDS = 3.0


@dataclass(frozen=True)
class Setup:
    """Three servers, and what they stand on."""

    cluster: ServerCluster
    model: ObedientModel
    postgres: Cluster
    url: str
    """Of the database."""

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
async def setup(url: str, postgres: Cluster, tmp_path: Path) -> AsyncIterator[Setup]:
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
        yield Setup(cluster, model, postgres, url)


async def begun(
    setup: Setup, at: ServerProcess, who: Identity, prompt: str
) -> tuple[str, str, Gate]:
    """A run of a new thread, held in its last step at a server: the ids of both, and what holds it."""
    held = setup.model.hold(prompt, "yield", first="Lost ", rest="words")
    async with signed_in(at.url, who) as client:
        thread_id = await client.new_thread()
        run = await client.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        await client.response(run["run_id"], "delta", step="yield")
    return thread_id, str(run["run_id"]), held


async def ended(at: ServerProcess, who: Identity, thread_id: str, run_id: str) -> list[Frame]:
    """The entries of a thread once its run has come to its end, by a server."""

    async def all_of(client: Client) -> list[Frame]:
        page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
        assert seqs(page["entries"]) == list(range(1, page["head_seq"] + 1))
        entries: list[Frame] = page["entries"]
        return entries

    async with signed_in(at.url, who) as client:

        async def is_finished() -> bool:
            return any(each["data"].get("status") == "finished" for each in await all_of(client))

        await eventually(is_finished, "the run goes on to its end", within=60)
        entries = await all_of(client)
    completed = Counter(
        each["data"]["step"]
        for each in entries
        if each["data"].get("status") == "completed" and each["data"]["run_id"] == run_id
    )
    assert completed == dict.fromkeys(STEPS, 1), "each step is done once"
    return entries


async def cancelled_elsewhere(setup: Setup, who: Identity) -> None:
    """A run is broken off at its carrier where its user stops it at another server."""
    first, second, _ = setup.cluster.servers
    thread_id, run_id, held = await begun(setup, first, who, "cancelled elsewhere")
    async with signed_in(second.url, who) as client:
        await client.ask("cancel_run", thread_id=thread_id, run_id=run_id)
    await held.hung_up.wait()


async def test_a_run_goes_on_whether_its_server_is_killed_frozen_or_stopped(setup: Setup) -> None:
    alice = Identity()
    first, second, third = setup.cluster.servers
    await cancelled_elsewhere(setup, alice)

    thread_id, run_id, _ = await begun(setup, first, alice, "killed")
    asked = Counter(each.step for each in setup.model.reads("killed") if each.step != "yield")
    await first.kill()
    entries = await ended(second, alice, thread_id, run_id)
    assert answer_to("killed") in str(entries)
    assert "carrier_lost" in str(entries)
    again = Counter(each.step for each in setup.model.reads("killed") if each.step != "yield")
    assert again == asked, "no completed step is asked for again"

    thread_id, run_id, held = await begun(setup, second, alice, "frozen")
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

    thread_id, run_id, _ = await begun(setup, third, alice, "stopped")
    assert await third.stop() == 0
    assert "carrier_lost" in str(await ended(second, alice, thread_id, run_id))
    assert setup.carriers() == Counter(), "no run is left"
