"""Lets the journal keep how threads are, now and then, so that their past is found without reading it whole.

What is kept is lost without harm, and so it is not waited for: the journal gathers what it lacks.
"""

import asyncio
import logging

from machines.models.effects import RunEffect
from machines.models.errors import ChorusError
from machines.models.ids import ThreadId, thread_stream
from machines.models.journal import Batch
from storage.journal.moments import KEPT_EACH
from storage.journal.port import Journal

log = logging.getLogger(__name__)


class MomentKeeper:
    """Is told of every durable batch by the thread service."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._due: asyncio.Queue[ThreadId] = asyncio.Queue()

    def after_commit(
        self, batch: Batch, effects: tuple[RunEffect, ...], thread_id: ThreadId
    ) -> None:
        """Entries came; a moment is due with each `KEPT_EACH`th of a thread."""
        del effects
        stream = thread_stream(thread_id)
        if any(each.stream == stream and each.seq % KEPT_EACH == 0 for each in batch.entries):
            self._due.put_nowait(thread_id)

    async def run(self) -> None:
        """Keep what is due, until cancelled."""
        while True:
            thread_id = await self._due.get()
            try:
                await self._journal.keep_moment(thread_id)
            except ChorusError as error:
                log.info("how a thread is was not kept: %s", error.message)
