"""A process that writes a journal until it is killed; run by tests as `python -m ... FILE MODE`, or
with the URL of a PostgreSQL database in place of the file.

`loop` commits without end, from several tasks at once, and prints `STREAM SEQ` for each entry that
was acknowledged. `full` limits the size of files half way, prints what commits say then, lifts the
limit, and goes on. `hold` opens the journal, says so, and waits to be killed.
"""

import asyncio
import resource
import sys
from pathlib import Path
from typing import Final

from machines.models.errors import JournalError
from machines.models.ids import thread_stream
from storage.journal.port import Journal
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import PostgresJournal
from storage.journal.sqlite import SqliteJournal
from tests.support.journal_values import batch, entry, thread, uuid

PROGRAM: Final = ("-m", "tests.storage.journal.journal_process")
"""What Python runs, with FILE and MODE behind it."""


def say(*words: object) -> None:
    print(*words, flush=True)


async def write_for_ever(journal: Journal, name: str) -> None:
    one = thread(name)
    stream = thread_stream(one.id)
    head = await journal.head(stream)
    while True:
        changed = one.model_copy(update={"version": head + 1})
        committed = await journal.commit(batch(head, entry(stream, changed)))
        head = committed.entries[-1].seq
        say(stream, head)


async def fill_the_disk(journal: Journal, file: Path) -> None:
    one = thread()
    stream = thread_stream(one.id)
    await journal.commit(batch(0, entry(stream, one)))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = max(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, unlimited[1]))
    large = entry(stream).model_copy(update={"data": {"text": "x" * 200_000}})
    try:
        await journal.commit(batch(1, large))
    except JournalError as error:
        say("refused", error.retryable, error.message)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    committed = await journal.commit(batch(1, large))
    say("accepted", committed.entries[-1].seq)
    say("problems", len(await journal.verify()))


async def main(where: str, mode: str) -> None:
    journal = (
        PostgresJournal(PostgresAddress.parse(where))
        if "://" in where
        else SqliteJournal(Path(where), make_epoch=lambda: uuid("epoch"))
    )
    await journal.open()
    match mode:
        case "loop":
            await asyncio.gather(*(write_for_ever(journal, f"t{n}") for n in range(4)))
        case "full":
            await fill_the_disk(journal, Path(where))
            await journal.close()
        case "hold":
            say("held")
            await asyncio.Event().wait()
        case _:
            raise SystemExit(f"unknown mode {mode}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
