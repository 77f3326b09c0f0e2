"""What is told of a journal's history: each transition once, stream by stream, with its event and value."""

from pathlib import Path

import pytest

from storage.journal import history
from storage.journal.history import Transition, tell_history
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal, read_file
from tests.storage.journal.keep_journal import KEPT, restore

NEWEST = max(KEPT.glob("*.sql"))


async def told(folder: Path) -> tuple[int, list[Transition]]:
    found: list[Transition] = []
    async with read_file(folder / JOURNAL_FILE) as reader:
        count = await reader.read(lambda connection: tell_history(connection, found.append))
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
    few = history._PAGE.limit(3)
    monkeypatch.setattr(history, "_PAGE", few)
    assert await told(folder) == (count, whole)


async def test_a_transition_comes_with_its_event_and_the_value_that_it_left(folder: Path) -> None:
    _, whole = await told(folder)
    for each in whole:
        assert each.said["event"] == each.event
        assert each.value["id"] == each.instance
    (vote,) = (each for each in whole if each.event == "approve")
    assert vote.value["status"] == vote.target
    assert vote.said["voter"] in [cast["co_author"] for cast in vote.value["approvals"]]


async def test_a_value_is_told_to_be_born_before_it_moves(folder: Path) -> None:
    known: set[tuple[str, str]] = set()
    moved: list[bool] = []
    async with read_file(folder / JOURNAL_FILE) as reader:
        await reader.read(
            lambda connection: tell_history(
                connection,
                lambda each: moved.append((each.machine, each.instance) in known),
                lambda machine, instance: known.add((machine, instance)),
            )
        )
    assert moved
    assert all(moved)
