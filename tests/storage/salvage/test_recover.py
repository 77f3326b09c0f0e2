"""Saving a damaged journal: what is whole is kept, what is not is kept aside."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from machines.models.errors import JournalError
from machines.models.ids import thread_stream
from machines.models.message import MessageStatus
from storage.journal.history import DECLARATION, kept_declarations
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal, read_file
from storage.salvage.recover import damage, salvage
from tests.support.journal_values import (
    ANN,
    batch,
    entry,
    message,
    opening,
    reply,
    session,
    thread,
)

ENTRIES = 40
LARGE = "x" * 3_000
"""As much as fills most of a page, so that one damaged place costs one entry."""


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A closed journal of one thread, with 40 large entries, a reply and a session."""
    path = tmp_path / JOURNAL_FILE
    journal = SqliteJournal(path, make_epoch=lambda: "the first")
    await journal.open()
    one = thread()
    stream = thread_stream(one.id)
    waiting = message(one, 0, status=MessageStatus.PENDING)
    await journal.commit(opening(one, waiting))
    for version in range(1, ENTRIES):
        changed = one.model_copy(update={"version": version + 1, "message_count": 1})
        large = entry(stream, changed).model_copy(update={"data": {"text": LARGE}})
        await journal.commit(batch(await journal.head(stream), large))
    head = await journal.head(stream)
    answered = reply("asked last", one)
    await journal.commit(batch(head, entry(stream, one, session(ANN)), reply=answered))
    await journal.close()
    return path


def spoil(file: Path, entry_seq: int) -> None:
    """Overwrite the text of one entry where it lies in the file."""
    with closing(sqlite3.connect(file)) as journal:
        (body,) = journal.execute("SELECT body FROM entries WHERE seq = ?", (entry_seq,)).fetchone()
    content = file.read_bytes()
    place = content.index(body.encode()) + len(body) // 2
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(b"\xff" * 100)


def cut(file: Path) -> None:
    """Leave three quarters of the file; the first half holds no entry, but the tables' roots."""
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size * 3 // 4)


async def saved_from(file: Path) -> int:
    """Salvage; gives the head of the thread then."""
    aside = file.with_name("aside.sqlite3")
    salvaged = await asyncio.to_thread(salvage, file, aside=aside, epoch="the second")
    assert await asyncio.to_thread(damage, file) is None
    journal = SqliteJournal(file)
    await journal.open()
    try:
        assert await journal.verify() == ()
        assert await journal.epoch() == "the second"
        head = await journal.head(thread_stream(thread().id))
        assert head == salvaged.saved
        return head
    finally:
        await journal.close()


def test_a_whole_journal_is_not_damaged(file: Path) -> None:
    assert damage(file) is None


async def test_what_stands_before_a_spoiled_entry_is_saved(file: Path) -> None:
    spoil(file, 20)
    said = await asyncio.to_thread(damage, file)
    stream = thread_stream(thread().id)
    assert said == f"{file.name} is damaged: entry 20 of {stream} is not what was written."
    head = await saved_from(file)
    assert head == 19


async def test_a_file_that_was_cut_short_is_read_as_far_as_it_goes(file: Path) -> None:
    cut(file)
    assert await asyncio.to_thread(damage, file) is not None
    head = await saved_from(file)
    assert 1 < head < ENTRIES


async def test_the_damaged_file_is_kept_as_it_was(file: Path) -> None:
    spoil(file, 20)
    before = await asyncio.to_thread(file.read_bytes)
    salvaged = await asyncio.to_thread(salvage, file, aside=file.with_name("aside"), epoch="new")
    assert await asyncio.to_thread(salvaged.aside.read_bytes) == before


async def test_a_message_that_waits_is_saved_and_a_session_behind_the_gap_is_not(
    file: Path,
) -> None:
    spoil(file, 39)
    salvaged = await asyncio.to_thread(salvage, file, aside=file.with_name("aside"), epoch="new")
    assert salvaged.left_out > 0
    journal = SqliteJournal(file)
    await journal.open()
    try:
        assert [each.index for each in await journal.pending_messages()] == [0]
        assert await journal.sessions() == ()
    finally:
        await journal.close()


async def test_what_charts_declared_is_saved_where_it_can_be_read(file: Path) -> None:
    journal = SqliteJournal(file)
    await journal.open()
    await journal.note(f"{DECLARATION}chorus:1", '{"fingerprint":"chorus:1"}')
    await journal.note(f"{DECLARATION}chorus:2", '{"fingerprint":"chorus:1"}')
    await journal.note(f"{DECLARATION}chorus:3", "{")
    await journal.close()
    spoil(file, 39)
    await saved_from(file)
    async with read_file(file) as reader:
        kept = await reader.read(kept_declarations)
    assert kept == {"chorus:1": '{"fingerprint":"chorus:1"}'}


async def test_a_reply_is_kept_only_where_its_entry_was_saved(file: Path) -> None:
    spoil(file, 39)
    await saved_from(file)
    journal = SqliteJournal(file)
    await journal.open()
    assert await journal.reply(ANN, reply("asked last").request_id) is None
    await journal.close()


@pytest.mark.parametrize(
    "ruin", [lambda file: file.write_bytes(bytes(9_000)), lambda file: file.write_bytes(b"")]
)
def test_where_nothing_can_be_read_the_file_stays_as_it_is(
    file: Path, ruin: Callable[[Path], object]
) -> None:
    ruin(file)
    before = file.read_bytes()
    assert damage(file) is not None
    with pytest.raises(JournalError) as refused:
        salvage(file, aside=file.with_name("aside"), epoch="new")
    assert "\n" not in refused.value.message
    assert file.read_bytes() == before
