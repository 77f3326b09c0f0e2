"""Servers that are never told what others commit, as where every announcement is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from machines.models.ids import StreamId
from storage.journal.answers import Change
from storage.journal.postgres.journal import PostgresJournal


class Silence:
    """Changes of which none is ever told, and others were."""

    async def __aiter__(self) -> AsyncIterator[Change]:
        await asyncio.Event().wait()
        yield Change(StreamId("thread:none"), 0, 1)


class Told(Silence):
    """Changes that a test tells, to every server that listens."""

    def __init__(self) -> None:
        self._listening: list[asyncio.Queue[Change]] = []

    def tell(self, change: Change) -> None:
        """Let all who listen hear it."""
        for each in self._listening:
            each.put_nowait(change)

    async def __aiter__(self) -> AsyncIterator[Change]:
        heard: asyncio.Queue[Change] = asyncio.Queue()
        self._listening.append(heard)
        while True:
            yield await heard.get()


def lose_announcements(patch: pytest.MonkeyPatch, told: Silence | None = None) -> None:
    """Let every server that starts from now on hear nothing, or what is `told`, until `patch` is undone."""

    @asynccontextmanager
    async def silent(_: PostgresJournal) -> AsyncIterator[Silence]:
        yield told or Silence()

    patch.setattr(PostgresJournal, "changes", silent)
