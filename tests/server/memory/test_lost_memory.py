"""The embedded memory loses points while nobody looks: the next start, or write, fills it again."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from machines.models.ids import thread_stream
from machines.models.journal import IndexMessage, MemoryTask, RecordLinks
from machines.models.message import Message
from machines.models.thread import Visibility
from server.environment import system_environment
from server.memory.embedders.hashed import HashedEmbedder
from server.memory.embeddings import EmbedderChoice
from server.memory.opening import COMPARED, REBUILD
from server.memory.recall import MemoryService
from server.settings import Settings
from server.stores import FORMER_MEMORY_FOLDER, MEMORY_FOLDER, Stores, open_stores
from storage.embedded.store import DATABASE_FILE, VECTORS_FILE
from storage.journal.answers import GivenToMemory, StoredVector
from storage.journal.epochs import COMMITS_LOST
from storage.memory.points import Collection, fingerprint_of
from tests.support.eventually import eventually
from tests.support.journal_values import (
    ANN,
    batch,
    entry,
    message,
    opening,
    run,
    run_entry,
    thread,
)

ROOM = thread("room", visibility=Visibility.PUBLIC)
MESSAGES = tuple(
    message(ROOM, index, content=f"The {animal} sleeps.")
    for index, animal in enumerate(("cat", "dog", "owl", "eel"))
)
RUN = run(MESSAGES[3])
TASKS = (
    *(IndexMessage(thread_id=ROOM.id, message_id=each.id) for each in MESSAGES),
    RecordLinks(
        thread_id=ROOM.id,
        run_id=RUN.id,
        prompt_id=MESSAGES[3].id,
        priors=((MESSAGES[0].id, "it fits"),),
    ),
)

Damage = Callable[[Path], object]


@pytest.fixture(autouse=True)
def words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embed by hashed words: nothing here depends on meaning, and each start would load weights."""

    async def choose(**_: object) -> EmbedderChoice:
        return EmbedderChoice(HashedEmbedder(), "it is a test.", "End the test.")

    monkeypatch.setattr("server.stores.choose_embedder", choose)


@asynccontextmanager
async def stores_in(folder: Path) -> AsyncIterator[Stores]:
    async with open_stores(Settings(data=folder, llm="offline"), system_environment()) as stores:
        yield stores


async def feed(stores: Stores) -> MemoryService:
    """Carry out everything that waits."""
    memory_service = MemoryService(stores.journal, stores.memory, stores.embedder.embedder)
    feeding = asyncio.create_task(memory_service.run())

    async def fed() -> bool:
        return (
            await stores.journal.noted(REBUILD) is None
            and await stores.journal.first_queued(None) is None
        )

    try:
        await eventually(fed, "`MemoryService.run` fed the memory all that waits")
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    return memory_service


async def filled(folder: Path) -> None:
    """A journal with messages and a link, and a memory that holds them."""
    async with stores_in(folder) as stores:
        begun = opening(ROOM, *MESSAGES)
        queued = run_entry(RUN, "queued", RUN)
        await stores.journal.commit(batch(0, *begun.entries, queued, memory=TASKS))
        await feed(stores)


async def submit(stores: Stores, *messages: Message) -> None:
    """More approved messages of the room; the memory is to hold them."""
    stream = thread_stream(ROOM.id)
    await stores.journal.commit(
        batch(
            await stores.journal.head(stream),
            *(entry(stream, each, kind="message_submitted") for each in messages),
            memory=tuple(IndexMessage(thread_id=ROOM.id, message_id=each.id) for each in messages),
        )
    )


def database(folder: Path) -> Path:
    return folder / MEMORY_FOLDER / DATABASE_FILE


def vectors(folder: Path) -> Path:
    return folder / MEMORY_FOLDER / VECTORS_FILE


def without_database(folder: Path) -> None:
    database(folder).unlink()


def without_folder(folder: Path) -> None:
    shutil.rmtree(folder / MEMORY_FOLDER)


def changed(statement: str) -> Damage:
    """As an older copy of the folder is, which looks whole."""

    def damage(folder: Path) -> None:
        with closing(sqlite3.connect(database(folder))) as connection, connection:
            assert connection.execute(statement).rowcount == 1

    return damage


def overwritten(folder: Path) -> None:
    file = database(folder)
    file.write_bytes(bytes(len(file.read_bytes())))


def with_another_bit(folder: Path) -> None:
    with vectors(folder).open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))


def cut(folder: Path) -> None:
    os.truncate(vectors(folder), vectors(folder).stat().st_size - 1)


