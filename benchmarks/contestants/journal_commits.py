"""Commits a second of servers' journals, all of them together.

    python -m benchmarks.contestants.journal_commits sqlite STREAMS
    python -m benchmarks.contestants.journal_commits postgres STREAMS [SERVERS]

Each server is a process of its own that does nothing but commit; the database is one of its own too.
All wait for the same disk (`synchronous=FULL`, `fsync`). A batch is two entries with the snapshots of a
thread and a message, about 1.6 KB. Each stream waits for its commit before it makes the next, so with
one stream each batch waits for the one before it, and with a hundred as many wait together, and share
their commits. Streams are shared out among the servers.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from benchmarks.measure import tell
from machines.models.ids import thread_stream
from storage.journal.port import Journal
from storage.journal.postgres.address import PostgresAddress
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support.journal_values import batch, entry, message, thread
from tests.support.postgres import cluster

SECONDS: Final = 3.0
WARM_UP_SECONDS: Final = 0.5
CONTENT: Final = "What rises in the oven, and why does it rise? " * 12

READY: Final = "ready"


def main(kind: str, streams: int, servers: int) -> None:
    """Let the servers commit at the same time, and tell what they did."""
    with ExitStack() as stack:
        where = stack.enter_context(_store(kind))
        children = [
            stack.enter_context(_server(where, str(number), streams // servers))
            for number in range(servers)
        ]
        for child in children:
            assert _line_of(child.stdout) == READY
        for child in children:
            assert child.stdin is not None
            child.stdin.write("begin\n")
            child.stdin.flush()
        told = [_line_of(child.stdout).split() for child in children]
    tell(
        commits=sum(float(rate) for rate, _ in told),
        cpu=1000 * sum(float(cpu) for _, cpu in told) / len(told),
    )


@contextmanager
def _store(kind: str) -> Iterator[str]:
    """Where the servers commit: a folder, or the URL of a database."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="chorus-commits-") as folder:
            yield folder
        return
    with cluster(durable=True) as running:
        yield running.database(migrated=True)


@contextmanager
def _server(where: str, name: str, streams: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", __spec__.name, "server", where, name, str(streams)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _line_of(output: IO[str] | None) -> str:
    assert output is not None
    return output.readline().strip()


# --- One server -------------------------------------------------------------------------------------


async def serve(where: str, name: str, streams: int) -> None:
    """Commit for a while once told to; tell commits a second, and seconds of CPU a commit."""
    journal = _journal(where)
    await journal.open()
    print(READY, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await _commit(journal, f"{name} warm", streams, WARM_UP_SECONDS)
    began, cpu = time.perf_counter(), time.process_time()
    written = await _commit(journal, name, streams, SECONDS)
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(written / spent, cpu / written, flush=True)
    await journal.close()


def _journal(where: str) -> Journal:
    if "://" not in where:
        return SqliteJournal(Path(where) / JOURNAL_FILE)
    from storage.journal.postgres.journal import PostgresJournal

    return PostgresJournal(PostgresAddress.parse(where))


async def _commit(journal: Journal, name: str, streams: int, seconds: float) -> int:
    """How many batches became durable, of all streams together."""
    until = time.perf_counter() + seconds
    written = 0

    async def write(number: int) -> None:
        nonlocal written
        one, head = thread(f"{name} {number}"), 0
        stream = thread_stream(one.id)
        while time.perf_counter() < until:
            index = head // 2
            changed = one.model_copy(update={"version": index + 1, "message_count": index + 1})
            told = message(one, index, content=CONTENT)
            await journal.commit(batch(head, entry(stream, changed), entry(stream, told)))
            head += 2
            written += 1

    await asyncio.gather(*map(write, range(streams)))
    return written


if __name__ == "__main__":
    if sys.argv[1] == "server":
        asyncio.run(serve(sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
