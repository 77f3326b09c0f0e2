"""A journal of which it is known on which pages each entry lies, for tests that damage some of them.

An entry is whole as long as every page is untouched on which a part of it lies. What lies where is
found out by reading the whole file, and noting which pages each entry took.
"""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from machines.models.ids import TimerId, thread_stream, user_stream
from machines.models.journal import ApprovalTimer, TimerRow
from machines.models.message import MessageStatus
from storage.journal.answers import StoredVector
from storage.journal.schema import entries
from storage.journal.sqlite import SqliteJournal
from storage.salvage.sqlite_pages import Pages
from tests.storage.journal.journal_contract import index_of
from tests.support.journal_values import (
    ANN,
    BEN,
    at,
    batch,
    entry,
    message,
    reply,
    session,
    thread,
    user,
)

PAGE_BYTES: Final = 4096
THREADS: Final = ("one", "two", "three")
ROUNDS: Final = 9
SIZES: Final = (0, 0, 300, 3_000, 14_000)
"""Characters of an entry, about: some share a page, some take several."""

Key = tuple[str, int]
"""A stream, and a number in it."""


@dataclass(frozen=True)
class Whole:
    """A journal as it was before the damage."""

    file: Path
    unclosed: Path
    """A copy that was never closed: what was written is in its log."""
    bodies: dict[Key, str]
    pages: dict[Key, frozenset[int]]
    """Where each entry lies."""

    @property
    def count(self) -> int:
        """Pages of the file."""
        return self.file.stat().st_size // PAGE_BYTES

    @property
    def first(self) -> int:
        """The page from which on entries lie."""
        return min(map(min, self.pages.values()))

    def untouched(self, damaged: Collection[int]) -> dict[Key, str]:
        """The entries of which no part lies on a damaged page."""
        return {
            key: body for key, body in self.bodies.items() if self.pages[key].isdisjoint(damaged)
        }

    def heads(self, damaged: Collection[int]) -> dict[str, int]:
        """Of each stream, how many entries stand before the first that is not whole."""
        untouched = self.untouched(damaged)
        heads: dict[str, int] = {}
        for stream, seq in sorted(untouched):
            if seq == heads.get(stream, 0) + 1:
                heads[stream] = seq
        return heads


class Noted(bytes):
    """Bytes that note which pages were read."""

    pages: set[int]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            self.pages.add(key.start // PAGE_BYTES + 1)
        return super().__getitem__(key)


async def write(file: Path, dice: random.Random) -> None:
    """Three threads that grow by turns, with something in every table."""
    journal = SqliteJournal(file, make_epoch=lambda: "the first")
    await journal.open()
    for name in THREADS:
        one = thread(name)
        first, waiting = message(one, 0), message(one, 1, status=MessageStatus.PENDING)
        timer = TimerRow(
            id=TimerId(f"approval:{waiting.id}"),
            due_at=at(60),
            timer=ApprovalTimer(thread_id=one.id, message_id=waiting.id),
        )
        stream = thread_stream(one.id)
        grown = [
            one.model_copy(update={"version": 1 + count, "message_count": count})
            for count in range(3)
        ]
        drafts = (
            entry(stream, grown[0]),
            entry(stream, grown[1], first),
            entry(stream, grown[2], waiting),
        )
        await journal.commit(batch(0, *drafts, memory=(index_of(first),), timers=(timer,)))
        await journal.keep_vectors([StoredVector(first.id, "fingerprint", (0.5,) * 384)])
    for key in (ANN, BEN):
        await journal.commit(batch(0, entry(user_stream(key), user(key))))
    await journal.commit(batch(1, entry(user_stream(ANN), session(ANN))))
    for number in range(ROUNDS):
        for name in THREADS:
            one = thread(name, version=number + 4, message_count=2)
            text = "".join(dice.choices("abcdefgh ", k=dice.choice(SIZES)))
            said = entry(thread_stream(one.id), one).model_copy(update={"data": {"text": text}})
            answered = reply(f"{name} {number}", one)
            await journal.commit(batch(number + 3, said, reply=answered))
    # A copy of the journal while it is open: its log is not in the file yet.
    for suffix in ("", "-wal"):
        await asyncio.to_thread(
            shutil.copy, f"{file}{suffix}", file.with_name(f"open.sqlite3{suffix}")
        )
    await journal.close()


def make_whole(file: Path, dice: random.Random) -> Whole:
    """Write the journal, and look where everything lies. Not to be called on an event loop."""
    asyncio.run(write(file, dice))
    content = Noted(file.read_bytes())
    content.pages = set()
    pages = Pages(content, b"", PAGE_BYTES)
    lie: dict[int, frozenset[int]] = {}
    for place, row in pages.rows():
        if len(row.values) == len(entries.columns):
            content.pages = set()
            pages.row(place)
            lie[row.rowid] = frozenset(content.pages)
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT position, stream, seq, body FROM entries").fetchall()
    return Whole(
        file=file,
        unclosed=file.with_name("open.sqlite3"),
        bodies={(stream, seq): body for _, stream, seq, body in rows},
        pages={(stream, seq): lie[position] for position, stream, seq, _ in rows},
    )