DAMAGES = {
    "no database": without_database,
    "an empty database": lambda folder: database(folder).write_bytes(b""),
    "a database of zeros": overwritten,
    "no vectors": lambda folder: vectors(folder).unlink(),
    "a vector cut short": cut,
    "another bit in a vector": with_another_bit,
    "no folder": without_folder,
    "fewer messages": changed("DELETE FROM messages WHERE row = 1"),
    "fewer links": changed("DELETE FROM links"),
    "no payload": changed("DELETE FROM payloads WHERE row = 1"),
    "another payload": changed("UPDATE payloads SET payload = x'7b7d' WHERE row = 1"),
    "another thread": changed("UPDATE messages SET thread = 'theirs' WHERE row = 1"),
    "another kind of thread": changed("UPDATE messages SET visibility = 'open' WHERE row = 1"),
    "other words": changed("UPDATE messages SET words = x'00' WHERE row = 1"),
}
"""What may be wrong with the files of an embedded memory."""


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_what_the_memory_lost_between_two_starts_is_filled_again(
    tmp_path: Path, damage: Damage
) -> None:
    await filled(tmp_path)
    damage(tmp_path)
    async with stores_in(tmp_path) as stores:
        assert await stores.journal.noted(REBUILD) is not None, "the loss was not noticed"
        memory_service = await feed(stores)
        found = await memory_service.search(ANN, "Who sleeps?", thread_id=None, limit=80)
        assert {prior.message_id for prior in found} == {each.id for each in MESSAGES}
        assert len((await stores.memory.facts(Collection.LINKS)).points) == 1
    async with stores_in(tmp_path) as stores:
        assert await stores.journal.noted(REBUILD) is None, "it is filled again at every start"


async def test_a_whole_memory_is_not_filled_again_whatever_waits_or_was_dropped(
    tmp_path: Path,
) -> None:
    await filled(tmp_path)
    late = message(ROOM, 4, content="The fox sleeps.")
    dropped = message(ROOM, 5, content="No embedder wants this.")
    async with stores_in(tmp_path) as stores:
        journal = stores.journal
        fingerprint = fingerprint_of(stores.embedder.embedder.fingerprint)
        await submit(stores, late, dropped)
        # As far as it came before a crash: embedded, and not yet stored.
        vector = (1.0,) * stores.embedder.embedder.dimensions
        await journal.keep_vectors(
            [StoredVector(message_id=late.id, fingerprint=fingerprint, vector=vector)]
        )
        _, last = await journal.queued_tasks()
        await journal.finish_tasks([last.position])
        given = await journal.given_to_memory(fingerprint=fingerprint)
        assert given == GivenToMemory(messages=len(MESSAGES), links=1)
    async with stores_in(tmp_path) as stores:
        assert await stores.journal.noted(REBUILD) is None
        assert len(await stores.journal.queued_tasks()) == 1


@pytest.mark.parametrize("lost", [without_database, without_folder])
async def test_what_vanishes_under_an_open_memory_is_filled_again(
    tmp_path: Path, lost: Damage
) -> None:
    await filled(tmp_path)
    late = message(ROOM, 4, content="The fox sleeps.")
    async with stores_in(tmp_path) as stores:
        lost(tmp_path)
        await submit(stores, late)
        memory_service = await feed(stores)
        assert database(tmp_path).exists()

        # The loss shows at the write, and the filling is asked for after it.
        async def filled_again() -> bool:
            await feed(stores)
            facts = await stores.memory.facts(Collection.MESSAGES)
            return len(facts.points) > len(MESSAGES)

        await eventually(filled_again, "the memory held every message again")
        found = await memory_service.search(ANN, "Who sleeps?", thread_id=None, limit=80)
        assert {prior.message_id for prior in found} == {each.id for each in (*MESSAGES, late)}


async def test_the_folder_of_an_embedded_qdrant_goes_once_all_of_it_is_in_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a folder of 0.3.0 is opened: nothing is embedded twice, and nothing is removed too early."""
    await filled(tmp_path)
    without_folder(tmp_path)
    former = tmp_path / FORMER_MEMORY_FOLDER / "collection"
    former.mkdir(parents=True)

    async def never(self: HashedEmbedder, texts: Sequence[str]) -> list[tuple[float, ...]]:
        raise AssertionError(f"embedded twice: {texts}")

    async with stores_in(tmp_path):
        assert former.exists(), "it was removed before the new one held anything"
    async with stores_in(tmp_path) as stores:
        assert former.exists(), "it was removed although what was to be filled was not"
        with monkeypatch.context() as patch:
            patch.setattr(HashedEmbedder, "embed", never)
            await feed(stores)
        assert former.exists(), "it was removed before a start found the new one whole"
    async with stores_in(tmp_path) as stores:
        assert not former.parent.exists()
        memory_service = await feed(stores)
        found = await memory_service.search(ANN, "Who sleeps?", thread_id=None, limit=80)
        assert {prior.message_id for prior in found} == {each.id for each in MESSAGES}


async def test_commits_that_are_lost_while_the_memory_is_compared_are_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stores_in(tmp_path) as stores:
        journal = stores.journal
        memory_service = MemoryService(journal, stores.memory, stores.embedder.embedder)
        requeue = journal.requeue

        async def losing(tasks: Sequence[MemoryTask]) -> None:
            if await journal.noted(COMMITS_LOST) == "first":
                await journal.note(COMMITS_LOST, "second")
                memory_service.look_again()
            await requeue(tasks)

        async def is_compared() -> bool:
            return await journal.noted(COMPARED) == "second"

        monkeypatch.setattr(journal, "requeue", losing)
        await journal.note(COMMITS_LOST, "first")
        feeding = asyncio.create_task(memory_service.run())
        try:
            await eventually(is_compared, "the memory was compared after both losses")
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
