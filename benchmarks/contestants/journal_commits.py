"""Commits a second of the journal on SQLite and on PostgreSQL, side by side: `python -m
benchmarks.contestants.journal_commits [SECONDS]`.

Both wait for the same disk (`synchronous=FULL`, `fsync`). A batch is two entries with the snapshots of
a thread and a message, about 1.6 KB. With one stream each batch waits for the one before it; with a
hundred as many wait together, and share their commits. The two databases take turns, and what counts is
the ratio of each turn.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from machines.models.ids import thread_stream
from storage.journal.port import Journal
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support.journal_values import batch, entry, message, thread
from tests.support.postgres import cluster

SECONDS: Final = 3.0
TURNS: Final = 5
STREAMS: Final = (1, 100)
CONTENT: Final = "What rises in the oven, and why does it rise? " * 12


async def commits_a_second(journal: Journal, streams: int, seconds: float, turn: int) -> float:
    """How many batches became durable, all streams together, in each second."""
    until = time.perf_counter() + seconds
    written = 0

    async def write(name: str) -> None:
        nonlocal written
        one, head = thread(name), 0
        stream = thread_stream(one.id)
        while time.perf_counter() < until:
            index = head // 2
            changed = one.model_copy(update={"version": index + 1, "message_count": index + 1})
            told = message(one, index, content=CONTENT)
            await journal.commit(batch(head, entry(stream, changed), entry(stream, told)))
            head += 2
            written += 1

    began = time.perf_counter()
    await asyncio.gather(*(write(f"{turn} {streams} {n}") for n in range(streams)))
    return written / (time.perf_counter() - began)


async def main(seconds: float, sqlite: Journal, postgres: Journal) -> None:
    for journal in (sqlite, postgres):
        await journal.open()
    for streams in STREAMS:
        turns: list[tuple[float, float]] = []
        for turn in range(TURNS):
            pair = [
                await commits_a_second(each, streams, seconds, turn) for each in (sqlite, postgres)
            ]
            turns.append((pair[0], pair[1]))
        show(streams, turns, lambda each: each[0], "SQLite")
        show(streams, turns, lambda each: each[1], "PostgreSQL")
        ratios = sorted(other / own for own, other in turns)
        print(
            f"{streams:>4} streams  ratio       {median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        )
    for journal in (sqlite, postgres):
        await journal.close()


def show(
    streams: int,
    turns: list[tuple[float, float]],
    of: Callable[[tuple[float, float]], float],
    name: str,
) -> None:
    rates = sorted(map(of, turns))
    print(
        f"{streams:>4} streams  {name:<11} {median(rates):.0f}/s ({rates[0]:.0f}-{rates[-1]:.0f})"
    )


if __name__ == "__main__":
    asked = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory() as folder, cluster(durable=True) as server:
        asyncio.run(
            main(
                asked,
                SqliteJournal(Path(folder) / JOURNAL_FILE),
                PostgresJournal(PostgresAddress.parse(server.database(migrated=True))),
            )
        )
