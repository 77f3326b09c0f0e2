"""Journals that earlier versions wrote still open, verify, replay, and go on.

They lie in `tests/data/journals`: what a version wrote, and what it showed of it. Fields may be added
since; what was shown must be shown still. `python -m tests.storage.journal.keep_journal` keeps that of
the present version.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from machines.decisions.replay import replay_run, written_by_this_chart
from machines.models.errors import JournalError
from machines.models.ids import RunId, ThreadId, thread_stream
from machines.models.journal import JournalEntry
from server.wire.presenter import LiveEntry
from storage.copying.copier import copy
from storage.copying.database import DatabasePlace
from storage.copying.folder import FolderPlace
from storage.journal.migrations import Migrated
from storage.journal.port import Journal
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal, migrate
from tests.storage.journal.keep_journal import KEPT, restore
from tests.support.eventually import eventually
from tests.support.in_process import open_test_services
from tests.support.postgres import Cluster

VERSIONS = sorted(KEPT.glob("*.sql"))


@pytest.fixture(params=VERSIONS, ids=lambda kept: kept.stem)
def kept(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def folder(kept: Path, tmp_path: Path) -> Path:
    restore(kept, tmp_path)
    return tmp_path


@pytest.fixture
def address(postgres: Cluster) -> PostgresAddress:
    """Of an empty database."""
    return PostgresAddress.parse(postgres.database(migrated=True))


@pytest.fixture
def told(kept: Path) -> dict[str, Any]:
    """What the version showed."""
    expected: dict[str, Any] = json.loads(kept.with_suffix(".json").read_text())
    return expected


def lacks(shown: object, expected: object, place: str = "") -> list[str]:
    """Where `shown` does not hold what is expected; it may hold more fields."""
    if isinstance(expected, dict) and isinstance(shown, dict):
        return [
            problem
            for name, value in expected.items()
            for problem in lacks(shown.get(name), value, f"{place}.{name}")
        ]
    if isinstance(expected, list) and isinstance(shown, list) and len(expected) == len(shown):
        return [
            problem
            for number, (ours, theirs) in enumerate(zip(shown, expected, strict=True))
            for problem in lacks(ours, theirs, f"{place}[{number}]")
        ]
    return [] if shown == expected else [f"{place} is {shown!r}, and was {expected!r}"]


async def entries_of(journal: Journal, thread_id: str) -> tuple[JournalEntry, ...]:
    page = await journal.entries(thread_stream(ThreadId(thread_id)), after_seq=0, limit=1_000)
    return page.entries


async def shown_of(journal: Journal, thread_id: str) -> list[object]:
    """The frames of a thread's entries, made beside the loop: the first one loads what renders."""
    entries = await entries_of(journal, thread_id)
    return await asyncio.to_thread(lambda: [json.loads(LiveEntry(each).full) for each in entries])


async def runs_of(journal: Journal, told: dict[str, Any]) -> set[RunId]:
    """The runs of every thread."""
    runs = {
        RunId(str(entry.data["run_id"]))
        for thread_id in told["threads"]
        for entry in await entries_of(journal, thread_id)
        if entry.data.get("run_id")
    }
    assert len(runs) >= 6
    return runs


def test_a_journal_of_at_least_one_version_is_kept() -> None:
    assert VERSIONS, f"run python -m tests.storage.journal.keep_journal: nothing lies in {KEPT}"


async def test_it_verifies_and_shows_what_it_showed_then(
    folder: Path, told: dict[str, Any]
) -> None:
    journal = SqliteJournal(folder / JOURNAL_FILE)
    await journal.open()
    try:
        assert await journal.verify() == ()
        for thread_id, expected in told["threads"].items():
            shown = await shown_of(journal, thread_id)
            assert not lacks(shown, expected["entries"]), thread_id
    finally:
        await journal.close()


async def test_every_run_is_replayed_to_the_state_that_was_kept(
    folder: Path, told: dict[str, Any]
) -> None:
    journal = SqliteJournal(folder / JOURNAL_FILE)
    await journal.open()
    try:
        for run_id in await runs_of(journal, told):
            written = await journal.run_entries(run_id)
            assert written_by_this_chart(written), "add the fingerprint of its chart to EQUIVALENT"
            assert replay_run(run_id, written) == await journal.run(run_id)
    finally:
        await journal.close()


async def test_it_is_whole_in_a_database_once_it_is_migrated_and_copied(
    folder: Path, told: dict[str, Any], address: PostgresAddress
) -> None:
    def copied() -> None:
        source = FolderPlace(folder)
        target = DatabasePlace(address, lambda: "made")
        with pytest.raises(JournalError, match="run `chorus migrate` on it first"):
            copy(source, target, epoch="copy", notes={}, tell=lambda _: None)
        assert migrate(folder / JOURNAL_FILE, lambda: "first") is Migrated.OLDER
        assert migrate(folder / JOURNAL_FILE, lambda: "second") is Migrated.CURRENT
        copy(source, target, epoch="copy", notes={}, tell=lambda _: None)

    await asyncio.to_thread(copied)
    journal = PostgresJournal(address)
    await journal.open()
    try:
        assert await journal.verify() == ()
        for thread_id, expected in told["threads"].items():
            shown = await shown_of(journal, thread_id)
            assert not lacks(shown, expected["entries"]), thread_id
        for run_id in await runs_of(journal, told):
            written = await journal.run_entries(run_id)
            assert replay_run(run_id, written) == await journal.run(run_id)
    finally:
        await journal.close()


async def test_its_unfinished_run_goes_on_to_its_end(folder: Path, told: dict[str, Any]) -> None:
    async with open_test_services(folder) as services:

        async def finished() -> bool:
            run = await services.journal.run(RunId(told["unfinished_run"]))
            assert run is not None
            return run.status.value == "finished"

        await eventually(finished, "the unfinished run was finished")
        assert await services.journal.verify() == ()
