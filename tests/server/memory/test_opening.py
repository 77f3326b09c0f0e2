"""A memory that cannot be reached at a start is tried again; one that will not recover ends the start."""

from pathlib import Path

import pytest

from machines.models.errors import StorageError
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.fake_qdrant import Failing, fake_qdrant
from tests.support.in_process import Caller, open_test_services


async def test_a_server_starts_while_its_memory_is_away_and_fills_it_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_qdrant() as qdrant:
        await qdrant.disappear()
        async with open_test_services(tmp_path, qdrant_url=qdrant.url) as services:
            assert "the memory is away: " in caplog.text
            alice = await Caller(services).sign_in(Identity())
            thread = await alice.get("create_thread", name="Evening")
            await alice.get(
                "submit_prompt", thread_id=thread["thread_id"], prompt="What of the herons?"
            )
            refused = await alice.ask("search", query="herons")
            assert refused["data"]["code"] == "storage_unavailable"
            assert await services.journal.queued_tasks(limit=1), "what is said meanwhile waits"
            await qdrant.appear()

            async def found() -> bool:
                reply = await alice.ask("search", query="herons")
                return bool(reply["data"].get("results"))

            await eventually(found, "the prompt was found in the memory")


async def test_a_memory_that_refuses_its_key_ends_the_start(tmp_path: Path) -> None:
    async with fake_qdrant() as qdrant:
        qdrant.failing = Failing.KEY_REFUSED
        with pytest.raises(StorageError) as refused:
            async with open_test_services(tmp_path, qdrant_url=qdrant.url):
                pytest.fail("it must not start")
    assert not refused.value.retryable
