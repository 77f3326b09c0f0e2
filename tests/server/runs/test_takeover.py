"""What a server takes up is taken up whole: at a start that takes long, beside a damaged thread, and where
the journal was away in the middle of it."""

import asyncio
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from machines.models.errors import JournalError
from machines.models.ids import RunId, ServerId, ThreadId, thread_stream
from machines.models.journal import RetryTimer
from machines.models.lease import LeaseStatus
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.sqlite import JOURNAL_FILE
from tests.support.client import Identity
from tests.support.eventually import PATIENCE, eventually
from tests.support.in_process import Caller, open_test_services
from tests.support.postgres import Cluster
from tests.support.run_rows import RunRows
from tests.support.several_servers import several_servers


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


async def holding(caller: Caller, runs: int = 1) -> ThreadId:
    """A new thread with so many runs: the first does not end, the others wait for it."""
    made = await caller.get("create_thread", name="Evening", visibility="private")
    for _ in range(runs):
        await caller.get("submit_prompt", thread_id=made["thread_id"], prompt="HOLD it")
    return ThreadId(made["thread_id"])


async def is_taken_up(caller: Caller, thread_id: ThreadId, why: str) -> None:
    """Wait until the thread is told that its run goes on."""

    async def is_told() -> bool:
        seen = await caller.get("get_events", thread_id=thread_id, after_seq=0, limit=100)
        return any(why in str(each["data"].get("message")) for each in seen["entries"])

    await eventually(is_told, f"the thread is told that {why!r}")


async def test_a_damaged_thread_keeps_no_other_from_being_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ann = Identity()
    async with open_test_services(tmp_path, moody=True) as services:
        caller = await Caller(services).sign_in(ann)
        damaged, whole = await holding(caller, runs=2), await holding(caller)
    with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as file, file:
        file.execute(
            "UPDATE entries SET body = '{' WHERE stream = ? AND run_id IS NOT NULL",
            (thread_stream(damaged),),
        )
    async with open_test_services(tmp_path, moody=True) as services:
        caller = await Caller(services).sign_in(ann)
        await is_taken_up(caller, whole, "The server restarted")
    assert "a run could not be taken up again" in caplog.text


async def test_a_start_that_takes_longer_than_its_lease_renews_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_runs, heartbeat = PostgresJournal.live_runs, PostgresJournal.heartbeat
    is_renewed = asyncio.Event()

    async def slowly(journal: PostgresJournal) -> object:
        await is_renewed.wait()
        return await live_runs(journal)

    async def renew(journal: PostgresJournal, server_id: ServerId, *, seconds: float) -> bool:
        is_alive = await heartbeat(journal, server_id, seconds=seconds)
        is_renewed.set()
        return is_alive

    monkeypatch.setattr(PostgresJournal, "live_runs", slowly)
    monkeypatch.setattr(PostgresJournal, "heartbeat", renew)
    async with (
        asyncio.timeout(PATIENCE),
        several_servers(1, tmp_path, url, lease_seconds=2) as (server,),
    ):
        await eventually(
            lambda: server.takeover.status is LeaseStatus.LIVE, "the server may commit"
        )


async def test_runs_are_taken_over_though_the_journal_was_away_once_they_were_claimed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Identity()
    async with several_servers(2, tmp_path, url, moody=True, lease_seconds=5) as (here, there):
        thread_id = await holding(await Caller(here).sign_in(ann))
        await eventually(lambda: bool(here.chorus.under_way()), "the run is under way")
        charts_of_runs = there.journal.charts_of_runs
        is_away = iter([True])

        async def away_once(run_ids: Collection[RunId]) -> dict[RunId, str]:
            if next(is_away, False):
                raise JournalError("The database cannot be reached.", certain=True)
            return await charts_of_runs(run_ids)

        monkeypatch.setattr(there.journal, "charts_of_runs", away_once)
        await here.takeover.hand_over()
        caller = await Caller(there).sign_in(ann)
        await is_taken_up(caller, thread_id, "is gone, and another goes on")
        assert next(is_away, None) is None


async def test_a_wait_that_is_over_says_nothing_once_its_server_gave_up_what_it_carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_test_services(tmp_path, moody=True) as services:
        thread_id = await holding(await Caller(services).sign_in(Identity()))
        (run,) = await services.journal.live_runs()
        timer = RetryTimer(
            thread_id=thread_id,
            run_id=run.id,
            step=run.current_step,
            iteration=run.iteration,
            attempt=run.attempt,
        )
        assert not await services.chorus.retry(timer), "the chart refuses what comes too late"
        perform, is_away = services.thread_service.perform_on_view, iter([True])

        async def away_once(*asked: Any) -> object:
            if next(is_away, False):
                services.chorus.stop_all()
                raise JournalError("This server is cut off from the database.", certain=True)
            return await perform(*asked)

        monkeypatch.setattr(services.thread_service, "perform_on_view", away_once)
        assert await services.chorus.retry(timer), (
            "the chart is not asked: it is another's to bring"
        )


async def test_nothing_happens_to_a_run_of_another_chart_before_it_is_taken_over(
    url: str, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, rows = Identity(), RunRows(postgres, url)
    monkeypatch.setattr("server.runs.takeover.WATCH_SECONDS", 0.0)
    async with several_servers(2, tmp_path, url, moody=True, lease_seconds=30) as (here, there):
        thread_id = await holding(await Caller(here).sign_in(ann))
        await eventually(lambda: bool(here.chorus.under_way()), "the run is under way")
        is_held, goes_on = asyncio.Event(), asyncio.Event()
        run_entries = there.journal.run_entries

        async def slowly(run_id: RunId) -> object:
            is_held.set()
            await goes_on.wait()
            return await run_entries(run_id)

        async def of_another(run_ids: Collection[RunId]) -> dict[RunId, str]:
            return dict.fromkeys(run_ids, "chorus:000000000000")

        monkeypatch.setattr(there.journal, "run_entries", slowly)
        monkeypatch.setattr(there.journal, "charts_of_runs", of_another)
        await here.takeover.hand_over()
        await is_held.wait()
        head = await there.journal.head(thread_stream(thread_id))
        for _ in range(3):
            await rows.looked()
        assert await there.journal.head(thread_stream(thread_id)) == head
        goes_on.set()
        await is_taken_up(await Caller(there).sign_in(ann), thread_id, "The server was upgraded")
