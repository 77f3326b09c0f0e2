"""Every background task of a server that ends by a defect is begun again, and does its work; one without
which it is not safe to go on ends the server by one clear line."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from machines.models.errors import ChorusError
from server.app import serve
from server.concurrency.background import Background, Work
from server.epochs import EpochWatch
from server.settings import Settings
from tests.support.client import Identity
from tests.support.eventually import PATIENCE, eventually
from tests.support.in_process import Caller
from tests.support.postgres import Cluster
from tests.support.samples import sample
from tests.support.several_servers import several_servers


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


class Breaking(Background):
    """Lets each task that may be begun again end by a defect once, at the moment that a test says."""

    def __init__(self, monotonic: Callable[[], float], on_defect: Callable[[str], None]) -> None:
        super().__init__(monotonic, on_defect, at_once)
        self.moment = asyncio.Event()
        self.names: set[str] = set()
        self.begun_again: set[str] = set()

    def begin(self, name: str, work: Work, *, ends_server: bool = False) -> None:
        if not ends_server:
            self.names.add(name)
            work = partial(self._break_once, name, work)
        super().begin(name, work, ends_server=ends_server)

    async def _break_once(self, name: str, work: Work) -> None:
        if self.moment.is_set():
            self.begun_again.add(name)
            await work()
            return
        working = asyncio.ensure_future(work())
        await self.moment.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        raise RuntimeError("a defect")


@pytest.fixture(params=["folder", "database"])
def url(request: pytest.FixtureRequest, postgres: Cluster) -> str | None:
    """Of a migrated, empty database; None is a folder."""
    return postgres.database(migrated=True) if request.param == "database" else None


async def test_every_task_that_a_defect_ends_is_begun_again_and_the_server_works_on(
    url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.services.Background", Breaking)
    async with several_servers(1, tmp_path, url, moody=True) as (server,):
        background = server.background
        assert isinstance(background, Breaking)
        assert {"timers", "memory service", "relay", "lease"} < background.names
        assert ("deadlines" in background.names) is (url is not None)
        ann = await Caller(server).sign_in(Identity())
        thread_id = (await ann.get("create_thread", name="Evening"))["thread_id"]
        await ann.get("get_thread", thread_id=thread_id)
        background.moment.set()
        await eventually(
            lambda: background.begun_again == background.names,
            lambda: f"all are begun again: {background.names - background.begun_again}",
        )
        for name in background.names:
            defects = f'chorus_background_defects_total{{task="{name}"}}'
            assert sample(server.metrics, defects) == 1
        # A timer, the lease, the interpreter, the memory and the relay have their part in this.
        await ann.get("submit_prompt", thread_id=thread_id, prompt="STUMBLE over bread")
        await ann.line.until(
            lambda each: each["type"] == "chorus_response" and each["data"]["status"] == "finished",
            "the run's end",
        )

        async def is_remembered() -> bool:
            found = await ann.get("search", query="bread")
            return bool(found["results"])

        await eventually(is_remembered, "the memory is fed")


async def test_a_task_without_which_it_is_not_safe_to_go_on_ends_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: EpochWatch) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(EpochWatch, "run", fails)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ChorusError, match="its task epochs ended by a defect") as ended:
            await serve(Settings(data=tmp_path, llm="offline", port=0), lambda _: None)
    assert "\n" not in ended.value.message
