"""Traces of runs and decisions as they happen, for the server that commits their end.

A run's trace is handed over whole when the run ends, by whichever server made that durable, so that no
span is sent twice and none lacks its parent. What was told of the run before is only a shortcut: where it
is not all there (the run was another server's, or this process began after it), the journal is read.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from machines.models.effects import RunEffect
from machines.models.ids import RunId, ThreadId
from machines.models.journal import Batch, JournalEntry
from server.concurrency.retry import while_journal_is_away
from server.telemetry.decision_spans import decision_spans
from server.telemetry.run_spans import FIRST, RunTrace, ends, run_spans
from server.telemetry.span import Span, trace_id_of
from storage.journal.port import Journal

log = logging.getLogger(__name__)

KEPT_RUNS: Final = 1_000
"""Runs whose entries are remembered until they end; those of others are read again."""

WAITING_RUNS: Final = 10_000
"""Runs that ended and whose entries are yet to be read, at most."""


class LiveTraces:
    """Is told of every durable batch by the thread service."""

    def __init__(
        self,
        journal: Journal,
        offer: Callable[[Sequence[Span]], None],
        samples: Callable[[int], bool],
        *,
        content: bool,
        kept: int = KEPT_RUNS,
    ) -> None:
        """
        Args:
            samples: Whether the trace of this id is wanted.
            content: As `run_spans` has it.
        """
        self._journal = journal
        self._offer = offer
        self._samples = samples
        self._content = content
        self._kept = kept
        self._traces: OrderedDict[str, RunTrace] = OrderedDict()
        self._to_read: asyncio.Queue[RunId] = asyncio.Queue(WAITING_RUNS)
        self._missed = 0

    @property
    def missed(self) -> int:
        """How often something was not offered that ended here: it is in the journal alone."""
        return self._missed

    async def settle(self) -> None:
        """Wait until every run that ended so far was offered."""
        await self._to_read.join()

    def after_commit(
        self, batch: Batch, effects: tuple[RunEffect, ...], thread_id: ThreadId
    ) -> None:
        """Take what the batch's entries say; a defect here is no run's."""
        del effects, thread_id
        try:
            for entry in batch.entries:
                for change in entry.changes:
                    if change.kind == "run":
                        self._take(change.id, change.version, entry)
                self._offer_all(tuple(decision_spans(entry)))
        except Exception:
            log.exception("spans could not be made")
            self._missed += 1
            # A trace that lacks an entry is no shortcut.
            self._traces.clear()

    async def run(self) -> None:
        """Read the runs that were not followed from their beginning, until cancelled."""
        while True:
            run_id = await self._to_read.get()
            try:
                entries = await while_journal_is_away(partial(self._journal.run_entries, run_id))
                spans = await asyncio.to_thread(run_spans, run_id, entries, content=self._content)
            except Exception:
                log.exception("a run's spans could not be made of the journal")
            else:
                self._offer(spans)
            finally:
                self._to_read.task_done()

    def _take(self, run_id: str, version: int, entry: JournalEntry) -> None:
        trace = self._traces.get(run_id)
        if trace is None and version == FIRST and self._samples(trace_id_of(run_id)):
            trace = self._traces[run_id] = RunTrace(run_id, content=self._content)
            if len(self._traces) > self._kept:
                self._traces.popitem(last=False)
        elif trace is not None and version != trace.version + 1:
            # Another server carried it for a while.
            del self._traces[run_id]
            trace = None
        if trace is not None:
            trace.take(entry)
            if trace.ended:
                del self._traces[run_id]
                self._offer(trace.spans())
        elif ends(run_id, entry) and self._samples(trace_id_of(run_id)):
            try:
                self._to_read.put_nowait(RunId(run_id))
            except asyncio.QueueFull:
                # The journal has it still.
                self._missed += 1

    def _offer_all(self, spans: Sequence[Span]) -> None:
        if wanted := [each for each in spans if self._samples(each.trace_id)]:
            self._offer(wanted)
