"""What a server had not sent when it was killed, or could not send, is sent by the next one that can."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.services import Services
from storage.journal.sqlite import JOURNAL_FILE, read_file
from storage.journal.traced import SENT, last_position
from tests.server.threads.forking import asked, co_author, followed_thread
from tests.support.collector import Collected, collector, exports_to
from tests.support.eventually import eventually
from tests.support.in_process import open_test_services
from tests.support.postgres import Cluster
from tests.support.several_servers import several_servers


@pytest.fixture
async def collected(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collected]:
    """What servers of the test send."""
    monkeypatch.setattr("server.telemetry.unsent.CYCLE_SECONDS", 0.05)
    async with collector() as running:
        exports_to(monkeypatch, running.url)
        yield running


def traces(collected: Collected) -> Counter[str]:
    """How often the root of each run's trace came."""
    return Counter(
        each.trace_id.hex() for each in collected.roots() if each.name == "invoke_agent chorus"
    )


async def a_run(services: Services) -> str:
    """The trace of a run that is over."""
    ann = await co_author(services)
    thread = await followed_thread(ann)
    return str((await asked(ann, thread, "A river"))["run_id"]).replace("-", "")


def mark_of(services: Services) -> str:
    """The note that says how far a server has sent its spans."""
    return SENT + services.takeover._lease.id


async def all_is_sent(services: Services, folder: Path) -> None:
    """Wait until the mark of the server says so."""
    async with read_file(folder / JOURNAL_FILE) as reader:
        end = str(await reader.read(last_position))

    async def follows() -> bool:
        return await services.journal.noted(mark_of(services)) == end

    await eventually(follows, "the mark follows")


async def test_what_a_killed_server_had_not_sent_is_sent_once_by_the_next(
    collected: Collected, tmp_path: Path
) -> None:
    killed, next_ = tmp_path / "killed", tmp_path / "next"
    async with open_test_services(killed) as services:
        sent, mark = await a_run(services), mark_of(services)
        await eventually(lambda: sent in traces(collected), "the first is sent")
        await all_is_sent(services, killed)
        # The collector answers nothing, so the mark stays; and what is on disk is what a kill leaves.
        collected.answers.clear()
        owed = await a_run(services)
        shutil.copytree(killed, next_)
        collected.answers.set()
    collected.spans.clear()
    async with open_test_services(next_) as services:
        last = await a_run(services)
        await eventually(lambda: len(traces(collected)) == 2, "both are sent")

        async def is_forgotten() -> bool:
            return await services.journal.noted(mark) is None

        await eventually(is_forgotten, "nothing is owed any more")
    assert traces(collected) == {owed: 1, last: 1}
    assert collected.problems() == []


async def test_what_no_collector_took_is_sent_once_it_takes_again(
    collected: Collected, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A run has more spans than wait together, so it is dropped as a whole, and sent in parts.
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "6")
    collected.status = 400
    async with open_test_services(tmp_path) as services:
        ann = await co_author(services)
        thread = await followed_thread(ann)
        lost = str((await asked(ann, thread, "A river"))["run_id"]).replace("-", "")
        await eventually(lambda: len(collected.headers) > 1, "it was refused, and tried again")
        collected.status = 200
        await eventually(lambda: lost in traces(collected), "it is sent")
        name = mark_of(services)
        await asked(ann, thread, "Another")
        await eventually(lambda: len(traces(collected)) == 2, "so is the next")
        await all_is_sent(services, tmp_path)
    async with open_test_services(tmp_path) as services:
        assert await services.journal.noted(name) is None, "who ends in order leaves no mark"


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


async def test_of_several_servers_one_sends_what_another_owed(
    collected: Collected, url: str, tmp_path: Path
) -> None:
    async with several_servers(2, tmp_path, url) as (here, there):
        run = await a_run(here)
        await eventually(lambda: run in traces(collected), "it is sent")
        collected.spans.clear()
        gone = SENT + "0" * 36
        await here.journal.note(gone, "0")
        await eventually(lambda: run in traces(collected), "it is sent again")

        async def is_forgotten() -> bool:
            return await there.journal.noted(gone) is None

        await eventually(is_forgotten, "its mark is gone")
        assert traces(collected) == {run: 1}, "by one of them"
