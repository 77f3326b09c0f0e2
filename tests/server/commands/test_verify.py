"""What `chorus verify` finds in a damaged store, says of it, and mends with `--repair`."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest_asyncio

from server.commands.verify import run
from server.environment import system_environment
from server.settings import Settings
from server.stores import MEMORY_FOLDER
from storage.journal.sqlite import JOURNAL_FILE
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, open_test_services


async def verified(
    folder: Path, *, repair: bool = False, restored: bool = False
) -> tuple[int, list[str]]:
    """How many problems are left, by the last line, and what was said before it."""
    said: list[str] = []
    code = await run(
        Settings(data=folder, llm="offline"),
        system_environment(),
        repair=repair,
        restored=restored,
        say=said.append,
    )
    verdict = said.pop()
    said = [line for line in said if not line.startswith("checked: ")]
    left = 0 if verdict == "Everything agrees." else int(verdict.split()[0])
    assert code == (1 if left else 0), verdict
    return left, said


def changed(folder: Path, statement: str) -> int:
    """Change the journal behind its back; gives how many rows were."""
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as journal, journal:
        return journal.execute(statement).rowcount


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A store with a finished run, a message that waits, two sessions, and a memory that holds it."""
    async with open_test_services(tmp_path) as services:
        alice = await Caller(services).sign_in(Identity())
        thread = await alice.get("create_thread", name="Open", visibility="public")
        at = {"thread_id": thread["thread_id"]}
        await alice.get("get_thread", **at)
        await alice.get("submit_prompt", prompt="Why does bread rise?", **at)
        await alice.line.until(
            lambda frame: frame["data"].get("status") == "finished", "the end of the run"
        )
        stranger = await Caller(services).sign_in(Identity())
        await stranger.get("submit_prompt", prompt="May I come in?", **at)

        async def held() -> bool:
            return not await services.journal.queued_tasks(limit=1)

        await eventually(held, "the memory held all")
    yield tmp_path


async def test_a_whole_store_is_left_as_it_is(folder: Path) -> None:
    assert await verified(folder, repair=True) == (0, [])


async def test_timers_that_were_lost_are_told_and_set_again(folder: Path) -> None:
    assert changed(folder, "DELETE FROM timers") == 3
    left, said = await verified(folder)
    assert left == len(said) == 3
    assert [line.split("kind ")[1].split()[0] for line in said] == [
        "approval",
        "session",
        "session",
    ]
    left, said = await verified(folder, repair=True)
    assert (left, said[-1]) == (0, "mended: set 3 timers that were missing")
    assert await verified(folder) == (0, [])


async def test_a_memory_that_was_lost_is_filled_from_the_journal(folder: Path) -> None:
    shutil.rmtree(folder / MEMORY_FOLDER)
    left, said = await verified(folder)
    assert left == len(said) > 0
    assert all(line.startswith("memory: missing point in ") for line in said)
    again, said = await verified(folder, repair=True)
    assert (again, said[-1]) == (0, f"mended: {left} differences of the memory")
    assert await verified(folder) == (0, [])


async def test_a_snapshot_that_its_entries_do_not_give_is_told_and_mended(folder: Path) -> None:
    assert changed(folder, "UPDATE users SET version = version + 7") == 2
    left, said = await verified(folder)
    assert left > 0
    assert all(line.startswith("journal: ") for line in said)
    left, said = await verified(folder, repair=True)
    assert left == 0
    assert any(line.startswith("mended: ") for line in said)
    assert await verified(folder) == (0, [])


async def test_the_sessions_of_a_restored_store_are_ended_only_where_it_is_whole(
    folder: Path, tmp_path: Path
) -> None:
    assert changed(folder, "UPDATE users SET version = version + 7") == 2
    left, said = await verified(folder, restored=True)
    assert left > 0
    assert "Its sessions were not ended: they may be damaged too." in said
    left, said = await verified(folder, restored=True, repair=True)
    assert left == 0
    assert "Its sessions are ended: users sign in again with their keys." in said
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as journal:
        assert journal.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


async def test_a_file_that_is_no_journal_is_kept_until_a_repair_is_asked_for(
    folder: Path,
) -> None:
    file = folder / JOURNAL_FILE
    whole = file.read_bytes()
    page = 4096
    file.write_bytes(whole[: 4 * page] + b"\xff" * page + whole[5 * page :])
    damaged = file.read_bytes()
    left, said = await verified(folder)
    assert left == 1
    assert said[0].startswith("journal: ")
    assert "a backup may hold more" in said[1]
    assert file.read_bytes() == damaged
