"""Damage at every place of a journal: what is whole before it is saved, and nothing is invented.

Of each damage it is known what must be saved: of every stream the entries before the first that has a
part on a damaged page (`tests.storage.salvage.whole_journal`).
"""

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from machines.models.errors import JournalError
from machines.models.ids import StreamId, thread_stream
from storage.journal.migrations import rewritten
from storage.journal.rows import RowValues, stored_of_row
from storage.journal.schema import METADATA, entries, memory_tasks, replies, timers, vectors
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from storage.salvage.damaged_rows import open_damaged
from storage.salvage.recover import damage, salvage
from tests.storage.journal.keep_journal import KEPT, restore
from tests.storage.salvage.whole_journal import PAGE_BYTES, THREADS, Key, Whole, make_whole
from tests.support.journal_values import ANN, message, reply, thread

pytestmark = pytest.mark.unmeasured


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return make_whole(tmp_path_factory.mktemp("whole") / JOURNAL_FILE, random.Random(1))


@pytest.fixture
def file(whole: Whole, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    copy = tmp_path / JOURNAL_FILE
    shutil.copy(whole.file, copy)
    return copy


def read(file: Path) -> dict[Key, str]:
    """The whole entries of a damaged file; each must be there once."""
    found: dict[Key, str] = {}
    with open_damaged(file, [entries]) as damaged:
        for row in damaged.rows(entries, whole_row):
            key = (row["stream"], row["seq"])
            assert key not in found
            found[key] = row["body"]
    return found


def whole_row(row: RowValues) -> RowValues | None:
    try:
        stored_of_row(row)
    except ValueError:
        return None
    return row


def overwrite(file: Path, offset: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(content)


async def saved(file: Path, whole: Whole, epoch: str = "the second") -> dict[str, int]:
    """Salvage; gives the heads then, once it is sure that nothing was invented."""
    salvaged = await asyncio.to_thread(salvage, file, aside=file.with_name("aside"), epoch=epoch)
    assert await asyncio.to_thread(damage, file) is None
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT stream, seq, body FROM entries").fetchall()
    bodies = {(stream, seq): body for stream, seq, body in rows}
    assert bodies.items() <= whole.bodies.items(), "something was saved that never was"
    journal = SqliteJournal(file)
    await journal.open()
    try:
        assert await journal.verify() == ()
        assert await journal.epoch() == epoch
        heads = {stream: await journal.head(StreamId(stream)) for stream, _ in bodies}
    finally:
        await journal.close()
    assert sum(heads.values()) == salvaged.saved == len(rows)
    return heads


# --- Every place ---------------------------------------------------------------------------------


def test_the_journal_is_large_enough_to_have_inner_pages_and_overflow_pages(whole: Whole) -> None:
    assert whole.count > 40
    assert len({min(pages) for pages in whole.pages.values()}) > 3
    assert max(map(len, whole.pages.values())) > 3


def test_cut_at_every_page_it_gives_exactly_what_lies_before_the_cut(
    whole: Whole, file: Path
) -> None:
    for pages in range(whole.count, 0, -1):
        os.truncate(file, pages * PAGE_BYTES)
        assert read(file) == whole.untouched(range(pages + 1, whole.count + 1)), f"{pages} pages"


def test_cut_within_a_page_it_gives_what_lies_before_that_page_and_nothing_else(
    whole: Whole, file: Path
) -> None:
    content = whole.file.read_bytes()
    there: set[Key] = set()
    for left in range(PAGE_BYTES // 2, len(content), 2_039):
        file.write_bytes(content[:left])
        found = read(file)
        untouched = whole.untouched(range(left // PAGE_BYTES + 1, whole.count + 1))
        assert untouched.items() <= found.items() <= whole.bodies.items(), f"{left} bytes"
        there |= found.keys() - untouched.keys()
    assert there, "nothing was read of a page that lacks its end"


def test_with_any_page_gone_it_gives_exactly_what_lies_on_the_others(
    whole: Whole, file: Path
) -> None:
    content = whole.file.read_bytes()
    for page in range(1, whole.count + 1):
        before = (page - 1) * PAGE_BYTES
        file.write_bytes(content[:before] + bytes(PAGE_BYTES) + content[before + PAGE_BYTES :])
        assert read(file) == whole.untouched([page]), f"page {page}"


def test_with_any_byte_flipped_it_gives_all_that_is_not_near_and_nothing_else(
    whole: Whole, file: Path
) -> None:
    dice = random.Random(2)
    content = whole.file.read_bytes()
    for _ in range(80):
        damaged = bytearray(content)
        # Half of them in the heads of pages, where a byte can do the most.
        page = dice.randrange(whole.count)
        offset = page * PAGE_BYTES + dice.choice([dice.randrange(64), dice.randrange(PAGE_BYTES)])
        damaged[offset] ^= 1 << dice.randrange(8)
        file.write_bytes(damaged)
        found = read(file)
        assert found.items() <= whole.bodies.items(), f"invented after a flip at {offset}"
        assert found.items() >= whole.untouched([page + 1]).items(), f"lost by a flip at {offset}"


def test_a_flip_anywhere_in_an_entry_is_noticed_even_where_it_leaves_good_json(
    whole: Whole, file: Path
) -> None:
    key = next(key for key, body in whole.bodies.items() if len(body) > 14_000)
    text = whole.bodies[key].encode()
    content = whole.file.read_bytes()
    start = content.index(text[-500:])
    for place in range(0, 500, 7):
        damaged = bytearray(content)
        damaged[start + place] ^= 1  # a letter becomes another letter
        file.write_bytes(damaged)
        assert key not in read(file), f"byte {place} from the last 500"


# --- The whole way -------------------------------------------------------------------------------

Ruin = Callable[[Whole, Path, random.Random], set[int]]
"""Damages a copy of a whole file; gives the pages that it touched."""


def cut(whole: Whole, file: Path, dice: random.Random) -> set[int]:
    """Behind the first page of entries: before it there is nothing to be saved."""
    left = dice.randrange(whole.first * PAGE_BYTES, whole.count * PAGE_BYTES)
    os.truncate(file, left)
    return set(range(left // PAGE_BYTES + 1, whole.count + 1))


def flip(whole: Whole, file: Path, dice: random.Random) -> set[int]:
    offsets = [dice.randrange(whole.count * PAGE_BYTES) for _ in range(dice.randint(1, 6))]
    content = bytearray(file.read_bytes())
    for offset in offsets:
        content[offset] ^= 1 << dice.randrange(8)
    file.write_bytes(content)
    return {offset // PAGE_BYTES + 1 for offset in offsets}


def overwrite_some(whole: Whole, file: Path, dice: random.Random) -> set[int]:
    """Also the first page, which says what lies where."""
    pages = {1, *(dice.randint(1, whole.count) for _ in range(3))}
    for page in pages:
        overwrite(file, (page - 1) * PAGE_BYTES, dice.randbytes(PAGE_BYTES))
    return pages


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ruin", [cut, flip, overwrite_some])
async def test_every_stream_is_saved_up_to_its_first_entry_that_is_not_whole(
    whole: Whole, file: Path, ruin: Ruin, seed: int
) -> None:
    damaged = ruin(whole, file, random.Random(seed))
    assert whole.heads(damaged), "nothing is left to be saved"
    if await asyncio.to_thread(damage, file) is None:
        # What was hit holds nothing of an entry: the rest of its page, or an index.
        with closing(sqlite3.connect(file)) as database:
            rows = database.execute("SELECT stream, seq, body FROM entries").fetchall()
        there = {(stream, seq): body for stream, seq, body in rows}
        assert there == whole.bodies, "the damage of an entry was not noticed"
        return
    heads = await saved(file, whole)
    for stream, head in whole.heads(damaged).items():
        assert heads.get(stream, 0) >= head, f"{stream} ends too early, pages {damaged}"


@pytest.mark.parametrize("column", [b"position", b"stream", b"digest"])
async def test_a_schema_that_names_a_column_otherwise_is_damage(
    whole: Whole, file: Path, column: bytes
) -> None:
    """Also where the name is no text any more, which SQLite's error quotes."""
    content = await asyncio.to_thread(file.read_bytes)
    start = content.index(b"CREATE TABLE entries")
    at = content.index(column, start) + 2
    for byte in (b"\xef", b"Q"):
        overwrite(file, at, byte)
        said = await asyncio.to_thread(damage, file)
        assert said is not None
        assert said.startswith(f"{JOURNAL_FILE} is damaged: ")
    assert await saved(file, whole) == whole.heads(())


def test_of_a_file_that_is_cut_before_its_first_entry_nothing_is_saved_and_a_copy_is_kept(
    whole: Whole, file: Path
) -> None:
    os.truncate(file, (whole.first - 1) * PAGE_BYTES)
    content = file.read_bytes()
    aside = file.with_name("aside")
    with pytest.raises(JournalError, match="Nothing of the journal file can be read") as failed:
        salvage(file, aside=aside, epoch="the second")
    assert not failed.value.retryable
    assert aside.read_bytes() == content


async def test_a_change_that_leaves_good_json_ends_its_stream_and_no_other(
    whole: Whole, file: Path
) -> None:
    stream = thread_stream(thread("two").id)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            """UPDATE entries SET body = replace(body, '"by":"Ann"', '"by":"Ben"')
            WHERE stream = ? AND seq = 9""",
            (stream,),
        )
    said = await asyncio.to_thread(damage, file)
    assert said == f"{JOURNAL_FILE} is damaged: entry 9 of {stream} is not what was written."
    journal = SqliteJournal(file)
    await journal.open()
    assert [problem for problem in await journal.verify() if f"entry 9 of {stream}" in problem]
    with pytest.raises(JournalError, match="verify --repair"):
        await journal.entries(stream, after_seq=0, limit=100)
    assert await journal.repair() == ()
    await journal.close()
    assert await saved(file, whole) == {**whole.heads(()), stream: 8}


def root_of_entries(file: Path) -> int:
    """Where the inner page begins from which the entries' tree grows."""
    with closing(sqlite3.connect(file)) as database:
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'entries'"
        ).fetchone()
    start: int = (root - 1) * PAGE_BYTES
    assert file.read_bytes()[start] == 0x05, "the tree has no inner page: write more entries"
    return start


async def test_a_tree_that_lost_a_leaf_without_a_trace_is_noticed_and_saved_whole(
    whole: Whole, file: Path
) -> None:
    # One child fewer: the first cells stay, and the tree looks sound.
    count = root_of_entries(file) + 3
    content = await asyncio.to_thread(file.read_bytes)
    before = int.from_bytes(content[count : count + 2], "big")
    overwrite(file, count, (before - 1).to_bytes(2, "big"))
    assert await asyncio.to_thread(damage, file) is not None
    assert await saved(file, whole) == whole.heads(())


async def test_a_tree_that_leads_back_gives_every_row_once(whole: Whole, file: Path) -> None:
    last_child = root_of_entries(file) + 8
    root = last_child // PAGE_BYTES + 1
    overwrite(file, last_child, root.to_bytes(4, "big"))
    assert await asyncio.to_thread(read, file) == whole.bodies
    assert await saved(file, whole) == whole.heads(())


async def test_everything_is_saved_where_only_the_first_page_is_gone(
    whole: Whole, file: Path
) -> None:
    overwrite(file, 0, bytes(PAGE_BYTES))
    assert await saved(file, whole) == whole.heads(())
    journal = SqliteJournal(file)
    await journal.open()
    for name in THREADS:
        one = thread(name)
        answered = await journal.reply(ANN, reply(f"{name} 5").request_id)
        assert answered is not None
        assert answered.thread_id == one.id
        first = message(one, 0).id
        assert await journal.vectors([first], fingerprint="fingerprint")
    assert len(await journal.queued_tasks()) == len(THREADS)
    assert len(await journal.timers()) == len(THREADS)
    await journal.close()


def test_rows_of_every_table_are_told_apart_by_their_shape(whole: Whole, file: Path) -> None:
    read_tables = [entries, replies, memory_tasks, vectors, timers]
    with closing(sqlite3.connect(file)) as database:
        there = {
            table.name: database.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]  # noqa: S608
            for table in METADATA.sorted_tables
        }
    assert all(there[table.name] for table in read_tables)
    overwrite(file, 0, bytes(PAGE_BYTES))
    with open_damaged(file, read_tables) as damaged:
        for table in read_tables:
            found = list(damaged.rows(table, lambda row: row))
            assert len(found) == there[table.name], table.name


# --- The log -------------------------------------------------------------------------------------


@pytest.fixture
def unclosed(whole: Whole, tmp_path: Path) -> Path:
    """A copy of a journal whose server was killed: what it wrote last is in the log."""
    for suffix in ("", "-wal"):
        shutil.copy(f"{whole.unclosed}{suffix}", tmp_path / f"{JOURNAL_FILE}{suffix}")
    return tmp_path / JOURNAL_FILE


def log_of(file: Path) -> Path:
    return Path(f"{file}-wal")


async def test_what_is_in_the_log_is_saved_though_the_file_is_empty(
    whole: Whole, unclosed: Path
) -> None:
    os.truncate(unclosed, 0)
    assert await asyncio.to_thread(damage, unclosed) == f"{JOURNAL_FILE} is damaged: it is empty."
    assert await saved(unclosed, whole) == whole.heads(())


async def test_of_a_damaged_log_what_was_committed_before_the_damage_is_saved(
    whole: Whole, unclosed: Path
) -> None:
    os.truncate(unclosed, 0)
    size = log_of(unclosed).stat().st_size
    overwrite(log_of(unclosed), size * 2 // 3, b"\xff" * 50)
    heads = await saved(unclosed, whole)
    assert any(0 < heads[stream] < head for stream, head in whole.heads(()).items())


# --- Positions -----------------------------------------------------------------------------------


async def test_an_entry_at_a_damaged_position_does_not_hold_up_those_that_follow_it(
    tmp_path: Path,
) -> None:
    restore(KEPT / "0.1.0.sql", tmp_path)
    file = tmp_path / JOURNAL_FILE
    with closing(sqlite3.connect(file)) as database, database:
        (count,) = database.execute("SELECT count(*) FROM entries").fetchone()
        database.execute("UPDATE entries SET position = position + 1000000 WHERE position = 3")
    salvaged = await asyncio.to_thread(salvage, file, aside=file.with_name("aside"), epoch="new")
    assert (salvaged.saved, salvaged.left_out) == (count, 0)


# --- Earlier versions ----------------------------------------------------------------------------


async def test_a_journal_of_the_first_version_is_saved_as_far_as_it_can_be_read(
    tmp_path: Path,
) -> None:
    restore(KEPT / "0.1.0.sql", tmp_path)
    file = tmp_path / JOURNAL_FILE
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT stream, seq, body FROM entries").fetchall()
    assert await asyncio.to_thread(damage, file) is None
    overwrite(file, 0, bytes(PAGE_BYTES))
    salvaged = await asyncio.to_thread(salvage, file, aside=file.with_name("aside"), epoch="new")
    assert salvaged.saved == len(rows)
    assert await asyncio.to_thread(damage, file) is None
    with closing(sqlite3.connect(file)) as database:
        saved = database.execute("SELECT stream, seq, body FROM entries").fetchall()
    assert saved == [(stream, seq, rewritten(body)) for stream, seq, body in rows]
