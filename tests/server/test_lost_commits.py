"""A failover to a standby that lacks the newest commits: every server notices, what was known is
forgotten, and clients read anew. Within one epoch no number is given twice, and none is left out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.memory.embedders.hashed import HashedEmbedder
from server.memory.embeddings import EmbedderChoice
from server.services import Services
from storage.memory.points import Collection, message_point_id
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Moody
from tests.support.postgres import Cluster
from tests.support.reader import Reader
from tests.support.samples import sample
from tests.support.several_servers import several_servers
from tests.support.standby import Standby


@pytest.fixture(autouse=True)
def words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embed by hashed words: nothing here depends on meaning, and each start would load weights."""

    async def choose(**_: object) -> EmbedderChoice:
        return EmbedderChoice(HashedEmbedder(), "it is a test.", "End the test.")

    monkeypatch.setattr("server.stores.choose_embedder", choose)


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
async def servers(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[list[Services]]:
    """As many as the test is parametrized with."""
    async with several_servers(request.param, tmp_path, url, moody=True) as running:
        yield running


def losses(server: Services) -> float:
    """How often a server noticed, as it tells Prometheus."""
    return sample(server.metrics, "chorus_commits_lost_total")


async def names(caller: Caller, thread_id: str, *wanted: str) -> int:
    """Rename a thread again and again; gives the number of the last entry."""
    seq = 0
    for name in wanted:
        seq = (await caller.get("rename_thread", thread_id=thread_id, name=name))["seq"]
    return seq


@pytest.mark.parametrize("servers", [1, 2], indirect=True)
async def test_followers_are_sent_away_and_shown_every_entry_once_under_each_epoch(
    servers: list[Services], url: str, postgres: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    ann = Identity()
    writer = await Caller(servers[0]).sign_in(ann)
    thread_id = (await writer.get("create_thread", name="Evening", visibility="private"))[
        "thread_id"
    ]
    await names(writer, thread_id, "kept")
    readers = [await Reader.begin(each, ann, thread_id) for each in servers]
    before = readers[0].epoch
    standby = await asyncio.to_thread(Standby, postgres, url)
    lost = await names(writer, thread_id, "lost", "lost too")
    for reader in readers:
        await reader.has(lost)
    assert not any(map(losses, servers)), "to lose connections alone is no loss"
    await asyncio.to_thread(standby.promote)

    # At once, so that nobody waits until the database is looked after.
    await writer.ask("rename_thread", thread_id=thread_id, name="refused, or decided anew")
    await asyncio.gather(*(each.sent_away() for each in readers))
    anew = await Caller(servers[-1]).sign_in(ann)
    head = await names(anew, thread_id, "another", "and another")
    assert head >= lost, "the numbers of what is lost are given again"
    for reader in readers:
        await reader.has(head)
        reader.keep()
        assert list(reader.seen) == [before, reader.epoch]
        assert reader.seen[before] == list(range(1, lost + 1))
        assert reader.seen[reader.epoch] == list(range(1, head + 1))
        assert reader.refused == ["conflict"]
    assert len({reader.epoch for reader in readers}) == 1
    assert [losses(each) for each in servers] == [1.0] * len(servers)
    assert "the database lost commits" in caplog.text


@pytest.mark.parametrize("servers", [2], indirect=True)
async def test_runs_and_the_memory_are_taken_up_from_what_the_database_holds(
    servers: list[Services], url: str, postgres: Cluster
) -> None:
    def times_asked(prompt: str) -> int:
        """How often the model of any server was asked about a prompt."""
        models = [each.model.model for each in servers]
        calls = [call for each in models if isinstance(each, Moody) for call in each.calls]
        return sum(prompt in str(call.messages) for call in calls)

    def under_way() -> int:
        return sum(len(each.chorus.under_way()) for each in servers)

    async def remembered() -> frozenset[str]:
        facts = await servers[0].memory.facts(Collection.MESSAGES)
        return frozenset(each.id for each in facts.points)

    async def said(prompt: str) -> str:
        """Submit a prompt whose run does not end; gives the point of its message."""
        caller = await Caller(servers[0]).sign_in(ann)
        made = await caller.get("create_thread", name="Evening", visibility="private")
        asked = await caller.get("submit_prompt", thread_id=made["thread_id"], prompt=prompt)
        point = message_point_id(asked["message_id"])

        async def has_it() -> bool:
            return point in await remembered()

        await eventually(has_it, "the memory holds the message")
        await eventually(lambda: times_asked(prompt) > 0, "the model is asked")
        return point

    ann = Identity()
    kept = await said("HOLD what is kept")
    standby = await asyncio.to_thread(Standby, postgres, url)
    lost = await said("HOLD what is lost")
    await eventually(lambda: under_way() == 2, "both runs are under way")
    before = times_asked("HOLD what is kept"), times_asked("HOLD what is lost")
    await asyncio.to_thread(standby.promote)

    async def is_forgotten() -> bool:
        return lost not in await remembered()

    await eventually(is_forgotten, "the memory holds nothing that the journal lost")
    assert kept in await remembered()
    await eventually(
        lambda: times_asked("HOLD what is kept") > before[0], "the run is taken up again"
    )
    assert times_asked("HOLD what is lost") == before[1]
    await eventually(lambda: under_way() == 1, "the run that is lost is broken off")
    carriers = await asyncio.to_thread(
        postgres.run,
        "SELECT servers.id FROM runs JOIN servers ON servers.id = carrier WHERE live",
        database=url.rpartition("/")[2],
    )
    assert len(carriers) == 1, "a server that lives carries the run that is left"


async def test_a_client_that_remembers_what_no_server_knew_to_be_lost_reads_anew_and_is_told_of(
    url: str, postgres: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ann = Identity()
    async with several_servers(1, tmp_path, url) as (server,):
        writer = await Caller(server).sign_in(ann)
        thread = {"thread_id": (await writer.get("create_thread", name="Evening"))["thread_id"]}
        epoch = await server.journal.epoch()
        standby = await asyncio.to_thread(Standby, postgres, url)
        lost = await names(writer, thread["thread_id"], "lost")
    await asyncio.to_thread(standby.promote)
    async with several_servers(1, tmp_path, url) as (server,):
        assert await server.journal.epoch() == epoch, "nobody has noticed"
        reader = await Caller(server).resume(writer.token)
        guessed = await reader.ask("get_thread", after_seq=lost, **thread)
        assert guessed["data"]["code"] == "invalid_field", "it may have been shown anything"
        assert sample(server.metrics, "chorus_clients_ahead_total") == 0
        refused = await reader.ask("get_thread", after_seq=lost, epoch=epoch, **thread)
        assert refused["data"]["code"] == "conflict"
        assert sample(server.metrics, "chorus_clients_ahead_total") == 1
        assert "a client remembers entries that the journal lacks" in caplog.text
        shown = await reader.get("get_thread", **thread)
        assert (shown["head_seq"], shown["thread"]["name"]) == (lost - 1, "Evening")
