"""Reads of a thread: a page of it at one head, what came after it, and whether one may read it.

Rights are looked at before anything else is read, and again before the answer leaves.
"""

import logging
from collections.abc import AsyncIterator, Callable

from machines.decisions.rights import may_read, no_such_thread
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey, ThreadId, thread_stream
from machines.models.journal import DecisionView, JournalEntry
from machines.models.limits import MAX_CATCH_UP, MAX_EVENTS_PAGE_BYTES, MAX_RUNS_SHOWN
from machines.models.thread import Thread
from machines.models.wire import request_data, requests
from server.runs.interpreter import Chorus
from server.sessions.pages import FRAME_ROOM, RunSoFar, snapshot_that_fits
from server.threads.service import ThreadService
from server.wire.bounds import fitting
from server.wire.codec import encode_events_page, encode_server_frame
from server.wire.renderer import Renderer
from storage.journal.port import Journal

log = logging.getLogger(__name__)


class Reads:
    """What a signed-in user reads of threads."""

    def __init__(
        self,
        journal: Journal,
        thread_service: ThreadService,
        chorus: Chorus,
        renderer: Renderer,
        on_ahead: Callable[[], None],
    ) -> None:
        """
        Args:
            on_ahead: Told of each client that remembers more of a thread than the journal has.
        """
        self._on_ahead = on_ahead
        self._journal = journal
        self._thread_service = thread_service
        self._chorus = chorus
        self._renderer = renderer

    async def readable(self, thread_id: ThreadId, caller: PublicKey) -> Thread:
        """The thread, as it is now. Raises RequestRefused: not_found, where the caller may not know of it."""
        thread = await self._thread_service.readable(thread_id, caller)
        if thread is None:
            raise no_such_thread()
        return thread

    async def snapshot(
        self, message: requests.GetThreadRequest, caller: PublicKey
    ) -> tuple[DecisionView, str]:
        """A thread, and the frame with a page of its messages, at one head. Raises RequestRefused:
        not_found."""
        data = message.data
        # First, so that a thread that is not the caller's costs no more than one that is not there.
        await self.readable(data.thread_id, caller)
        found = await self._journal.snapshot(
            data.thread_id, limit=data.limit, before_index=data.before_index
        )
        if found is None or not may_read(found[0].thread, caller):
            raise no_such_thread()
        view, page = found
        chorus = self._chorus
        runs = tuple(
            RunSoFar(
                run,
                chorus.text_so_far(run),
                chorus.rendered_so_far(run),
                chorus.thoughts_so_far(run),
            )
            for run in view.runs[:MAX_RUNS_SHOWN]
        )
        people = {each.author for each in page.messages if each.author is not None}
        names = await self._journal.names(people.union(view.thread.co_authors))
        kept = await self._journal.user_thread(caller, data.thread_id)
        text = await self._renderer.do(
            lambda: encode_server_frame(
                snapshot_that_fits(view, page, runs, names, caller, kept), re=message.id
            )
        )
        # Rights are read last as well: who left meanwhile is shown what is theirs to see now.
        now = await self.readable(data.thread_id, caller)
        if (caller in now.co_authors) is not (caller in view.thread.co_authors):
            return await self.snapshot(message, caller)
        return view, text

    async def check_catch_up(self, data: request_data.GetThreadData) -> None:
        """Raises RequestRefused where a reader cannot go on from what it remembers."""
        if data.epoch is not None and data.epoch != await self._journal.epoch():
            raise RequestRefused(
                ErrorCode.CONFLICT, "The store was restored; what you remember of it is void."
            )
        if data.after_seq is None:
            return
        head_seq = await self._head_of(data.thread_id)
        if data.after_seq > head_seq:
            if data.epoch is None:
                raise _beyond_the_end("after_seq")
            # Shown under this very epoch: no server noticed that it was lost.
            self._on_ahead()
            log.error("a client remembers entries that the journal lacks: did it lose commits?")
            raise RequestRefused(
                ErrorCode.CONFLICT, "The thread lacks what you remember of it: read it anew."
            )
        if head_seq - data.after_seq > MAX_CATCH_UP:
            raise RequestRefused(
                ErrorCode.CONFLICT,
                f"More than {MAX_CATCH_UP} entries to catch up; use get_events.",
            )

    async def head_with(self, thread_id: ThreadId, field: str, seq: int) -> int:
        """The head of a thread, which has an entry of this number. Raises RequestRefused where it is
        beyond."""
        head_seq = await self._head_of(thread_id)
        if seq > head_seq:
            raise _beyond_the_end(field)
        return head_seq

    async def _head_of(self, thread_id: ThreadId) -> int:
        found = await self._thread_service.at_head(thread_id)
        return found[1] if found is not None else 0

    async def catch_up(
        self, thread_id: ThreadId, caller: PublicKey, *, after_seq: int, up_to: int
    ) -> AsyncIterator[str]:
        """The frames `after_seq + 1 .. up_to`, encoded for this person, read a page at a time."""
        while after_seq < up_to:
            page = await self._journal.entries(
                thread_stream(thread_id),
                after_seq=after_seq,
                limit=up_to - after_seq,
                max_bytes=MAX_EVENTS_PAGE_BYTES,
            )
            for entry in await self._renderer.encoded(page.entries):
                # Each time: who reads slowly may have left since the page was read.
                yield entry.text_for(caller, await self.readable(thread_id, caller))
            after_seq = page.entries[-1].seq

    async def events(self, message: requests.GetEventsRequest, caller: PublicKey) -> str:
        data = message.data
        await self.readable(data.thread_id, caller)
        page = await self._journal.entries(
            thread_stream(data.thread_id),
            after_seq=data.after_seq,
            limit=data.limit,
            max_bytes=MAX_EVENTS_PAGE_BYTES,
        )
        texts = await self._presented(data.thread_id, page.entries, caller)
        count = fitting((len(each.encode()) + 1 for each in texts), FRAME_ROOM)
        return encode_events_page(
            texts[:count],
            re=message.id,
            thread_id=data.thread_id,
            head_seq=page.head_seq,
            has_more=page.has_more or count < len(texts),
        )

    async def _presented(
        self, thread_id: ThreadId, entries: tuple[JournalEntry, ...], caller: PublicKey
    ) -> list[str]:
        """Entries as this person may see them. Rights are read last: they hold when it is sent."""
        shown = await self._renderer.encoded(entries)
        thread = await self.readable(thread_id, caller)
        return [each.text_for(caller, thread) for each in shown]


def _beyond_the_end(field: str) -> RequestRefused:
    problem = "is beyond the end of the thread"
    return RequestRefused(
        ErrorCode.INVALID_FIELD,
        f"{field} {problem}.",
        details={"field": field, "problem": problem},
    )
