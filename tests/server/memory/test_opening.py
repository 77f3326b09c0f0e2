"""A memory that cannot be reached at a start is tried again; one that will not recover ends the start."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from machines.models.errors import StorageError
from server.addresses import is_private
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


async def test_a_qdrant_server_of_too_old_a_version_ends_the_start_in_one_line(
    tmp_path: Path,
) -> None:
    async with fake_qdrant(version="1.16.0") as qdrant:
        with pytest.raises(StorageError, match=r"is Qdrant 1\.16: version 1\.17 or later"):
            async with open_test_services(tmp_path, qdrant_url=qdrant.url):
                pytest.fail("it must not start")


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:6333", True),
        ("http://localhost:6333", True),
        ("http://qdrant:6333", True),
        ("https://qdrant.example.org", True),
        ("http://qdrant.example.org:6333", False),
        ("http://10.0.0.7:6333", False),
        ("http://[fd00::7]:6333", False),
    ],
)
def test_a_key_is_private_by_tls_or_near_by(url: str, private: bool) -> None:
    assert is_private(url) is private


async def test_a_key_that_is_sent_in_the_clear_is_warned_of_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.stores.is_private", lambda _: False)
    async with (
        fake_qdrant(api_key="right-key") as qdrant,
        open_test_services(tmp_path, qdrant_url=qdrant.url, qdrant_api_key=SecretStr("right-key")),
    ):
        pass
    assert (
        "CHORUS_QDRANT_API_KEY is sent in the clear: let CHORUS_QDRANT_URL begin with"
        in caplog.text
    )
    assert "right-key" not in caplog.text
