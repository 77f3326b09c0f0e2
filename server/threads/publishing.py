"""Publishing: followers get what is durable, in order, from commits here and from other servers'."""

import logging

from machines.models.errors import StateError
from machines.models.ids import ThreadId, thread_stream
from machines.models.journal import DecisionView, JournalEntry
from machines.models.limits import MAX_EVENTS_PAGE_BYTES
from server.threads.broadcast import MAX_COLLECTED, Broadcast
from server.threads.rooms import Doubt, Room, Rooms
from server.threads.tails import batched_tails
from server.wire.renderer import Renderer
from storage.journal.port import Journal

log = logging.getLogger(__name__)


class Publisher:
    """Brings entries to the followers of their thread, under the lock of its room."""

    def __init__(
        self, journal: Journal, broadcast: Broadcast, renderer: Renderer, rooms: Rooms
    ) -> None:
        self._journal = journal
        self._broadcast = broadcast
        self._renderer = renderer
        self._rooms = rooms
        # Each waits under its lock: never twice the same thread.
        self._tails = batched_tails(journal)

    async def bring_up(self, thread_id: ThreadId) -> None:
        """Give those who follow the thread what they lack, from the journal: other servers wrote it.

        Raises:
            JournalError: it cannot be read.
            StateError: it cannot be given to them.
        """
        async with self._rooms.locked(thread_id) as room:
            told, made = self._broadcast.told(thread_id), self._broadcast.made
            if told is None or not self._broadcast.lags(thread_id):
                return
            tail = await self._tails.ask((thread_id, told))
            if tail is None or tail.head_seq - told > MAX_COLLECTED:
                raise StateError("There is too much to give, or the thread is gone.")
            entries = tail.entries
            if entries and entries[-1].seq < tail.head_seq:
                rest = await self.entries(thread_id, entries[-1].seq, tail.head_seq)
                entries = (*entries, *rest)
            if [each.seq for each in entries] != list(range(told + 1, tail.head_seq + 1)):
                raise StateError("The journal lacks entries of the thread.")
            live = await self._renderer.live(entries)
            if room.is_over:
                return
            if not isinstance(room.known, Doubt):
                room.published = tail.head_seq
                room.announced = max(room.announced, tail.head_seq)
            self._broadcast.pass_on(tail.thread, tail.head_seq, made)
            self._broadcast.publish(tail.thread, live)

    async def publish(
        self, room: Room, view: DecisionView, entries: tuple[JournalEntry, ...], made: int
    ) -> None:
        """Publish entries, behind the passing frames that were made before they were read or written."""
        room.published = entries[-1].seq
        try:
            live = await self._renderer.live(entries)
            if not room.is_over:
                self._broadcast.pass_on(view.thread, view.head_seq, made)
                self._broadcast.publish(view.thread, live)
        except Exception:
            # They are durable: what follows must follow, and followers notice a gap and come again.
            log.exception("entries could not be published")

    async def entries(
        self, thread_id: ThreadId, after_seq: int, up_to: int
    ) -> tuple[JournalEntry, ...]:
        """The entries `after_seq + 1 .. up_to`, read page by page."""
        found: list[JournalEntry] = []
        while after_seq < up_to:
            page = await self._journal.entries(
                thread_stream(thread_id),
                after_seq=after_seq,
                limit=up_to - after_seq,
                max_bytes=MAX_EVENTS_PAGE_BYTES,
            )
            found.extend(page.entries)
            after_seq = page.entries[-1].seq
        return tuple(found)
