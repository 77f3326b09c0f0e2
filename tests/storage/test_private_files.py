"""What the stores keep is its owner's alone, however it came to be and whatever it was before."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from machines.models.errors import JournalError
from server.environment import system_environment
from server.settings import Settings
from server.stores import open_stores
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from storage.private_files import close_to_others, make_private_file, make_private_folder
from storage.salvage.recover import salvage


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """A process whose files are everybody's unless it says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> set[str]:
    """The folder itself, and what lies in it, as far as another account may use it."""
    return {
        each.name
        for each in (folder, *folder.iterdir())
        if stat.S_IMODE(each.stat().st_mode) & 0o077
    }


def open_all(folder: Path) -> None:
    """Let everybody read and write all files."""
    for each in folder.iterdir():
        each.chmod(0o666)


async def test_a_folder_that_is_made_and_all_that_is_in_it_are_closed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with open_stores(Settings(data=folder, llm="offline"), system_environment()):
        names = {each.name for each in folder.iterdir()}
        assert {JOURNAL_FILE, f"{JOURNAL_FILE}-wal", f"{JOURNAL_FILE}-shm", "memory"} <= names
        assert open_to_others(folder) == set()


async def test_what_was_open_before_is_closed_and_what_is_not_ours_is_left_alone(
    tmp_path: Path,
) -> None:
    ours, shared = tmp_path / "ours", tmp_path / "shared"
    for folder in (ours, shared):
        folder.mkdir(mode=0o755)
        (folder / JOURNAL_FILE).touch(mode=0o644)
        (folder / f"{JOURNAL_FILE}.damaged-1").touch(mode=0o644)
    (shared / "a letter").touch(mode=0o644)
    for folder in (ours, shared):
        async with open_stores(Settings(data=folder, llm="offline"), system_environment()):
            pass
    assert open_to_others(ours) == set()
    assert open_to_others(shared) == {"a letter", "shared"}


async def test_what_is_saved_of_a_damaged_journal_and_the_copy_that_is_kept_are_closed(
    tmp_path: Path,
) -> None:
    file = tmp_path / JOURNAL_FILE
    journal = SqliteJournal(file)
    await journal.open()
    await journal.close()
    open_all(tmp_path)
    with pytest.raises(JournalError, match="Nothing of the journal file"):
        await asyncio.to_thread(
            salvage, file, aside=tmp_path / f"{JOURNAL_FILE}.aside", epoch="new"
        )
    assert stat.S_IMODE((tmp_path / f"{JOURNAL_FILE}.aside").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / f"{JOURNAL_FILE}.new").stat().st_mode) == 0o600


def test_a_log_of_sqlite_has_the_permissions_of_its_database(tmp_path: Path) -> None:
    file = tmp_path / "any.sqlite3"
    make_private_file(file)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")
        modes = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("any*")}
    connection.close()
    assert modes == {0o600}


def test_an_open_file_keeps_what_its_owner_may(tmp_path: Path) -> None:
    file, folder = tmp_path / "kept", tmp_path / "folder"
    file.touch()
    file.chmod(0o444)
    close_to_others(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    folder.mkdir(mode=0o777)
    make_private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
