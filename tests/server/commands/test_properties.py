"""`chorus verify --properties`: every version's journal keeps the rules, and a forged one is told of."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from machines.models.errors import JournalError
from machines.properties import all_rules, unrecorded
from server.commands.errors import CommandFailed
from server.commands.properties import run
from server.settings import Settings
from storage.journal.rows import entry_digest
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.storage.journal.keep_journal import KEPT, restore

VERSIONS = sorted(KEPT.glob("*.sql"))


async def judged(folder: Path) -> tuple[int, list[str]]:
    said: list[str] = []
    code = await run(Settings(data=folder, llm="offline"), say=said.append)
    return code, said


async def migrated(kept: Path, folder: Path) -> None:
    restore(kept, folder)
    journal = SqliteJournal(folder / JOURNAL_FILE)
    await journal.open()
    await journal.close()


def forge(folder: Path, event: str, old: str, new: str) -> int:
    """Change what entries with an event say, behind the journal's back and with the right digest; gives
    how many were."""
    changed = 0
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as file, file:
        rows = file.execute("SELECT position, stream, seq, body FROM entries").fetchall()
        for position, stream, seq, body in rows:
            if f'"event":"{event}"' in body and old in body:
                forged = body.replace(old, new)
                file.execute(
                    "UPDATE entries SET body = ?, digest = ? WHERE position = ?",
                    (forged, entry_digest(stream, seq, forged), position),
                )
                changed += 1
    return changed


@pytest.mark.parametrize("kept", VERSIONS, ids=lambda kept: kept.stem)
async def test_the_journal_of_every_version_keeps_the_rules(kept: Path, tmp_path: Path) -> None:
    await migrated(kept, tmp_path)
    code, said = await judged(tmp_path)
    rules = sum(not unrecorded(rule) for rule in all_rules())
    assert (code, said[-1].split(" in ")[1]) == (0, "86 entries. All of them are kept.")
    assert said[-1].startswith(f"{rules} rules on ")


async def test_a_run_that_goes_on_is_awaited_and_breaks_nothing(tmp_path: Path) -> None:
    await migrated(VERSIONS[-1], tmp_path)
    _, said = await judged(tmp_path)
    assert "waiting at the end: a_started_run_ends: 1" in said


async def test_what_no_journal_tells_is_left_out_by_name(tmp_path: Path) -> None:
    await migrated(VERSIONS[-1], tmp_path)
    _, said = await judged(tmp_path)
    left_out = {line.split(": ")[1] for line in said if line.startswith("left out: ")}
    assert left_out == {rule.name for rule in all_rules() if unrecorded(rule)}
    assert "no_user_lets_another_in_or_out" in left_out
    assert "a_probe_ends" in left_out


async def test_a_step_that_breaks_a_rule_is_told_with_its_entry_and_the_reason(
    tmp_path: Path,
) -> None:
    await migrated(VERSIONS[-1], tmp_path)
    assert forge(tmp_path, "step_completed", '"loop":false', '"loop":true')
    code, said = await judged(tmp_path)
    assert code == 1
    (line,) = (each for each in said if each.startswith("broken: "))
    name, count = line.split(": ")[1:]
    assert name == "a_run_loops_if_update_asks_and_the_bound_allows"
    told = [each for each in said if each.startswith(f"{name}: the chorus ")]
    assert len(told) == int(count.split()[0])
    assert "entry " in told[0]
    assert " of thread:" in told[0]
    assert said[-1].endswith("1 of them are broken.")


async def test_an_entry_that_is_not_what_was_written_is_refused_and_not_judged(
    tmp_path: Path,
) -> None:
    await migrated(VERSIONS[-1], tmp_path)
    with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as file, file:
        file.execute("UPDATE entries SET body = replace(body, 'approve', 'reject')")
    with pytest.raises(JournalError, match="damaged value"):
        await judged(tmp_path)


async def test_without_a_journal_there_is_nothing_to_judge(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="There is no journal"):
        await judged(tmp_path)
