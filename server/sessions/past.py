"""`get_past`: a thread as it was after an earlier entry, told with the rights that its reader has now."""

import asyncio
from typing import Final

from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey
from machines.models.limits import MAX_RUNS_SHOWN
from machines.models.thread import Thread
from machines.models.wire.frames import ThreadPastData, ThreadPastFrame
from machines.models.wire.request_data import GetPastData
from server.sessions.pages import RunSoFar, snapshot_that_fits
from server.wire.renderer import Renderer
from storage.journal.answers import PastPage, PastReached
from storage.journal.port import Journal

_SLICES: Final = 10
"""Answers of the journal that one request waits for, where the past is gathered for the first time."""
_AGAIN_MS: Final = 50


class PastThreads:
    """Tells of threads as they were."""

    def __init__(self, journal: Journal, renderer: Renderer, turn: asyncio.Lock) -> None:
        """
        Args:
            turn: Held by whoever goes through many entries, so that all other reads find a reader.
        """
        self._journal = journal
        self._renderer = renderer
        self._turn = turn

    async def told(self, wanted: GetPastData, caller: PublicKey, now: Thread) -> ThreadPastFrame:
        """The thread after the entry, or at the time, that is asked for.

        Args:
            now: the thread as it is: it says what the caller may see.

        Raises:
            RequestRefused: there is no such moment (INVALID_FIELD), or the past is so long that it is not
                gathered yet (THREAD_BUSY): ask again.
            JournalError: the journal cannot be asked, or an entry is damaged.
        """
        head_seq = (await self._journal.heads([now.id]))[now.id]
        seq = await self._seq(wanted, head_seq)
        found = await self._found(wanted, seq)
        view, page = found.view, found.page
        people = {each.author for each in page.messages if each.author is not None}
        names = await self._journal.names(people.union(view.thread.co_authors))
        kept = await self._journal.user_thread(caller, now.id)
        runs = tuple(RunSoFar(run, "", (), "") for run in view.runs[:MAX_RUNS_SHOWN])
        shown = await self._renderer.do(
            lambda: snapshot_that_fits(view, page, runs, names, caller, kept, now=now)
        )
        return ThreadPastFrame(
            shortened=shown.shortened,
            data=ThreadPastData(**vars(shown.data), at=found.at, last_seq=max(head_seq, seq)),
        )

    async def _seq(self, wanted: GetPastData, head_seq: int) -> int:
        match wanted.at_seq, wanted.at:
            case int(seq), None:
                if 1 <= seq <= head_seq:
                    return seq
                problem = "is no entry of the thread"
                raise _no_moment("at_seq", problem)
            case None, at if at is not None:
                if (seq := await self._journal.seq_at(wanted.thread_id, at)) > 0:
                    return seq
                raise _no_moment("at", "is before the beginning of the thread")
            case _:
                raise _no_moment("at", "or at_seq says which moment is meant; give one of them")

    async def _found(self, wanted: GetPastData, seq: int) -> PastPage:
        reached = 0
        for _ in range(_SLICES):
            found = await self._ask(wanted, seq)
            if isinstance(found, PastPage):
                return found
            reached = found.seq
        raise RequestRefused(
            ErrorCode.THREAD_BUSY,
            f"The past of the thread is gathered for the first time: {reached} of {seq} entries.",
            retry_after_ms=_AGAIN_MS,
            retryable=True,
            details={"gathered": reached, "of": seq},
        )

    async def _ask(self, wanted: GetPastData, seq: int) -> PastPage | PastReached:
        async with self._turn:
            found = await self._journal.as_it_was(
                wanted.thread_id, seq=seq, limit=wanted.limit, before_index=wanted.before_index
            )
        if found is None:
            raise _no_moment("at_seq", "is no entry of the thread")
        return found


def _no_moment(field: str, problem: str) -> RequestRefused:
    return RequestRefused(
        ErrorCode.INVALID_FIELD,
        f"The field {field} {problem}.",
        details={"field": field, "problem": problem},
    )
