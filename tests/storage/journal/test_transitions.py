"""What is told of every transition: each once, stream by stream, with its event and value."""

from pathlib import Path

import pytest

from machines.models.errors import JournalError
from storage.journal import transitions
from storage.journal.history import Step, tell_steps
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal, read_file
from storage.journal.transitions import Transition, tell_transitions
from tests.storage.journal.keep_journal import KEPT, restore

NEWEST = max(KEPT.glob("*.sql"))


async def told(folder: Path) -> tuple[int, list[Transition]]:
    found: list[Transition] = []
    async with read_file(folder / JOURNAL_FILE) as reader:
        count = await reader.read(lambda connection: tell_transitions(connection, found.append))
    return count, found


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A journal that an earlier version wrote, and this one migrated."""
    restore(NEWEST, tmp_path)
    journal = SqliteJournal(tmp_path / JOURNAL_FILE)
    await journal.open()
    await journal.close()
    return tmp_path


async def test_every_transition_is_told_once_stream_by_stream_however_many_are_read_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, whole = await told(folder)
    assert [(each.stream, each.seq) for each in whole] == sorted(
        (each.stream, each.seq) for each in whole
    )
    steps: list[Step] = []
    async with read_file(folder / JOURNAL_FILE) as reader:
        await reader.read(lambda connection: tell_steps(connection, steps.append))
    taken = sorted(
        (each.machine, each.instance, each.taken.edge) for each in steps if each.taken is not None
    )
    assert sorted((each.machine, each.instance, each.edge) for each in whole) == taken

    few = transitions._PAGE.limit(3)
    monkeypatch.setattr(transitions, "_PAGE", few)
    assert await told(folder) == (count, whole)


async def test_a_transition_comes_with_its_event_and_the_value_that_it_left(folder: Path) -> None:
    _, whole = await told(folder)
    for each in whole:
        assert each.said["event"] == each.event
        assert each.value["id"] == each.instance
    (vote,) = (each for each in whole if each.event == "approve")
    assert vote.value["status"] == vote.target
    assert vote.said["voter"] in [cast["co_author"] for cast in vote.value["approvals"]]


async def test_a_journal_of_an_earlier_version_is_not_told(tmp_path: Path) -> None:
    restore(NEWEST, tmp_path)
    with pytest.raises(JournalError, match="written by an earlier version"):
        await told(tmp_path)
