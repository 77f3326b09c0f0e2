"""The entry of a fork names the runs that made what it keeps: what that costs, and what loss does to it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from machines.models.chorus import ChorusState
from machines.models.errors import JournalError
from machines.models.fork import Change, ChangeKind
from machines.models.outputs import StepEnum
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from storage.salvage.recover import salvage
from tests.storage.journal.lineage_contract import descended
from tests.support.empty_journal import put_empty_journal
from tests.support.lineage import THREAD, Lineage

FORKS = 4
LENGTH = 8_000


def at_length(run: ChorusState) -> str:
    """A long text of each step."""
    return f"{run.current_step} {run.iteration} ".ljust(LENGTH, "x")


async def opened(folder: Path) -> SqliteJournal:
    await asyncio.to_thread(put_empty_journal, folder)
    journal = SqliteJournal(folder / JOURNAL_FILE)
    await journal.open()
    return journal


def sum_of_bodies(folder: Path) -> int:
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as database:
        (size,) = database.execute("SELECT sum(length(body)) FROM entries").fetchone()
    return int(size)


async def test_forks_of_a_long_run_hold_none_of_its_texts(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    lineage = await Lineage.opened(journal)
    first = await lineage.asked("p" * LENGTH, at_length)
    of_one = sum_of_bodies(tmp_path)
    assert of_one > len(first.steps) * LENGTH
    for number in range(FORKS):
        change = Change(kind=ChangeKind.INSTRUCTIONS, text=f"In verse {number}.")
        fork = await lineage.forked(first, StepEnum.UPDATE, change, at=2)
        assert fork.steps[:10] == first.steps[:10]
        await lineage.discarded(fork)
    grown = sum_of_bodies(tmp_path) - of_one
    assert grown < FORKS * 2 * LENGTH, "a fork of ten steps costs less than two of them"
    await journal.close()


async def test_a_kept_step_that_is_lost_is_named_and_nothing_is_put_in_its_place(
    tmp_path: Path,
) -> None:
    journal = await opened(tmp_path)
    first, *forks = await descended(journal)
    lost = change_text_of_step(tmp_path, first, "experience")
    found = await journal.verify()
    assert any(f"entry {lost} of thread:{THREAD} is not what was written" in each for each in found)
    created = [seq_of_creation(tmp_path, each) for each in forks[:4]]
    for seq in created:
        assert any(f"entry {seq} of thread:{THREAD} cannot be read" in each for each in found)
    whole = seq_of_creation(tmp_path, forks[4])
    assert not any(f"entry {whole} of" in each for each in found), "it keeps none of that step"
    await journal.repair()
    assert await journal.verify() == found
    for each in forks[:4]:
        with pytest.raises(JournalError):
            await journal.run(each.id)
    assert await journal.run(forks[4].id) == forks[4]
    await journal.close()


async def test_what_is_saved_of_a_damaged_file_holds_what_its_forks_keep(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    first, one, two, *_ = await descended(journal)
    last = seq_of_creation(tmp_path, two)
    await journal.close()
    with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as database, database:
        database.execute("DELETE FROM entries WHERE seq = ?", (last,))
    await asyncio.to_thread(
        salvage, tmp_path / JOURNAL_FILE, aside=tmp_path / "damaged", epoch="saved"
    )
    journal = await opened(tmp_path)
    assert await journal.verify() == ()
    assert [await journal.run(each.id) for each in (first, one, two)] == [first, one, None]
    await journal.close()


def change_text_of_step(folder: Path, run: ChorusState, step: str) -> int:
    """Damage the entry that completed a step; gives its number."""
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as database, database:
        found = database.execute(
            "SELECT seq, body FROM entries WHERE run_id = ? AND kind = 'completed' ORDER BY seq",
            (run.id,),
        ).fetchall()
        seq, body = next((seq, body) for seq, body in found if f'"step":"{step}"' in body)
        changed = body.replace(f"{step} 1 of", f"{step} 2 of")
        assert changed != body
        database.execute("UPDATE entries SET body = ? WHERE seq = ?", (changed, seq))
    return int(seq)


def seq_of_creation(folder: Path, run: ChorusState) -> int:
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as database:
        query = "SELECT min(seq) FROM entries WHERE run_id = ?"
        (seq,) = database.execute(query, (run.id,)).fetchone()
    return int(seq)
