"""A journal that loses answers: a commit is durable and raises, or fails, and threads cannot be read."""

import pytest

from machines.models.errors import JournalError
from machines.models.ids import StreamId, ThreadId
from machines.models.journal import Batch, Committed, DecisionView
from storage.journal.answers import EntryPage
from storage.journal.port import Journal


class Lossy:
    """What a journal does wrong with threads; nothing unless told."""

    def __init__(self, journal: Journal, patch: pytest.MonkeyPatch) -> None:
        """It is the journal's way until `patch` is undone."""
        self.silenced = 0
        """Commits that are durable from now on, and whose success is not told."""
        self.failing = 0
        """Commits that fail from now on."""
        self.certain = False
        """Whether their errors say that nothing was written."""
        self.unreadable = 0
        """Reads of a thread that fail from now on."""
        self.torn = 0
        """Reads of entries from now on until one fails."""
        self.flaky = False
        """Whether every other read of a thread fails."""
        self._reads = 0
        self._commit = journal.commit
        self._decision_view = journal.decision_view
        self._entries = journal.entries
        patch.setattr(journal, "commit", self.commit)
        patch.setattr(journal, "decision_view", self.decision_view)
        patch.setattr(journal, "entries", self.entries)

    async def commit(self, batch: Batch) -> Committed:
        if not any(stream.startswith("thread:") for stream in batch.expected):
            return await self._commit(batch)
        if self.failing:
            self.failing -= 1
            raise JournalError("The journal could not commit.", certain=self.certain)
        committed = await self._commit(batch)
        if self.silenced:
            self.silenced -= 1
            raise JournalError("The journal could not commit.")
        return committed

    async def entries(
        self, stream: StreamId, *, after_seq: int, limit: int, max_bytes: int | None = None
    ) -> EntryPage:
        if self.torn:
            self.torn -= 1
            if not self.torn:
                raise JournalError("The journal cannot be read.")
            max_bytes = 1
        return await self._entries(stream, after_seq=after_seq, limit=limit, max_bytes=max_bytes)

    async def decision_view(self, thread_id: ThreadId) -> DecisionView | None:
        if self.unreadable:
            self.unreadable -= 1
            raise JournalError("The journal cannot be read.")
        self._reads += 1
        if self.flaky and self._reads % 2:
            raise JournalError("The journal cannot be read.")
        return await self._decision_view(thread_id)
