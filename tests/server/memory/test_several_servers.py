"""Memory tasks where several servers share the journal: each is carried out by one of them, what one
leaves undone by another, and nothing that was forgotten comes back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from machines.models.ids import MessageId, thread_stream
from machines.models.journal import ForgetMessage, IndexMessage
from machines.models.message import Message, MessageStatus
from server.environment import system_environment
from server.memory import recall
from server.memory.embedders.hashed import HashedEmbedder
from server.memory.embeddings import EmbedderChoice
from server.memory.opening import REBUILD
from server.memory.recall import MemoryService
from server.settings import Settings
from server.stores import Stores, open_stores
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.memory.points import MessagePoint, message_point_id
from storage.memory.values import Delete, Operation, Result, Store
from tests.support.eventually import eventually
from tests.support.fake_qdrant import fake_qdrant
from tests.support.journal_values import at, batch, entry, message, opening, thread
from tests.support.postgres import Cluster

ROOM = thread("room")
MESSAGES = tuple(message(ROOM, n, content=f"The cat sleeps {n} hours.") for n in range(80))


def index_of(one: Message) -> IndexMessage:
    return IndexMessage(thread_id=one.thread_id, message_id=one.id)


class Watched(NamedTuple):
    """Two journals of one database, and the memory of both."""

    journals: Sequence[PostgresJournal]
    stores: Stores
    stored: list[MessageId]
    """Each time that a message was stored."""
    forgotten: list[str]
    """Ids of the points that were taken out."""

    def services(self) -> list[MemoryService]:
        return [
            MemoryService(each, self.stores.memory, self.stores.embedder.embedder)
            for each in self.journals
        ]


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
async def watched(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watched]:
    address = PostgresAddress.parse(url)
    async with AsyncExitStack() as stack:
        journals = [PostgresJournal(address) for _ in range(2)]
        for each in journals:
            await each.open()
            stack.push_async_callback(each.close)
        settings = Settings(data=tmp_path, llm="offline")
        stores = await stack.enter_async_context(open_stores(settings, system_environment()))
        stored: list[MessageId] = []
        forgotten: list[str] = []
        execute = stores.memory.execute

        async def watching(operation: Operation) -> Result:
            result = await execute(operation)
            if isinstance(operation, Store):
                points = operation.points
                stored.extend(
                    each.payload.message_id for each in points if isinstance(each, MessagePoint)
                )
            elif isinstance(operation, Delete):
                forgotten.extend(operation.ids)
            return result

        monkeypatch.setattr(stores.memory, "execute", watching)
        yield Watched(journals, stores, stored, forgotten)


async def carried_out(watched: Watched, services: Sequence[MemoryService]) -> None:
    """Let these carry out all that waits."""
    running = [asyncio.create_task(each.run()) for each in services]

    async def is_done() -> bool:
        return await watched.journals[0].first_queued(None) is None

    try:
        await eventually(is_done, "all memory tasks were carried out")
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_each_task_is_carried_out_by_one_server(watched: Watched) -> None:
    tasks = tuple(map(index_of, MESSAGES))
    await watched.journals[0].commit(opening(ROOM, *MESSAGES).model_copy(update={"memory": tasks}))
    await carried_out(watched, watched.services())
    assert Counter(watched.stored) == Counter(each.id for each in MESSAGES)


async def test_what_a_server_that_is_gone_had_claimed_is_carried_out_by_another(
    watched: Watched,
) -> None:
    gone, here = watched.journals
    tasks = tuple(map(index_of, MESSAGES[:3]))
    await gone.commit(opening(ROOM, *MESSAGES[:3]).model_copy(update={"memory": tasks}))
    assert len(await gone.claim_tasks(limit=2, seconds=0.5)) == 2
    del gone
    # It is woken by nothing: it looks for itself.
    await carried_out(watched, [MemoryService(here, watched.stores.memory, HashedEmbedder())])
    assert set(watched.stored) == {each.id for each in MESSAGES[:3]}


async def test_a_message_that_was_forgotten_while_it_was_stored_is_forgotten_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = watched.journals
    one = MESSAGES[0]
    stream = thread_stream(ROOM.id)
    begun = opening(ROOM, one)
    await first.commit(begun.model_copy(update={"memory": (index_of(one),)}))
    execute = watched.stores.memory.execute

    async def late(operation: Operation) -> Result:
        """Another server forgets the message just before it is stored here."""
        if isinstance(operation, Store) and not watched.stored:
            superseded = one.transition_to(at(1), status=MessageStatus.SUPERSEDED)
            forget = ForgetMessage(thread_id=ROOM.id, message_id=one.id)
            await second.commit(batch(2, entry(stream, superseded), memory=(forget,)))
            (other,) = await second.claim_tasks(limit=9, seconds=60)
            await second.finish_tasks([other.position])
        return await execute(operation)

    monkeypatch.setattr(watched.stores.memory, "execute", late)
    await carried_out(watched, watched.services()[:1])
    assert watched.stored == [one.id]
    assert watched.forgotten == [message_point_id(one.id)]


async def test_a_search_does_not_wait_for_the_server_that_feeds_the_memory_to_tell(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "CATCH_UP_SECONDS", 3_600.0)
    monkeypatch.setattr(recall, "SEARCH_SECONDS", 3_600.0)
    feeds, searches = watched.services()
    one = MESSAGES[0]
    await watched.journals[0].commit(
        opening(ROOM, one).model_copy(update={"memory": (index_of(one),)})
    )
    asked = asyncio.create_task(
        searches.recall(ROOM, "Who sleeps?", exclude=(), quoted=(), limit=5)
    )
    await carried_out(watched, [feeds])
    assert [each.message_id for each in await asked] == [one.id]


async def test_three_servers_open_an_empty_store_at_the_same_moment(
    url: str, tmp_path: Path
) -> None:
    async with fake_qdrant() as qdrant, AsyncExitStack() as stack:
        chosen = [
            Settings(data=tmp_path / str(n), llm="offline", database_url=url, qdrant_url=qdrant.url)  # type: ignore[arg-type]
            for n in range(3)
        ]
        opened = await asyncio.gather(
            *(stack.enter_async_context(open_stores(each, system_environment())) for each in chosen)
        )
        services = [
            MemoryService(each.journal, each.memory, each.embedder.embedder) for each in opened
        ]
        running = [asyncio.create_task(each.run()) for each in services]

        async def is_filled() -> bool:
            return await opened[0].journal.noted(REBUILD) is None

        await eventually(is_filled, "the new memory is whole")
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert not any(each.away for each in services)
