"""Rooms: what is known of the threads that are open in this process, each under its lock.

Only what is kept, and how long, is known here; what becomes of it is `server.threads.service`'s.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from machines.models.chorus import ChorusState
from machines.models.commands import Facts
from machines.models.effects import RunEffect
from machines.models.ids import ThreadId
from machines.models.journal import Batch, JournalEntry

MAX_ROOMS = 1_000
"""Rooms whose facts are kept; the ones used longest ago are forgotten first."""

MAX_KEPT_CHARACTERS = 50_000_000
"""Code points of text in all kept facts: a hundred long messages may wait in one thread."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A batch whose commit raised: only the journal knows whether it is durable."""

    batch: Batch
    effects: tuple[RunEffect, ...]

    def is_cleared_by(self, entry: JournalEntry) -> bool:
        """Whether this is the batch's first entry in its thread; then all of it is durable."""
        for own in self.batch.entries:
            if own.stream == entry.stream:
                return (
                    (entry.seq, entry.type, entry.kind) == (own.seq, own.type, own.kind)
                    and (entry.at, entry.by) == (own.at, own.by)
                    and entry.request_id == own.request_id
                )
        return False


@dataclass(slots=True)
class Room:
    """What is kept of one thread between commands."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    known: Facts | Doubt | None = None
    """What is known of the thread; None where the journal must be read first."""
    published: int | None = None
    """Number of the last entry that followers were given; None where nothing was yet."""
    announced: int = 0
    """Number of the last entry that another server is known to have written."""
    users: int = 0
    """Who is in it, or waits for its lock: a room in use is not forgotten."""
    weight: int = 0
    """Code points of text in its facts."""
    is_over: bool = False
    """Whether the journal lost what this room knows: nothing is committed or published on it."""

    @property
    def facts(self) -> Facts | None:
        """What is kept of the thread."""
        return self.known if isinstance(self.known, Facts) else None

    @property
    def newest_facts(self) -> Facts | None:
        """What a decision needs, where no read is needed first."""
        facts = self.facts
        return facts if facts is not None and facts.view.head_seq >= self.announced else None


class Rooms:
    """The rooms of a process; those used longest ago are forgotten."""

    def __init__(self) -> None:
        self._rooms: OrderedDict[ThreadId, Room] = OrderedDict()
        self.weight = 0
        """Code points of text that are kept between commands."""

    def facts_of(self, thread_id: ThreadId) -> Facts | None:
        """What is known of a thread without reading; None where nothing is certain."""
        room = self._rooms.get(thread_id)
        return room.newest_facts if room is not None else None

    def announce(self, thread_id: ThreadId, head_seq: int) -> bool:
        """Another server wrote entries up to this one: facts from before it are not gone by. Gives
        whether they were published here already."""
        room = self._rooms.get(thread_id)
        if room is None:
            return False
        room.announced = max(room.announced, head_seq)
        return room.published is not None and room.published >= head_seq

    @asynccontextmanager
    async def locked(self, thread_id: ThreadId) -> AsyncIterator[Room]:
        """The thread's one room, alone."""
        room = self._rooms.setdefault(thread_id, Room())
        self._rooms.move_to_end(thread_id)
        room.users += 1
        try:
            async with room.lock:
                yield room
        finally:
            room.users -= 1
            if not room.is_over:
                self._weigh(thread_id, room)

    def forget_all(self) -> None:
        """Forget every room; who is in one finds it over."""
        for room in self._rooms.values():
            room.is_over = True
        self._rooms.clear()
        self.weight = 0

    def _weigh(self, thread_id: ThreadId, room: Room) -> None:
        """Count what a room keeps, and make room for it."""
        self.weight -= room.weight
        room.weight = weight_of(room.facts) if room.facts is not None else 0
        self.weight += room.weight
        if room.users == 0 and room.known is None and room.published is None:
            # Nothing is known of such a thread; it must not push out one that is in use.
            self._rooms.pop(thread_id, None)
        self._forget_some()

    def _forget_some(self) -> None:
        """Forget the rooms used longest ago that are not in use."""
        if len(self._rooms) <= MAX_ROOMS and self.weight <= MAX_KEPT_CHARACTERS:
            return
        for thread_id, room in tuple(self._rooms.items()):
            if len(self._rooms) <= MAX_ROOMS and self.weight <= MAX_KEPT_CHARACTERS:
                return
            if room.users == 0 and not isinstance(room.known, Doubt):
                del self._rooms[thread_id]
                self.weight -= room.weight


def weight_of(facts: Facts) -> int:
    """Code points of the text that facts hold."""
    texts = sum(len(each.content) for each in (*facts.view.pending, *facts.recent))
    return texts + sum(map(weight_of_run, facts.view.runs))


def weight_of_run(run: ChorusState) -> int:
    """Code points of the text that a run holds."""
    texts = [run.prompt]
    kept = run.prefix
    texts.extend(each.content for each in (*run.messages, *(kept.messages if kept else ())))
    texts.extend(each.content for each in (*run.priors, *(kept.priors if kept else ())))
    texts.extend(each.text for each in (*run.steps, *(kept.steps if kept else ())))
    return sum(map(len, texts))
