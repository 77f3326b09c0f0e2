"""Sends the traces that a server owed when it was killed, or that no collector took at the time.

Spans are a function of the journal, so they can be made again. Each server that exports keeps a mark
beside the journal: the position up to which all that it committed is sent. The mark follows some seconds
behind, and goes with a server that ends in order. A mark without its server is one of a server that was
killed: what ended behind it is sent by the next server of the store, or by the living one that comes first
by name of those that export, and so is what this server itself could not send. What the others had sent of it comes twice, with
the same ids.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from machines.models.errors import ChorusError
from machines.models.ids import RunId
from server.concurrency.retry import while_journal_is_away
from server.telemetry.decision_spans import decision_spans
from server.telemetry.live import LiveTraces
from server.telemetry.run_spans import run_spans
from server.telemetry.sender import SpanSender
from server.telemetry.span import Span, trace_id_of
from storage.journal.port import Journal
from storage.journal.reader import SnapshotReader
from storage.journal.traced import SENT, Scope, Sending, runs_ended, sending, settled_after

log = logging.getLogger(__name__)

CYCLE_SECONDS: Final = 10.0
"""Between two looks; so long what was committed has to be offered."""

MOST_ENTRIES: Final = 200_000
"""Behind a mark, at most: what is further back is left to `chorus export --otel`."""

AT_ONCE: Final = 10
"""Spans that are offered at once; a trace that has no room as a whole is sent in parts."""


class Unsent:
    """Keeps this server's mark, and sends what lies behind those of servers that are gone."""

    def __init__(
        self,
        journal: Journal,
        reader: SnapshotReader,
        traces: LiveTraces,
        sender: SpanSender,
        samples: Callable[[int], bool],
        name: Callable[[], str],
        *,
        content: bool,
    ) -> None:
        """
        Args:
            traces, sender: What this server sends by itself; only they know what was lost of it.
            samples: Whether the trace of this id is wanted.
            name: Of this server, as the others know it now.
            content: As `run_spans` has it.
        """
        self._journal = journal
        self._reader = reader
        self._traces = traces
        self._sender = sender
        self._samples = samples
        self._name_now = name
        self._content = content
        self._name: str | None = None
        self._mark = 0
        """All before it is sent, as far as this server committed it."""
        self._owes = False
        """Whether something behind the mark was lost."""
        self._lost = 0

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self._look()
            except ChorusError as error:
                log.info("what is not sent yet is looked for later: %s", error.message)
                await asyncio.sleep(CYCLE_SECONDS)

    async def close(self) -> None:
        """This server ends in order, and its sender is closed: forget its mark, unless it owes something.

        Raises:
            JournalError: the mark stays, and what is behind it is sent again.
        """
        if self._name is not None and not self._has_lost():
            await self._journal.note(SENT + self._name, None)

    async def _look(self) -> None:
        found = await self._reader.read(sending)
        if self._name is None:
            self._mark = found.last
        await self._be_known()
        await self._pay(found)
        await asyncio.sleep(CYCLE_SECONDS)
        await self._settle()
        if not self._has_lost() and found.last != self._mark:
            self._mark = found.last
            await self._journal.note(SENT + self._name_now(), str(self._mark))

    async def _be_known(self) -> None:
        """Have a mark under the name of today: a server that lost its lease gets another one."""
        before, self._name = self._name, self._name_now()
        if before != self._name:
            await self._journal.note(SENT + self._name, str(self._mark))
            if before is not None:
                await self._journal.note(SENT + before, None)

    async def _pay(self, found: Sending) -> None:
        """Send what this server owes, and what is owed by those that are gone."""
        if self._owes and await self._send(self._mark, found.last):
            self._owes = False
        living = found.living | {self._name_now()}
        gone = {name: mark for name, mark in found.marks.items() if name not in living}
        # A living server without a mark exports nothing.
        if self._name_now() != min({self._name_now(), *(found.marks.keys() & living)}):
            return
        for name, mark in sorted(gone.items()):
            if await self._send(mark, found.last):
                await self._journal.note(SENT + name, None)

    async def _send(self, after: int, up_to: int) -> bool:
        """Whether all traces that ended at these positions were sent; the first that is lost ends it."""
        if up_to - after > MOST_ENTRIES:
            log.warning(
                "traces of more than %d entries are not sent: export them by hand", MOST_ENTRIES
            )
            after = up_to - MOST_ENTRIES
        before = self._sender.lost
        position: int | None = after
        while position is not None:
            ended, position = await self._reader.read(
                partial(runs_ended, after=position, up_to=up_to)
            )
            for run_id in ended:
                if self._samples(trace_id_of(run_id)):
                    await self._offer(await self._spans_of(run_id))
                if self._sender.lost > before:
                    return False
        position = after
        while position is not None:
            entries, position = await self._reader.read(
                partial(settled_after, scope=Scope(up_to=up_to), position=position)
            )
            spans = [span for entry in entries for span in decision_spans(entry)]
            await self._offer([each for each in spans if self._samples(each.trace_id)])
            if self._sender.lost > before:
                return False
        await self._settle()
        return self._sender.lost == before

    async def _spans_of(self, run_id: RunId) -> Sequence[Span]:
        entries = await while_journal_is_away(partial(self._journal.run_entries, run_id))
        return await asyncio.to_thread(run_spans, run_id, entries, content=self._content)

    async def _offer(self, spans: Sequence[Span]) -> None:
        """Let spans be sent, and leave room for what happens now."""
        at_once = min(AT_ONCE, self._sender.room)
        for begin in range(0, len(spans), at_once):
            await asyncio.to_thread(self._sender.wait_for_room)
            self._sender.offer(spans[begin : begin + at_once])

    async def _settle(self) -> None:
        """Wait until everything that was offered so far waits no more."""
        await self._traces.settle()
        await asyncio.to_thread(self._sender.wait_until_settled, self._sender.offered)

    def _has_lost(self) -> bool:
        """Whether something that ended here was not sent, and is not yet."""
        lost = self._sender.lost + self._traces.missed
        if lost > self._lost:
            self._lost = lost
            self._owes = True
        return self._owes
