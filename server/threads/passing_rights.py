"""When passing frames may be sent, where several servers share the journal.

An entry reaches those who may read its thread after it. Text while it is written, and who is present, are
in no entry: who left through another server would be sent them until this one heard of it, and an
announcement may be lost. So passing frames wait here until the thread was read, or written, after they
were made. For that the journal is asked for the heads of their threads, for all at once, and a frame is sent
when its followers have the entries up to the head: who left before it was written follows no more by
then. Entries that come meanwhile are preceded by the frames that were made before them. While the journal
cannot be asked nothing is known of who left, and the frames wait on.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Protocol

from machines.models.errors import JournalError
from machines.models.ids import ThreadId

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 0.01
"""Between two questions: what comes meanwhile is asked about together."""

AGAIN_SECONDS: Final = 0.25
"""After a question that failed."""

MAX_WAITING: Final = 20_000
"""Frames of all threads that wait; what comes beyond them is left out, and stands in an entry later."""


class HoldsPassing(Protocol):
    """Says when passing frames may be sent. Nothing here blocks."""

    @property
    def made(self) -> int:
        """Number of the frame that was made last, of all threads."""

    def hold(self, thread_id: ThreadId, send: Callable[[int], None]) -> None:
        """A frame was made: call `send`, now or later, with the number of an entry that the thread had
        after that, or leave it out; the frames of a thread in their order."""

    def release(self, thread_id: ThreadId, up_to: int, head_seq: int) -> None:
        """The thread had the entry `head_seq` after the frame of the number `up_to` was made, and who may
        read it then is known: send the frames up to that one."""

    def went_on(self, thread_id: ThreadId) -> None:
        """Followers of the thread were given entries, or it has none any more."""


class NothingHeld:
    """For a server that alone writes the journal: its followers have every entry already."""

    made: Final = 0

    def hold(self, thread_id: ThreadId, send: Callable[[int], None]) -> None:
        del thread_id
        send(0)

    def release(self, thread_id: ThreadId, up_to: int, head_seq: int) -> None:
        """Nothing waits."""

    def went_on(self, thread_id: ThreadId) -> None:
        """Nothing waits."""


@dataclass(slots=True)
class _Frame:
    """A passing frame that waits."""

    number: int
    """In the order in which all were made."""
    send: Callable[[int], None]
    head_seq: int | None = None
    """Of the thread, read after the frame was made; None where it was not yet."""


class KnowsHeads(Protocol):
    """What it asks of a journal (`storage.journal.port`)."""

    async def heads(self, thread_ids: Collection[ThreadId]) -> dict[ThreadId, int]: ...


class KnowsFollowers(Protocol):
    """What it asks of the followers (`server.threads.broadcast`)."""

    def has_followers(self, thread_id: ThreadId) -> bool: ...

    def told(self, thread_id: ThreadId) -> int | None: ...

    def expect(self, thread_id: ThreadId, head_seq: int) -> bool: ...


class PassingRights:
    """Holds passing frames back. `run` it while serving."""

    def __init__(self, journal: KnowsHeads, followers: KnowsFollowers) -> None:
        self._journal = journal
        self._followers = followers
        self._made = 0
        self._waiting: dict[ThreadId, deque[_Frame]] = {}
        self._count = 0
        """Of all frames that wait."""
        self._unasked: set[ThreadId] = set()
        """Threads with frames that were made after the last question."""
        self._has_unasked = asyncio.Event()

    @property
    def made(self) -> int:
        """Number of the frame that was made last."""
        return self._made

    def hold(self, thread_id: ThreadId, send: Callable[[int], None]) -> None:
        if self._count >= MAX_WAITING:
            return
        self._count += 1
        self._made += 1
        self._waiting.setdefault(thread_id, deque()).append(_Frame(self._made, send))
        self._unasked.add(thread_id)
        self._has_unasked.set()

    def release(self, thread_id: ThreadId, up_to: int, head_seq: int) -> None:
        frames = self._waiting.get(thread_id, ())
        while frames and frames[0].number <= up_to:
            self._send_first(thread_id, frames, head_seq)

    def went_on(self, thread_id: ThreadId) -> None:
        if (frames := self._waiting.get(thread_id)) is None:
            return
        if not self._followers.has_followers(thread_id):
            self._count -= len(frames)
            del self._waiting[thread_id]
            return
        told = self._followers.told(thread_id)
        while frames and (head_seq := frames[0].head_seq) is not None:
            if told is not None and told < head_seq:
                return
            self._send_first(thread_id, frames, head_seq)

    def _send_first(self, thread_id: ThreadId, frames: deque[_Frame], head_seq: int) -> None:
        self._count -= 1
        frame = frames.popleft()
        if not frames:
            del self._waiting[thread_id]
        frame.send(head_seq)

    async def run(self) -> None:
        """Ask and send, until cancelled."""
        while True:
            await self._has_unasked.wait()
            self._has_unasked.clear()
            asked, self._unasked = self._unasked, set()
            # What is made from here on may be later than the answer.
            made = self._made
            try:
                heads = await self._journal.heads(asked)
            except JournalError as error:
                log.info("who may be sent passing frames is not known: %s", error.message)
                self._unasked |= asked
                self._has_unasked.set()
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            for thread_id in asked:
                self._answered(thread_id, made, heads.get(thread_id, 0))
            await asyncio.sleep(ASK_SECONDS)

    def _answered(self, thread_id: ThreadId, made: int, head_seq: int) -> None:
        for frame in self._waiting.get(thread_id, ()):
            if frame.number > made:
                break
            if frame.head_seq is None:
                frame.head_seq = head_seq
        self._followers.expect(thread_id, head_seq)
        self.went_on(thread_id)
