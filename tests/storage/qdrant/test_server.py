"""The memory on a Qdrant server: how it writes, whom it accepts, and what several servers do at once.

On the stand-in, and the contract on a real server too where `CHORUS_TEST_QDRANT_URL` names one, whose
collections `messages` and `links` are lost by it.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Final

import pytest

from machines.models import errors
from machines.models.domain import Role
from machines.models.ids import MessageId, RunId, ThreadId
from machines.models.thread import Visibility
from storage.memory.facts import VectorHealth
from storage.memory.points import Collection, LinkPayload, LinkPoint, MessagePayload, MessagePoint
from storage.memory.values import (
    Delete,
    Failure,
    Operation,
    RecoveryPolicy,
    Search,
    SearchScope,
    Store,
    Success,
    Update,
)
from storage.qdrant.client import DatabaseClient, MemoryServer, Spread
from tests.standins.qdrant.faults import Does, Fault
from tests.support.eventually import PATIENCE, eventually
from tests.support.fake_qdrant import fake_qdrant

DIMENSIONS: Final = 8
AT: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PUBLIC: Final = SearchScope(include_public=True)
QDRANT_URL: Final = os.environ.get("CHORUS_TEST_QDRANT_URL", "")


def vector(seed: int) -> tuple[float, ...]:
    random = Random(seed)
    return tuple(random.uniform(-1, 1) for _ in range(DIMENSIONS))


def message(
    number: int, *, content: str = "", seq: int = 1, thread: str = "", private: bool = False
) -> MessagePoint:
    return MessagePoint(
        payload=MessagePayload(
            thread_id=ThreadId(thread or "thread"),
            message_id=MessageId(f"message-{number}"),
            author=None,
            role=Role.CHORUS,
            visibility=Visibility.PRIVATE if private else Visibility.PUBLIC,
            content=content or f"content {number}",
            created_at=AT,
            seq=seq,
            fingerprint="test",
        ),
        vector=vector(number),
    )


LINK: Final = LinkPoint(
    payload=LinkPayload(
        run_id=RunId("run"),
        thread_id=ThreadId("thread"),
        prompt_message_id=MessageId("message-1"),
        prior_message_id=MessageId("message-2"),
        why="alike",
        created_at=AT,
        seq=1,
    )
)


def memory(
    server: MemoryServer,
    slept: list[float] | None = None,
    policy: RecoveryPolicy | None = None,
    timeout_seconds: float = 5.0,
) -> DatabaseClient:
    """Not opened yet; waits between tries are noted, and over at once."""

    async def sleep(seconds: float) -> None:
        if slept is not None:
            slept.append(seconds)

    return DatabaseClient(
        server,
        dimensions=DIMENSIONS,
        fingerprint="test",
        jitter=lambda: 0.0,
        sleep=sleep,
        policy=policy or RecoveryPolicy(),
        timeout_seconds=timeout_seconds,
    )


@asynccontextmanager
async def opened(server: MemoryServer) -> AsyncIterator[DatabaseClient]:
    client = memory(server)
    await client.open()
    try:
        yield client
    finally:
        await client.close()


async def done(client: DatabaseClient, operation: Operation) -> Success:
    result = await client.execute(operation)
    assert isinstance(result, Success), f"{result.error.message} {result.error.detail}"
    return result


async def found(
    client: DatabaseClient, seed: int, scope: SearchScope = PUBLIC, text: str = ""
) -> list[str]:
    search = Search(vector=vector(seed), scope=scope, limit=80, text=text)
    return [each.message_id for each in (await done(client, search)).found]


# ------------------------------------------------------------------------------------ the contract


async def keep_the_contract(url: str) -> None:
    """What Chorus asks of a Qdrant server, one thing after the other."""
    client = memory(MemoryServer(url))
    await client.open(accept_other_fingerprint=True)
    for name in Collection:
        await client.reset(name)
    state = client.state.collection(Collection.MESSAGES)
    assert state is not None
    assert (state.dimensions, state.fingerprint) == (DIMENSIONS, "test")
    indexed = {(each.collection, each.field) for each in client.state.indices}
    assert indexed >= {
        (Collection.MESSAGES, "thread_id"),
        (Collection.MESSAGES, "visibility"),
        (Collection.MESSAGES, "seq"),
        (Collection.LINKS, "prior_message_id"),
        (Collection.LINKS, "prompt_message_id"),
    }

    hidden = message(9, thread="hidden", private=True, content="Two keel bolts were rusty.")
    await done(client, Store(points=(*(message(n, seq=2) for n in range(1, 6)), hidden, LINK)))
    await done(client, Store(points=(message(1, seq=2, content="ignored"),)))
    await done(client, Store(points=(message(2, seq=3, content="newer"),)))
    await done(client, Update(points=(message(3, content="mended"), message(77))))
    facts = {each.id: each for each in (await client.facts(Collection.MESSAGES)).points}
    wanted = [
        message(1, seq=2),
        message(2, seq=3, content="newer"),
        message(3, content="mended"),
        message(4, seq=2),
        message(5, seq=2),
        hidden,
    ]
    assert {id_: fact.digest for id_, fact in facts.items()} == {
        each.id: each.payload.digest() for each in wanted
    }
    assert {fact.health for fact in facts.values()} == {VectorHealth.SOUND}

    assert (await found(client, 4))[0] == "message-4"
    assert "message-9" not in await found(client, 9)
    mine = PUBLIC.model_copy(update={"private_thread_ids": frozenset({ThreadId("hidden")})})
    assert (await found(client, 9, mine))[0] == "message-9"
    assert "message-9" not in await found(client, 99, text="What of the keel?")
    assert (await found(client, 99, mine, "What of the bolts in the keel?"))[0] == "message-9"

    await done(client, Delete(collection=Collection.MESSAGES, ids=(message(2).id,)))
    assert "message-2" not in await found(client, 2)
    assert (await client.facts(Collection.LINKS)).points == (), "links go with their message"
    await client.close()


async def test_the_stand_in_keeps_the_contract() -> None:
    async with fake_qdrant() as qdrant:
        await keep_the_contract(qdrant.url)


@pytest.mark.skipif(
    not QDRANT_URL, reason="set CHORUS_TEST_QDRANT_URL to test against a real Qdrant server"
)
async def test_a_real_server_keeps_the_contract() -> None:
    await keep_the_contract(QDRANT_URL)


# ------------------------------------------------------------------------------------------ writes


async def test_every_write_waits_until_it_can_be_searched_and_has_one_order() -> None:
    async with fake_qdrant() as qdrant, opened(MemoryServer(qdrant.url)) as client:
        await done(client, Store(points=(message(1), message(2), LINK)))
        await done(client, Delete(collection=Collection.MESSAGES, ids=(message(1).id,)))
        writes = {kind for kind in qdrant.requests if kind.startswith(("batch", "delete", "index"))}
        assert writes == {
            f"{kind}?ordering=strong&wait=true" for kind in ("batch", "delete", "index")
        }


async def test_a_write_of_which_the_server_is_not_sure_is_made_again() -> None:
    slept: list[float] = []
    async with fake_qdrant() as qdrant:
        client = memory(MemoryServer(qdrant.url), slept)
        await client.open()
        qdrant.faults.set(Fault(does=Does.UNSURE, requests="writes", times=2))
        await done(client, Store(points=(message(1),)))
        assert slept == [0.05, 0.1]
        assert await found(client, 1) == ["message-1"]
        qdrant.faults.set(Fault(does=Does.UNSURE))
        refused = await client.execute(Store(points=(message(2),)))
        assert isinstance(refused, Failure)
        assert isinstance(refused.error, errors.ConnectionError)
        assert refused.error.retryable
        await client.close()


async def test_a_server_that_asks_for_a_wait_is_not_asked_before_it_is_over() -> None:
    slept: list[float] = []
    async with fake_qdrant() as qdrant:
        client = memory(MemoryServer(qdrant.url), slept)
        await client.open()
        for status in (429, 503):
            qdrant.faults.set(Fault(does=Does.STATUS, status=status, retry_after="1", times=1))
            await done(client, Store(points=(message(1),)))
        assert slept == [1.05, 1.05], "though the jitter is 0"
        await client.close()


# --------------------------------------------------------------------------- connections, clusters


async def test_as_many_requests_are_under_way_as_there_may_be_connections() -> None:
    async with fake_qdrant() as qdrant:
        # None of them ends by itself before the server does.
        server = MemoryServer(qdrant.url, connections=3, request_seconds=10 * PATIENCE)
        policy = RecoveryPolicy(retries=0, validations=0, updates=0)
        client = memory(server, policy=policy, timeout_seconds=10 * PATIENCE)
        await client.open()
        await done(client, Store(points=(message(1),)))
        qdrant.most_at_once = 0
        qdrant.faults.set(Fault(does=Does.STALL, requests="reads"))
        searching = [asyncio.create_task(client.execute(SEARCH)) for _ in range(9)]
        await eventually(lambda: qdrant.under_way == 3, "three searches were under way at once")
        await qdrant.disappear()
        async with asyncio.timeout(PATIENCE):
            results = await asyncio.gather(*searching)
        assert all(isinstance(each, Failure) for each in results)
        assert qdrant.most_at_once == 3
        await client.close()


SEARCH: Final = Search(vector=vector(1), scope=PUBLIC, limit=5)


async def test_collections_are_made_with_the_shards_and_replicas_that_are_set() -> None:
    async with fake_qdrant() as qdrant:
        async with opened(MemoryServer(qdrant.url, spread=Spread(shards=6, replicas=3))):
            for name in Collection:
                made = qdrant.answers.made_with(name)
                assert (made.shard_number, made.replication_factor) == (6, 3)
                assert made.write_consistency_factor == 2, "one replica of three may be gone"
        qdrant.lose_everything()
        async with opened(MemoryServer(qdrant.url)):
            made = qdrant.answers.made_with(Collection.MESSAGES)
            assert (made.shard_number, made.replication_factor) == (None, None)


async def test_servers_that_open_one_memory_at_once_make_each_collection_once() -> None:
    async with fake_qdrant() as qdrant:
        clients = [memory(MemoryServer(qdrant.url)) for _ in range(4)]
        await asyncio.gather(*(client.open() for client in clients))
        assert qdrant.answers.created == dict.fromkeys(Collection, 1)
        made = [client.take_made_anew() for client in clients]
        assert sorted(map(len, made)) in ([0, 0, 0, 2], [0, 0, 1, 1]), "each is told to one of them"
        await asyncio.gather(*(client.close() for client in clients))


async def test_a_collection_that_another_server_made_meanwhile_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with fake_qdrant() as qdrant, opened(MemoryServer(qdrant.url)) as first:
        await done(first, Store(points=(message(1),)))
        has = qdrant.answers.has
        asked = 0

        def has_not_yet(collection: str) -> bool:
            nonlocal asked
            asked += 1
            return asked > 1 and has(collection)

        monkeypatch.setattr(qdrant.answers, "has", has_not_yet)
        async with opened(MemoryServer(qdrant.url)) as second:
            assert second.take_made_anew() == frozenset()
            assert await found(second, 1) == ["message-1"]
        assert qdrant.requests["create"] == 3, "it did not try to make one that was there"


# ------------------------------------------------------------------------------- whom it accepts


@pytest.mark.parametrize("version", ["1.9.7", "1.16.3"])
async def test_a_server_of_too_old_a_version_is_refused_in_one_line(version: str) -> None:
    async with fake_qdrant(version=version) as qdrant:
        client = memory(MemoryServer(qdrant.url))
        with pytest.raises(errors.ConnectionError) as refused:
            await client.open()
        assert refused.value.message == (
            f"The vector store is Qdrant {version.rpartition('.')[0]}: version 1.17 or later is needed."
        )
        assert not refused.value.retryable
        assert qdrant.requests == {}, "nothing was asked of it"


@pytest.mark.parametrize("version", ["1.17.0", "1.19.0", "2.0.0-dev"])
async def test_a_server_of_a_later_version_is_accepted(version: str) -> None:
    async with fake_qdrant(version=version) as qdrant, opened(MemoryServer(qdrant.url)):
        pass


async def test_what_is_no_qdrant_is_refused_in_one_line() -> None:
    async with fake_qdrant(version="1.19.0") as qdrant:
        for url in (f"{qdrant.url}/standin/elsewhere", qdrant.url):
            qdrant.answers.version = "of another kind"
            with pytest.raises(
                errors.ConnectionError, match="no Qdrant server: check CHORUS"
            ) as no:
                await memory(MemoryServer(url)).open()
            assert not no.value.retryable


async def test_the_key_is_brought_and_nothing_is_said_of_it(
    recwarn: pytest.WarningsRecorder,
) -> None:
    async with fake_qdrant(api_key="right") as qdrant:
        async with opened(MemoryServer(qdrant.url, api_key="right")) as client:
            await done(client, Store(points=(message(1),)))
        for wrong in ("wrong", None):
            with pytest.raises(errors.ConnectionError, match="refused the key") as refused:
                await memory(MemoryServer(qdrant.url, api_key=wrong)).open()
            assert not refused.value.retryable
    assert [str(each.message) for each in recwarn if "key" in str(each.message).lower()] == []
