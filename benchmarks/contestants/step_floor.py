"""The transactions of a run alone: its entries, its row and its thread's head, by sqlite3 and nothing else.

A floor of the question: messages, memory tasks and the reply, which few of them hold, are left out. A
run of Chorus is taken from a journal: the entries of each of its transactions as they stand there, with
their digests. They are written again and again under new numbers, with the run's row and its thread's
head, each group durable before the next, into the same tables with the same indices. Nothing is
decided, encoded, numbered or asked; there is no event loop and no second thread.
"""

import asyncio
import sqlite3
import sys
import tempfile
from itertools import count, groupby
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import work
from benchmarks.contestants.step_chorus import go
from benchmarks.measure import Spent, measured
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal

_ENTRY: Final = (
    "INSERT INTO entries (stream, seq, type, kind, at, run_id, body, digest)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_RUN: Final = (
    "INSERT INTO runs (id, version, thread_id, live, created_seq, body) VALUES (?, ?, ?, 1, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body"
)
_THREAD: Final = (
    "UPDATE threads SET head_seq = ?, last_position ="
    " (SELECT position FROM entries WHERE stream = ? AND seq = ?) WHERE id = ?"
)


class Written(NamedTuple):
    """A transaction of a run."""

    entries: tuple[tuple[object, ...], ...]
    """(type, kind, at, body, digest) of each."""
    run: str
    """The body of the run's row."""


async def journal_in(folder: Path, iterations: int) -> Path:
    """The file of a journal that holds one run of so many iterations."""
    journal = SqliteJournal(folder / JOURNAL_FILE)
    await journal.open()
    await go(journal, iterations, 1)
    await journal.close()
    return folder / JOURNAL_FILE


def transactions_in(file: Path) -> list[Written]:
    """Those of the file's one run, from its request to its answer."""
    connection = sqlite3.connect(file)
    (run,) = connection.execute("SELECT body FROM runs").fetchone()
    rows = connection.execute("SELECT type, kind, at, body, digest FROM entries ORDER BY position")
    groups = [Written(tuple(group), run) for _, group in groupby(rows, lambda row: row[2])]
    connection.close()
    return groups[1:]  # The first opened the thread.


def write(connection: sqlite3.Connection, thread: str, run: list[Written], runs: int) -> Spent:
    """So many runs, one after the other."""
    stream = f"thread:{thread}"
    numbers = count(1)
    connection.execute("INSERT INTO threads VALUES (?, 1, 'private', 0, 0, '{}')", (thread,))
    with measured() as spent:
        for number in range(runs):
            run_id = work.uuid(f"{thread} {number}")
            for version, written in enumerate(run, 1):
                connection.execute("BEGIN IMMEDIATE")
                seq = 0
                for type_, kind, at, body, digest in written.entries:
                    seq = next(numbers)
                    row = (stream, seq, type_, kind, at, run_id, body, digest)
                    connection.execute(_ENTRY, row)
                connection.execute(_RUN, (run_id, version, thread, seq, written.run))
                connection.execute(_THREAD, (seq, stream, seq, thread))
                connection.execute("COMMIT")
    return spent


def main() -> None:
    runs = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as three:
        file = asyncio.run(journal_in(Path(one), 1))
        short_run = transactions_in(file)
        long_run = transactions_in(asyncio.run(journal_in(Path(three), 3)))
        if len(short_run) != 2 + work.steps_of(1) or len(long_run) != 4 + work.steps_of(3):
            raise SystemExit(
                "a run has other transactions than its request, its searches and steps"
            )
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        write(connection, "warm", short_run, 5)
        short = write(connection, "short", short_run, runs)
        long = write(connection, "long", long_run, runs // 2)
        connection.close()
    work.tell_of(short, long, runs)


if __name__ == "__main__":
    main()
