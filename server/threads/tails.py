"""What threads have behind an entry, asked of the journal for many threads together."""

from collections.abc import Sequence

from machines.models.ids import ThreadId
from machines.models.limits import MAX_EVENTS_PAGE_BYTES
from server.concurrency.batcher import Batcher
from storage.journal.answers import Tail
from storage.journal.port import Journal


def batched_tails(journal: Journal) -> Batcher[tuple[ThreadId, int], Tail | None]:
    """Gives the tail of a thread behind the number of an entry, as much of it as fits; None where there
    is no thread. Never ask for the same thread twice at the same time.

    What is asked raises JournalError where it cannot be read, or is damaged; the tails of other threads
    are given all the same.
    """

    async def tails_of(asked: Sequence[tuple[ThreadId, int]]) -> Sequence[Tail | None]:
        tails = await journal.entries_of_many(dict(asked), max_bytes=MAX_EVENTS_PAGE_BYTES)
        return [tails.get(thread_id) for thread_id, _ in asked]

    return Batcher(tails_of)
