"""Lets the journal count what the machines did, soon after they did it, and what their guards refused.

A count needs no haste: a question counts by itself what is not counted yet. So entries are counted some
at a time, with room for commits in between. Refusals are in no entry: they are kept here until the next
count, and those that a killed server had not written are lost.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from machines.models.effects import RunEffect
from machines.models.errors import ChorusError, InvalidTransition
from machines.models.heat import Refusals
from machines.models.ids import ThreadId
from machines.models.journal import Batch
from storage.journal.port import Journal

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 2.0
"""Between a commit and the count that takes it in, with all others that came meanwhile."""

_TURN_SECONDS: Final = 0.02
"""Between the parts of a long count: commits find their turn."""

_MOST_KINDS: Final = 10_000
"""Of refusals that are kept until they are written; further kinds are not counted."""


class _Kind(NamedTuple):
    """What refusals that are counted together have in common."""

    thread_id: ThreadId
    hour: datetime
    machine: str
    event: str
    guard: str


class HeatCounter:
    """Is told of every durable batch and of every refusal by the thread service."""

    def __init__(self, journal: Journal, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._now = now
        self._refusals: Counter[_Kind] = Counter()
        self._is_due = asyncio.Event()
        # What an earlier version wrote, or another process as it was killed, is not counted.
        self._is_due.set()

    def after_commit(
        self, batch: Batch, effects: tuple[RunEffect, ...], thread_id: ThreadId
    ) -> None:
        """Entries came."""
        del batch, effects, thread_id
        self._is_due.set()

    def refused(self, thread_id: ThreadId, refusal: InvalidTransition) -> None:
        """A machine of the thread refused an event: each guard that was false counts."""
        hour = self._now().replace(minute=0, second=0, microsecond=0)
        for guard in refusal.guards or ("",):
            kind = _Kind(thread_id, hour, refusal.machine, refusal.event, guard)
            if kind in self._refusals or len(self._refusals) < _MOST_KINDS:
                self._refusals[kind] += 1
        self._is_due.set()

    async def run(self) -> None:
        """Count what comes, until cancelled."""
        while True:
            await self._is_due.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            self._is_due.clear()
            try:
                await self.write_refusals()
                may_be_more = True
                while may_be_more:
                    may_be_more = await self._journal.count_entries(self._now())
                    await asyncio.sleep(_TURN_SECONDS)
            except ChorusError as error:
                log.info("what the machines did is counted later: %s", error.message)
                self._is_due.set()

    async def write_refusals(self) -> None:
        """Let the journal hold what was refused so far. Raises JournalError: it is not counted."""
        kinds, self._refusals = self._refusals, Counter()
        if kinds:
            await self._journal.count_refusals(
                [Refusals(**kind._asdict(), count=count) for kind, count in kinds.items()]
            )
