"""What a step may cost, counted instead of timed: commits, statements, and the length of entries.

The runs are those of the benchmark that measures the same (`benchmarks.contestants.step_chorus`): a
model that answers at once, and a memory that brings as many priors to
each search as the run takes.
"""

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from benchmarks.contestants.step_chorus import AUTHOR, go
from machines.models.ids import thread_stream
from machines.models.journal import JournalEntry
from storage.journal.sql import JOURNAL_FILE, SqlJournal

STATEMENTS = 6
"""That write, of a step that neither begins nor ends a run: two entries, the run, the thread's head,
commit; and observation's links."""


@pytest.fixture
def written() -> Iterator[list[str]]:
    """Every statement that SQLite is given, as it is given them."""
    seen: list[str] = []

    def trace(connection: sqlite3.Connection, _: object) -> None:
        connection.set_trace_callback(seen.append)

    event.listen(Engine, "connect", trace)
    yield seen
    event.remove(Engine, "connect", trace)


async def run_once(folder: Path, iterations: int) -> tuple[int, tuple[JournalEntry, ...]]:
    """One run in a new thread: how many commits it took, and the thread's entries."""
    journal = SqlJournal(folder / JOURNAL_FILE)
    await journal.open()
    try:
        before = journal.commits
        await go(journal, iterations, 1)
        (row,) = (await journal.threads_of(AUTHOR, after=None, limit=1)).rows
        page = await journal.entries(thread_stream(row.thread.id), after_seq=0, limit=1_000)
        return journal.commits - before, page.entries
    finally:
        await journal.close()


async def test_a_run_commits_once_for_each_step_and_for_its_request_and_its_priors(
    tmp_path: Path,
) -> None:
    commits, _ = await run_once(tmp_path, 1)
    opened, requested, recalled, steps = 1, 1, 1, 6
    assert commits == opened + requested + recalled + steps, (
        "a step is one transaction: see what else is written for a run"
    )


async def test_a_step_takes_few_statements(tmp_path: Path, written: list[str]) -> None:
    await run_once(tmp_path, 3)
    begun = [place for place, each in enumerate(written) if each.startswith("BEGIN IMMEDIATE")]
    transactions = [written[begin:end] for begin, end in pairwise([*begun, len(written)])]
    # Readers have connections of their own, and what they ask stands in between.
    changing = [
        [each for each in one if each.startswith(("INSERT", "UPDATE", "DELETE", "COMMIT"))]
        for one in transactions
    ]
    steps = [one for one in changing if sum("INTO runs" in each for each in one) == 1]
    between = steps[1:-1]
    assert len(between) >= 13, "a run of three iterations has sixteen steps"
    for one in between:
        assert len(one) <= STATEMENTS, f"a step wrote with {len(one)} statements:\n{one}"


async def test_an_entry_late_in_a_long_run_is_as_short_as_an_early_one(tmp_path: Path) -> None:
    _, entries = await run_once(tmp_path, 3)
    sizes = {
        (each.data["step"], each.data["iteration"]): len(each.model_dump_json())
        for each in entries
        if each.kind == "completed"
    }
    for step in ("action", "intention", "observation", "update"):
        early, late = sizes[step, 1], sizes[step, 3]
        assert late <= 1.1 * early, (
            f"{step} took {early} characters at first and {late} in the third iteration:"
            " an entry holds what its transition added, not what the run gathered before"
        )
