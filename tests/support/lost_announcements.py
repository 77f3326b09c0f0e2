"""Servers that are never told what others commit, as where every announcement is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from machines.models.ids import StreamId
from storage.journal.port import Change
from storage.journal.postgres.journal import PostgresJournal


class Silence:
    """Changes of which none is ever told, and others were."""

    async def __aiter__(self) -> AsyncIterator[Change]:
        await asyncio.Event().wait()
        yield Change(StreamId("thread:none"), 0, 1)


def lose_announcements(patch: pytest.MonkeyPatch) -> None:
    """Let every server that starts from now on hear nothing, until `patch` is undone."""

    @asynccontextmanager
    async def silent(_: PostgresJournal) -> AsyncIterator[Silence]:
        yield Silence()

    patch.setattr(PostgresJournal, "changes", silent)
