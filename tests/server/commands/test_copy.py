"""`chorus copy`: what it takes, what it shows on its way, and what it says at the end."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from server.commands import copy as command
from server.commands.errors import WRONG_USE, CommandFailed
from server.environment import system_environment
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.storage.journal.furnished import furnish
from tests.support.postgres import PASSWORD, Cluster


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """With a journal."""
    journal = SqliteJournal(tmp_path / "one" / JOURNAL_FILE)
    await journal.open()
    await furnish(journal)
    await journal.close()
    return tmp_path / "one"


def copied(source: object, target: object, *, terminal: bool = False) -> tuple[list[str], str]:
    """What was said, and what was shown on the way."""
    said: list[str] = []
    shown = StringIO()
    console = Console(file=shown, force_terminal=terminal, width=80)
    code = command.run(
        str(source), str(target), system_environment(), say=said.append, progress=console
    )
    assert code == 0
    return said, shown.getvalue()


def test_it_says_what_was_copied_and_shows_each_table(folder: Path, tmp_path: Path) -> None:
    said, shown = copied(folder, tmp_path / "two")
    assert said[0] == f"Copied 34 rows from {folder} to {tmp_path / 'two'}, and verified them."
    lines = shown.splitlines()
    assert "Copying entries" in lines
    assert "Comparing threads" in lines
    assert lines[-1] == "Verifying the copy"
    assert len(lines) == len(set(lines))


def test_on_a_terminal_a_bar_tells_how_far_it_is(folder: Path, tmp_path: Path) -> None:
    _, shown = copied(folder, tmp_path / "two", terminal=True)
    assert "34/34" in shown
    assert "Verifying the copy" in shown


def refused(source: object, target: object) -> CommandFailed:
    with pytest.raises(CommandFailed) as error:
        copied(source, target)
    assert "\n" not in str(error.value)
    assert PASSWORD not in str(error.value)
    return error.value


def test_the_same_store_twice_is_refused(folder: Path, postgres: Cluster) -> None:
    beside = folder / ".." / folder.name
    assert refused(folder, beside).exit_code == WRONG_USE
    url = postgres.url("chorus")
    assert refused(url, postgres.url("chorus", user="other")).exit_code == WRONG_USE


@pytest.mark.parametrize(
    "wrong", ["mysql://ann:secret@host/chorus", "postgresql://ann:secret@host"]
)
def test_what_is_no_place_is_refused_by_its_option(tmp_path: Path, wrong: str) -> None:
    for source, target, option in ((wrong, tmp_path, "--from"), (tmp_path, wrong, "--to")):
        told = refused(source, target)
        assert str(told).startswith(f"{option} must be a folder, or an address such as")
        assert "secret" not in str(told)
        assert told.exit_code == WRONG_USE


@pytest.mark.parametrize("memory", ["memory", "qdrant"])
def test_a_folder_with_a_memory_is_not_copied_into(
    folder: Path, tmp_path: Path, memory: str
) -> None:
    (tmp_path / "two" / memory).mkdir(parents=True)
    assert "It is not empty" in str(refused(folder, tmp_path / "two"))
