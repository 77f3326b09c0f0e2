"""While the memory or its embedder is away, runs go on and say so, and nothing is left out afterwards."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from machines.models.errors import AIError, ErrorCode
from machines.models.ids import PointId
from machines.models.outputs import Prior
from server.memory.embedders.hashed import HashedEmbedder
from server.memory.embeddings import EmbedderChoice
from server.services import Services
from storage.memory.facts import PointFacts
from storage.memory.memory import Memory, Prepared
from storage.memory.points import Collection
from storage.memory.retrier import Retrier
from storage.memory.values import RecoveryPolicy, StorageEffect
from tests.support.client import Data, Identity
from tests.support.eventually import PATIENCE, eventually
from tests.support.fake_qdrant import Failing, FakeQdrant, fake_qdrant
from tests.support.in_process import Caller, open_test_services


class Author:
    """Somebody in a thread of their own."""

    def __init__(self, caller: Caller, thread_id: str) -> None:
        self.caller = caller
        self._thread_id = thread_id
        self._asked = 0

    @classmethod
    async def arrive(cls, services: Services) -> "Author":
        """Sign in, open a thread and follow it."""
        caller = await Caller(services).sign_in(Identity())
        thread = await caller.get("create_thread", name="Rivers")
        await caller.get("get_thread", thread_id=thread["thread_id"])
        return cls(caller, thread["thread_id"])

    async def experience(self) -> Data:
        """What a new run says of its experience step, once the run has finished.

        Each prompt is another one: a search shows no text twice.
        """
        self._asked += 1
        asked = await self.caller.get(
            "submit_prompt",
            thread_id=self._thread_id,
            prompt=f"What of the rivers in chapter {self._asked}?",
        )
        await self.caller.line.until(
            lambda each: (
                each["data"].get("run_id") == asked["run_id"]
                and each["data"].get("status") == "finished"
            ),
            "the end of a run",
        )
        (completed,) = (
            each["data"]
            for each in self.caller.live(self._thread_id)
            if each["data"].get("run_id") == asked["run_id"]
            and each["data"].get("step") == "experience"
            and each["data"].get("status") == "completed"
        )
        return dict(completed)


async def nothing_waits(services: Services) -> bool:
    return not await services.journal.queued_tasks(limit=1)


@asynccontextmanager
async def stalling(folder: Path) -> AsyncIterator[tuple[Services, FakeQdrant, list[Author]]]:
    """Services whose memory has held something, and stalls now."""
    async with (
        fake_qdrant() as qdrant,
        open_test_services(folder, qdrant_url=qdrant.url) as services,
    ):
        authors = [await Author.arrive(services) for _ in range(6)]
        assert (await authors[0].experience())["memory_available"] is not False
        await eventually(lambda: nothing_waits(services), "the memory held all")
        qdrant.failing = Failing.STALLS
        yield services, qdrant, authors


async def test_runs_go_on_beside_a_memory_that_stalls_and_find_it_again_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stalling(tmp_path) as (services, qdrant, authors):
        monkeypatch.setattr("server.memory.recall.CATCH_UP_SECONDS", 0.1)
        monkeypatch.setattr("server.memory.recall.SEARCH_SECONDS", 0.5)
        for _ in range(2):
            told = await asyncio.gather(*(each.experience() for each in authors))
            assert [each["memory_available"] for each in told] == [False] * len(authors)
            assert services.memory_service.away
        refused = await authors[0].caller.ask("search", query="rivers")
        assert refused["data"]["code"] == "storage_unavailable"
        assert refused["data"]["retryable"]
        monkeypatch.undo()  # a busy machine may take its time from here on
        await qdrant.disappear()
        qdrant.failing = None
        await qdrant.appear()

        async def found() -> bool:
            return not services.memory_service.away and await nothing_waits(services)

        await eventually(found, "the memory was found again, and caught up")
        assert (await authors[0].experience())["memory_available"] is not False
        found_now = await authors[0].caller.get("search", query="rivers", limit=80)
        assert len(found_now["results"]) >= 3, "what was said meanwhile is not in the memory"


class Refusing(HashedEmbedder):
    """An embedder at an endpoint whose key was withdrawn."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = asyncio.Event()
        self.refuses = False
        self.chokes_on = "\0"
        """A text that it never takes."""

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        if self.refuses or any(self.chokes_on in each for each in texts):
            self.refused.set()
            raise AIError("The key is refused.", code=ErrorCode.AI_REJECTED, retryable=False)
        return await super().embed(texts)


@asynccontextmanager
async def embedding_with(embedder: Refusing, folder: Path) -> AsyncIterator[Services]:
    async def choose(**_: Any) -> EmbedderChoice:
        return EmbedderChoice(embedder, "It is a test.", "End the test.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.stores.choose_embedder", choose)
        async with open_test_services(folder) as services:
            yield services


async def test_what_an_embedder_refuses_for_a_while_waits_and_is_not_left_out(
    tmp_path: Path,
) -> None:
    embedder = Refusing()
    async with embedding_with(embedder, tmp_path) as services:
        author = await Author.arrive(services)
        embedder.refuses = True
        assert (await author.experience())["memory_available"] is False
        await embedder.refused.wait()
        assert not await nothing_waits(services)
        embedder.refuses = False
        await eventually(lambda: nothing_waits(services), "the memory caught up")
        found = await author.caller.get("search", query="rivers", limit=80)
        assert len(found["results"]) == 2, "the prompt and its answer"


async def test_a_text_that_cannot_be_embedded_does_not_hold_up_the_others(tmp_path: Path) -> None:
    embedder = Refusing()
    async with embedding_with(embedder, tmp_path) as services:
        embedder.chokes_on = "What of"
        author = await Author.arrive(services)
        await author.experience()
        await eventually(lambda: nothing_waits(services), "the others were carried out")
        embedder.chokes_on = "\0"
        found = await author.caller.get("search", query="rivers", limit=80)
        assert len(found["results"]) == 1, "the answer alone"


class Slow:
    """A store that is empty, and whose collections are made while somebody waits; a `VectorStore`."""

    calls_at_once = 1

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def prepare(self, *, accept_other: bool) -> Prepared:
        self.begun.set()
        self.may_end.wait(PATIENCE)
        return Prepared(made=frozenset(Collection), collections=(), indices=(), points={})

    def perform(self, effect: StorageEffect) -> tuple[Prior, ...]:
        raise AssertionError("nothing is asked of it")

    def facts_page(
        self, name: Collection, after: PointId | None
    ) -> tuple[list[PointFacts], PointId | None]:
        raise AssertionError("nothing is asked of it")

    def drop(self, name: Collection) -> None:
        raise AssertionError("nothing is asked of it")

    def close(self) -> None:
        """Nothing is held."""


async def test_collections_that_were_made_while_nobody_waited_are_filled_all_the_same() -> None:
    store = Slow()
    retrier = Retrier(RecoveryPolicy(), asyncio.sleep, lambda: 0.0, "fingerprint")
    memory = Memory(store, retrier)
    waiting = asyncio.create_task(memory.open())
    await asyncio.to_thread(store.begun.wait, PATIENCE)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    store.may_end.set()
    await memory.close()
    assert memory.take_made_anew() == frozenset(Collection)
