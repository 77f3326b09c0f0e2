"""Moments that are kept: they are gone on from, unless they are damaged or of what the store has lost."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor

from machines.models.errors import JournalError
from machines.models.ids import thread_stream
from machines.models.message import MessageStatus
from machines.models.thread import Thread
from storage.journal import past
from storage.journal.answers import PastPage
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support.empty_journal import put_empty_journal
from tests.support.journal_values import at, batch, entry, message, opening, thread

ONE = thread("looked back on")
STREAM = thread_stream(ONE.id)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    await asyncio.to_thread(put_empty_journal, tmp_path)
    opened = SqliteJournal(tmp_path / JOURNAL_FILE)
    await opened.open()
    yield opened
    await opened.close()


def called(name: str, version: int) -> Thread:
    return ONE.model_copy(update={"name": name, "version": version})


async def looked_back(journal: SqliteJournal, seq: int) -> PastPage:
    found = await journal.as_it_was(ONE.id, seq=seq, limit=9, before_index=None)
    assert isinstance(found, PastPage)
    return found


async def execute(folder: Path, statement: str, *values: object) -> int:
    """Change the file past the journal; gives how many rows that was."""

    def work() -> int:
        with closing(sqlite3.connect(folder / JOURNAL_FILE)) as connection, connection:
            return connection.execute(statement, values).rowcount

    return await asyncio.to_thread(work)


async def test_a_moment_is_gone_on_from(journal: SqliteJournal, tmp_path: Path) -> None:
    await journal.commit(opening(ONE))
    await journal.commit(batch(1, entry(STREAM, called("kept", 2))))
    await journal.keep_moment(ONE.id)
    # What is not read again may be anything.
    assert await execute(tmp_path, "UPDATE entries SET body = '' WHERE seq = 1") == 1
    assert (await looked_back(journal, 2)).view.thread.name == "kept"


async def test_a_moment_of_an_entry_that_is_lost_is_not_gone_on_from(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    await journal.commit(opening(ONE))
    await journal.commit(batch(1, entry(STREAM, called("lost", 2))))
    await journal.keep_moment(ONE.id)
    # As where a standby takes over that lacks the entry: another one has its number.
    for table, where in (("entries", "seq = 2"), ("threads", "true")):
        assert await execute(tmp_path, f"DELETE FROM {table} WHERE {where}") == 1  # noqa: S608 - our own words
    await journal.commit(batch(1, entry(STREAM, called("there", 2))))
    assert (await looked_back(journal, 2)).view.thread.name == "there"


@pytest.mark.parametrize("garbage", ["'x'", "CAST(x'ff' AS TEXT)"])
async def test_a_damaged_moment_is_gathered_again(
    journal: SqliteJournal, tmp_path: Path, garbage: str
) -> None:
    await journal.commit(opening(ONE))
    await journal.keep_moment(ONE.id)
    assert await execute(tmp_path, f"UPDATE moments SET body = {garbage}") == 1  # noqa: S608 - our own words
    assert (await looked_back(journal, 1)).view.thread.name == ONE.name


async def test_what_cannot_be_kept_is_told_all_the_same(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(rows: object) -> None:
        raise JournalError("The disk is full.")

    for number in range(4):
        await journal.commit(batch(number, entry(STREAM, called("long", number + 1))))
    monkeypatch.setattr(past, "KEPT_EACH", 2)
    monkeypatch.setattr(journal, "_keep_moments", refuse)
    assert (await looked_back(journal, 4)).view.head_seq == 4
    monkeypatch.setattr(past, "MOST_GATHERED", 2)
    with pytest.raises(JournalError, match="The disk is full"):
        await journal.as_it_was(ONE.id, seq=4, limit=9, before_index=None)


@contextmanager
def statements() -> Iterator[list[str]]:
    asked: list[str] = []

    def note(_connection: object, _cursor: DBAPICursor, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_messages_that_changed_later_are_found_together(journal: SqliteJournal) -> None:
    approved = [message(ONE, number) for number in range(6)]
    gone = [each.transition_to(at(9), status=MessageStatus.SUPERSEDED) for each in approved]
    begun = opening(ONE, *approved)
    await journal.commit(begun)
    head = len(begun.entries)
    for number in range(6):
        await journal.commit(batch(head + number, entry(STREAM)))
    last = head + 6
    asked = []
    for count, each in enumerate(gone, start=1):
        await journal.commit(batch(last + count - 1, entry(STREAM, each)))
        for seq, shown in ((last, approved), (last + count, [*gone[:count], *approved[count:]])):
            with statements() as told:
                found = await looked_back(journal, seq)
            assert list(found.page.messages) == shown
            asked.append(len(told))
    assert len(set(asked[2:])) == 1, "as many statements for one as for all"
