"""Text while it is written reaches the followers at other servers, by Redis or by the database, and is
whole again after either was away."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

import pytest

from machines.models.ids import ThreadId
from server.services import Services
from server.settings import InvalidSettings
from server.threads import presence
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.obedient_model import ObedientModel, obedient_model
from tests.support.postgres import Cluster
from tests.support.redis import RedisServer, redis_server
from tests.support.several_servers import several_servers


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


class Pair:
    """Two servers, and Ann's thread, which she follows at both."""

    def __init__(
        self, servers: list[Services], model: ObedientModel, callers: list[Caller], thread_id: str
    ) -> None:
        self.servers = servers
        self.model = model
        self.here, self.there = callers
        self.thread_id = ThreadId(thread_id)

    async def submit(self, prompt: str) -> str:
        """Let the first server carry a run; gives its id."""
        asked = await self.here.get("submit_prompt", thread_id=self.thread_id, prompt=prompt)
        run_id: str = asked["run_id"]
        return run_id


@asynccontextmanager
async def a_pair(folder: Path, database_url: str, **settings: object) -> AsyncIterator[Pair]:
    async with (
        obedient_model() as model,
        several_servers(
            2, folder, database_url, llm=model.url, model="scripted-1", **settings
        ) as servers,
    ):
        ann = Identity()
        callers = [await Caller(server).sign_in(ann) for server in servers]
        made = await callers[0].get("create_thread", name="Evening")
        for caller in callers:
            await caller.get("get_thread", thread_id=made["thread_id"])
        yield Pair(servers, model, callers, made["thread_id"])


def responses(of: Caller, run_id: str, status: str) -> list[Data]:
    """What came of a run."""
    return [
        each["data"]
        for each in of.line.frames
        if each["type"] == "chorus_response"
        and each["data"]["run_id"] == run_id
        and each["data"]["status"] == status
    ]


def text_of(of: Caller, run_id: str, step: str) -> str:
    """The text of a step as a client puts it together: a delta counts where it goes on."""
    text = ""
    for delta in responses(of, run_id, "delta"):
        if delta["step"] == step and delta["offset"] == len(text):
            text += delta["text"]
    return text


@pytest.mark.parametrize("way", ["redis", "database"])
async def test_who_follows_elsewhere_sees_text_as_it_is_written_and_who_comes_later_all_of_it(
    url: str, redis: RedisServer, tmp_path: Path, way: str
) -> None:
    by = {"redis_url": redis.url} if way == "redis" else {}
    async with a_pair(tmp_path, url, **by) as pair:
        gate = pair.model.hold("written slowly", "action", first="So far,", rest=" and done. é😀")
        run_id = await pair.submit("written slowly")
        await eventually(
            lambda: text_of(pair.there, run_id, "action") == "So far,", "the first piece comes"
        )
        later = await Caller(pair.servers[1]).sign_in(Identity())
        await pair.here.bring_in(later, pair.thread_id)
        snapshot = await later.get("get_thread", thread_id=pair.thread_id)
        assert [run["text"] for run in snapshot["runs"]] == ["So far,"]
        gate.opened.set()
        await eventually(lambda: bool(responses(pair.there, run_id, "finished")), "the run ends")
        assert text_of(pair.there, run_id, "action").startswith("So far,")
        for completed in responses(pair.there, run_id, "completed"):
            if completed["step"] in {"action", "yield"}:
                written = text_of(pair.there, run_id, completed["step"])
                assert completed["text"].startswith(written)
        assert in_order(pair.there, run_id)


def in_order(of: Caller, run_id: str) -> bool:
    """Whether each step's deltas go on where the one before ended."""
    deltas = [each for each in responses(of, run_id, "delta") if "rendered" not in each]
    for _, some in groupby(deltas, key=lambda each: each["step"]):
        length = 0
        for delta in some:
            if delta["offset"] != length:
                return False
            length += len(delta["text"])
    return True


async def test_who_begins_to_follow_in_the_middle_is_sent_the_text_from_its_beginning(
    url: str, redis: RedisServer, tmp_path: Path
) -> None:
    async with a_pair(tmp_path, url, redis_url=redis.url) as pair:
        await pair.there.get("leave_thread", thread_id=pair.thread_id)
        pair.model.hold("begun before", "action", first="Begun alone,")
        run_id = await pair.submit("begun before")
        await eventually(
            lambda: text_of(pair.here, run_id, "action") == "Begun alone,", "it is written"
        )
        assert not responses(pair.there, run_id, "delta")
        await pair.there.get("get_thread", thread_id=pair.thread_id)
        await eventually(
            lambda: text_of(pair.there, run_id, "action") == "Begun alone,", "it is sent whole"
        )


async def test_who_is_present_and_who_types_is_seen_at_every_server(
    url: str, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "PRESENCE_SECONDS", 0.05)
    async with a_pair(tmp_path, url, redis_url=redis.url) as pair:
        ben = await Caller(pair.servers[1]).sign_in(Identity())
        await pair.here.bring_in(ben, pair.thread_id)
        await ben.get("get_thread", thread_id=pair.thread_id)
        ann = pair.here.public_key

        def seen(by: Caller) -> tuple[list[str], list[str]]:
            told = [each["data"] for each in by.line.frames if each["type"] == "presence"]
            return (told[-1]["present"], told[-1]["typing"]) if told else ([], [])

        both = [ann, ben.public_key]
        await eventually(lambda: seen(pair.here) == (both, []), "Ann sees Ben, who is elsewhere")
        ben.drop()
        await eventually(lambda: seen(pair.here) == ([ann], []), "she sees that he is gone")
        again = await Caller(pair.servers[1]).resume(ben.token)
        await again.get("get_thread", thread_id=pair.thread_id)
        await again.get("typing", thread_id=pair.thread_id)
        await eventually(
            lambda: seen(pair.here) == (both, [ben.public_key]), "she sees that he types"
        )


async def test_a_redis_that_is_lost_loses_no_entry_and_text_comes_whole_when_it_is_back(
    url: str, redis: RedisServer, tmp_path: Path
) -> None:
    async with a_pair(tmp_path, url, redis_url=redis.url) as pair:
        redis.stop()
        try:
            run_id = await pair.submit("without Redis")
            await eventually(
                lambda: bool(responses(pair.there, run_id, "finished")), "every entry comes"
            )
            pair.model.hold("begun without Redis", "action", first="Nobody hears,")
            run_id = await pair.submit("begun without Redis")
            await eventually(
                lambda: text_of(pair.here, run_id, "action") == "Nobody hears,", "it is written"
            )
        finally:
            redis.start()
        await eventually(
            lambda: text_of(pair.there, run_id, "action") == "Nobody hears,",
            "the text comes whole",
        )


async def test_a_password_that_redis_refuses_is_one_line_before_anything_is_served(
    url: str, redis: RedisServer, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        async with several_servers(1, tmp_path, url, redis_url=redis.url_with("wrong-one")):
            pass
    assert refused.value.problems == ("CHORUS_REDIS_URL: Redis refuses this user or password",)


async def test_a_server_starts_where_redis_is_away(
    url: str, redis: RedisServer, tmp_path: Path
) -> None:
    redis.stop()
    try:
        async with several_servers(1, tmp_path, url, redis_url=redis.url) as (server,):
            ann = await Caller(server).sign_in(Identity())
            assert await ann.get("create_thread", name="Evening")
    finally:
        redis.start()
