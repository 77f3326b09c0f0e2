"""What is asked of the journal costs the same, however much else is stored.

Counted, not timed: the steps of SQLite's virtual machine, which are the same for the same rows by
the same way. A step more for each thread that nobody asked about is a scan.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, event

from machines.models.ids import thread_stream, user_stream
from machines.models.journal import IndexMessage
from machines.models.message import MessageStatus
from machines.models.thread import Thread, Visibility
from storage.journal.port import Journal
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support.journal_values import (
    ANN,
    BEN,
    CAY,
    NOW,
    at,
    batch,
    entry,
    finished,
    message,
    opening,
    run,
    run_entry,
    started,
    thread,
    user,
)

FEW: Final = 2
MANY: Final = 40
EDGE: Final = 3
"""Steps that it may take to see that the next row belongs to another thread."""
MESSAGES: Final = 5

ASKED: Final = thread("asked about", ANN)
PROMPT: Final = message(ASKED, MESSAGES - 1)
STREAM: Final = thread_stream(ASKED.id)

Read = Callable[[Journal], Awaitable[Any]]

OPENING: Final[Mapping[str, Read]] = {
    "the thread as decisions see it": lambda journal: journal.decision_view(ASKED.id),
    "a page of it": lambda journal: journal.snapshot(ASKED.id, limit=50, before_index=None),
    "it as it was": lambda journal: journal.as_it_was(ASKED.id, seq=4, limit=50, before_index=None),
    "which entry was the last then": lambda journal: journal.seq_at(ASKED.id, at(2)),
    "its newest messages": lambda journal: journal.recent_messages(
        ASKED.id, before_index=MESSAGES, limit=16
    ),
    "its entries": lambda journal: journal.entries(thread_stream(ASKED.id), after_seq=0, limit=100),
    "a run's entries": lambda journal: journal.run_entries(run(PROMPT).id),
    "names of people": lambda journal: journal.names([ANN, BEN]),
    "what waits for the memory of it": lambda journal: journal.first_queued([ASKED.id]),
}
STARTING: Final[Mapping[str, Read]] = {
    "the store's name": lambda journal: journal.epoch(),
    "notes": lambda journal: journal.noted("memory_rebuild"),
    "runs that are not finished": lambda journal: journal.live_runs(),
    "what waits for the memory": lambda journal: journal.queued_tasks(limit=32),
}
"""But for the timers, all of which a start must know."""
LISTS: Final[Mapping[str, Read]] = {
    "a user's threads": lambda journal: journal.threads_of(ANN, after=None, limit=50),
    "a user's inbox": lambda journal: journal.inbox_of(ANN, after=None, limit=50),
    "a user's invitations": lambda journal: journal.invitations_of(ANN, after=None, limit=50),
    "what a user finds": lambda journal: journal.arrivals([ANN], limit=50),
    "a user": lambda journal: journal.known_users([ANN]),
    "who may read": lambda journal: journal.private_threads_shared_by([ANN]),
}


class Steps:
    """Counts the steps of every SQLite connection that is opened after it was made."""

    def __init__(self) -> None:
        self.taken = 0

    def listen_to(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.set_progress_handler(self._count, 1)

    def _count(self) -> int:
        self.taken += 1
        return 0  # go on


@pytest.fixture
def steps() -> Iterator[Steps]:
    counting = Steps()
    event.listen(Engine, "connect", counting.listen_to)
    yield counting
    event.remove(Engine, "connect", counting.listen_to)


@asynccontextmanager
async def stored(folder: Path, others: int) -> AsyncIterator[SqliteJournal]:
    """A journal with the thread that is asked about, and so many that are not."""
    journal = SqliteJournal(folder / str(others) / JOURNAL_FILE)
    await journal.open()
    try:
        await populate(journal, others)
        yield journal
    finally:
        await journal.close()


async def populate(journal: Journal, others: int) -> None:
    """Write the thread that is asked about, and so many that are not."""
    await _live(journal, ASKED, ends=False)
    for number in range(others):
        await _live(journal, thread(f"other {number}", BEN, CAY), ends=True)
    await journal.commit(batch(0, entry(user_stream(ANN), user(ANN, "Ann"))))


async def _live(journal: Journal, of: Thread, *, ends: bool) -> None:
    """Some messages, and a run of the last."""
    seen = of.model_copy(update={"visibility": Visibility.PUBLIC})
    messages = [message(seen, index) for index in range(MESSAGES)]
    await journal.commit(opening(seen, *messages))
    stream = thread_stream(seen.id)
    queued = run(messages[-1])
    begun = started(queued, *messages)
    entries = [run_entry(queued, "queued", queued), run_entry(begun, "started", begun)]
    if ends:
        entries.append(run_entry(begun, "cancelled", finished(begun)))
    head = await journal.head(stream)
    await journal.commit(batch(head, *entries))


async def cost(journal: SqliteJournal, read: Read, steps: Steps) -> int:
    """Steps of one read, on connections that are warm."""
    await asyncio.gather(*(read(journal) for _ in range(8)))
    steps.taken = 0
    await read(journal)
    return steps.taken


async def test_what_is_asked_of_the_journal_costs_the_same_among_many_threads(
    tmp_path: Path, steps: Steps
) -> None:
    reads = {**OPENING, **STARTING, **LISTS}
    async with stored(tmp_path, FEW) as journal:
        among_few = {what: await cost(journal, read, steps) for what, read in reads.items()}
    async with stored(tmp_path, MANY) as journal:
        among_many = {what: await cost(journal, read, steps) for what, read in reads.items()}
    assert all(among_few.values()), "no step was counted: does the journal still read SQLite?"
    grown = {
        what: f"{among_few[what]} steps among {FEW} other threads, {taken} among {MANY}"
        for what, taken in among_many.items()
        if taken > among_few[what] + EDGE
    }
    assert not grown, (
        f"{grown}: a query reads rows that it was not asked for; let an index answer it "
        "(`storage.journal.schema`)"
    )


SHORT: Final = 20
LONG: Final = 400
SOME: Final = 10
"""Of what is asked for: fewer than the short thread has."""


async def costs_in_a_thread_of(length: int, folder: Path, steps: Steps) -> dict[str, int]:
    """Steps of what happens in a thread that has so many messages, the last of which waits."""
    journal = SqliteJournal(folder / str(length) / JOURNAL_FILE)
    await journal.open()
    try:
        messages = [message(ASKED, index) for index in range(length - 1)]
        waits = message(ASKED, length - 1, status=MessageStatus.PENDING)
        await journal.commit(opening(ASKED, *messages, waits))
        head = await journal.head(STREAM)
        reads: dict[str, Read] = {
            "the thread as decisions see it": lambda journal: journal.decision_view(ASKED.id),
            "its newest page": lambda journal: journal.snapshot(
                ASKED.id, limit=SOME, before_index=None
            ),
            "what a prompt quotes": lambda journal: journal.recent_messages(
                ASKED.id, before_index=length, limit=SOME
            ),
            "its newest entries": lambda journal: journal.entries(
                STREAM, after_seq=head - SOME, limit=SOME
            ),
            "what waits for the memory of it": lambda journal: journal.first_queued([ASKED.id]),
        }
        costs = {what: await cost(journal, read, steps) for what, read in reads.items()}
        task = IndexMessage(thread_id=ASKED.id, message_id=waits.id)
        approved = waits.transition_to(NOW, status=MessageStatus.APPROVED)
        steps.taken = 0
        await journal.commit(batch(head, entry(STREAM, approved), memory=(task,)))
        return {**costs, "a deciding vote": steps.taken}
    finally:
        await journal.close()


async def test_what_happens_in_a_thread_costs_the_same_however_long_it_is(
    tmp_path: Path, steps: Steps
) -> None:
    in_short = await costs_in_a_thread_of(SHORT, tmp_path, steps)
    in_long = await costs_in_a_thread_of(LONG, tmp_path, steps)
    assert all(in_short.values()), "no step was counted: does the journal still use SQLite?"
    grown = {
        what: f"{in_short[what]} steps in a thread of {SHORT} messages, {taken} in one of {LONG}"
        for what, taken in in_long.items()
        if taken > in_short[what] + EDGE
    }
    assert not grown, f"{grown}: a statement looks through the thread (`storage.journal.schema`)"
