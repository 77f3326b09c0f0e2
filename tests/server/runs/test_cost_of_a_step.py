"""What a step may cost, counted instead of timed: commits, statements, and the length of entries.

The runs are those of the benchmark that measures the same (`benchmarks.contestants.step_chorus`): a
model that answers at once, and a memory that brings as many priors to
each search as the run takes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from benchmarks import work
from benchmarks.contestants.step_chorus import AUTHOR, go
from machines.models.ids import thread_stream
from machines.models.journal import Batch, Committed, JournalEntry
from server.wire.presenter import LiveEntry
from storage.journal.bodies import body_of
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal

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


LATER = 8_000
"""Bytes that each iteration after the first may add for the priors that it finds."""
LONG = 31_000
"""Characters of a prompt; a message may have 32,000."""


def bodies_in(folder: Path, table: str) -> list[str]:
    """What the rows of a closed journal's table hold, in their order."""
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as journal:
        rows = journal.execute(f"SELECT body FROM {table} ORDER BY rowid")  # noqa: S608 - our own names
        return [body for (body,) in rows]


class Listening(SqliteJournal):
    """Keeps what was committed, as it was decided."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.committed: list[JournalEntry] = []

    async def commit(self, batch: Batch) -> Committed:
        committed = await super().commit(batch)
        self.committed.extend(committed.entries)
        return committed


async def run_once(
    folder: Path,
    iterations: int,
    prompt: str = work.PROMPT,
    heard: list[JournalEntry] | None = None,
) -> tuple[int, tuple[JournalEntry, ...]]:
    """One run in a new thread: how many commits it took, and the thread's entries.

    Args:
        heard: Is given the same entries as they were decided.
    """
    journal = Listening(folder / JOURNAL_FILE)
    await journal.open()
    try:
        before = journal.commits
        await go(journal, iterations, 1, prompt=prompt)
        if heard is not None:
            heard.extend(journal.committed)
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
        (each.data["step"], each.data["iteration"]): len(body_of(each))
        for each in entries
        if each.kind == "completed"
    }
    for step in ("action", "intention", "observation", "update"):
        early, late = sizes[step, 1], sizes[step, 3]
        assert late <= 1.1 * early, (
            f"{step} took {early} characters at first and {late} in the third iteration:"
            " an entry holds what its transition added, not what the run gathered before"
        )


@pytest.mark.parametrize("iterations", [1, 3])
async def test_a_run_writes_its_prompt_once_and_the_text_of_a_step_at_most_twice(
    tmp_path: Path, iterations: int
) -> None:
    prompt = work.prose("a long prompt", LONG)
    await run_once(tmp_path, iterations, prompt)
    bodies = bodies_in(tmp_path, "entries")
    texts = {
        f"{step} {iteration}": record["text"]
        for (step, iteration), record in work.script(iterations).items()
    }
    stands = {name: sum(body.count(text) for body in bodies) for name, text in texts.items()}
    answer = f"yield {iterations}"
    assert stands.pop(answer) == 2, "an answer is the text of a step, and the content of a message"
    assert set(stands.values()) == {1}, stands
    assert sum(body.count(prompt) for body in bodies) == 1, "a prompt is the content of its message"
    for prior in work.PRIORS[: sum(work.RECALLED[:iterations])]:
        found = sum(f'"content":"{prior["content"]}"' in body for body in bodies)
        # What a search found and the run had no room for, the next one may find again.
        assert 1 <= found <= iterations - found // 2, "a prior stands where a search found it"
    size = sum(len(body.encode()) for body in bodies)
    bound = 3 * len(prompt) + 2 * sum(map(len, texts.values())) + LATER * (iterations - 1)
    assert size <= bound, (
        f"{len(bodies)} entries hold {size} bytes for a prompt of {len(prompt)}: see in"
        " storage/journal/bodies.py what an entry refers to"
    )


async def test_the_rows_beside_the_entries_hold_no_text_that_is_not_theirs(tmp_path: Path) -> None:
    prompt = work.prose("a long prompt", LONG)
    await run_once(tmp_path, 3, prompt)
    assert [body.count(prompt) for body in bodies_in(tmp_path, "messages")] == [1, 0]
    (run,) = bodies_in(tmp_path, "runs")
    assert len(run) < 1_000, f"a run's row is written with every step, and held {run}"


async def test_what_was_committed_is_what_is_read_frame_by_frame(tmp_path: Path) -> None:
    committed: list[JournalEntry] = []
    _, entries = await run_once(tmp_path, 3, heard=committed)
    shown = [LiveEntry(each).full for each in entries]
    assert [LiveEntry(each).full for each in committed] == shown
