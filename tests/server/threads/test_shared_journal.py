"""Two servers on one journal: what one of them remembers of a thread, the other may have changed.

Both are services over the same open journal, which says that it is shared.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from machines.models.commands import (
    AcceptInvitation,
    Invite,
    LeaveCoAuthorship,
    OpenThread,
    Policy,
    Rename,
    ThreadCommand,
)
from machines.models.errors import NotCarried, RequestRefused
from machines.models.ids import PublicKey, ThreadId, thread_stream
from machines.models.journal import Batch, Committed, DecisionView
from machines.models.thread import Visibility
from server.environment import system_environment
from server.threads.broadcast import Broadcast
from server.threads.service import Outcome, ThreadService
from server.wire.renderer import Renderer
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support.client import Identity

ENVIRONMENT = system_environment()
ADA, BOB = (PublicKey(Identity().public_key) for _ in range(2))
RENAMES = 30


class SharedJournal(SqliteJournal):
    """Says that others write to it, and counts how often a thread is read."""

    reads = 0

    @property
    def shared(self) -> bool:
        return True

    async def decision_view(self, thread_id: ThreadId) -> DecisionView | None:
        self.reads += 1
        return await super().decision_view(thread_id)


class TwoServers:
    """Ada's private thread, and two servers that carry it."""

    def __init__(self, journal: SharedJournal, here: ThreadService, there: ThreadService) -> None:
        self.journal = journal
        self.here = here
        self.there = there
        self.thread_id = ThreadId(ENVIRONMENT.new_id())

    async def open(self) -> None:
        """Make the thread, here."""
        await self.here.open_thread(
            OpenThread(
                thread_id=self.thread_id,
                at=ENVIRONMENT.now(),
                by=ADA,
                name="Evening",
                visibility=Visibility.PRIVATE,
            )
        )

    async def rename(self, server: ThreadService, by: PublicKey, name: str) -> Outcome:
        """Give the thread another name."""

        def make(_: tuple[str, ...]) -> ThreadCommand:
            return Rename(thread_id=self.thread_id, at=ENVIRONMENT.now(), by=by, name=name)

        return await server.perform(self.thread_id, make)

    async def bring_bob_in(self, server: ThreadService) -> None:
        """Make Bob a co-author."""
        at = ENVIRONMENT.now()
        for make in (
            lambda ids: Invite(thread_id=self.thread_id, at=at, by=ADA, ids=ids, public_key=BOB),
            lambda ids: AcceptInvitation(thread_id=self.thread_id, at=at, by=BOB, ids=ids),
        ):
            await server.perform(self.thread_id, make)

    async def let_bob_leave(self, server: ThreadService) -> None:
        """Make him a stranger."""
        at = ENVIRONMENT.now()
        await server.perform(
            self.thread_id,
            lambda ids: LeaveCoAuthorship(thread_id=self.thread_id, at=at, by=BOB, ids=ids),
        )


@asynccontextmanager
async def a_server(journal: SqliteJournal) -> AsyncIterator[ThreadService]:
    renderer = Renderer()
    try:
        yield ThreadService(journal, Broadcast(), Policy(), ENVIRONMENT.new_id, renderer)
    finally:
        renderer.close()


@pytest_asyncio.fixture
async def servers(tmp_path: Path) -> AsyncIterator[TwoServers]:
    journal = SharedJournal(tmp_path / JOURNAL_FILE)
    await journal.open()
    try:
        async with a_server(journal) as here, a_server(journal) as there:
            servers = TwoServers(journal, here, there)
            await servers.open()
            yield servers
    finally:
        await journal.close()


async def test_who_left_through_another_server_may_not_read_here_any_more(
    servers: TwoServers,
) -> None:
    await servers.bring_bob_in(servers.here)
    assert await servers.here.readable(servers.thread_id, BOB) is not None
    await servers.let_bob_leave(servers.there)
    assert await servers.here.readable(servers.thread_id, BOB) is None, (
        "rights are those that the journal knows, not those that this server remembers"
    )
    seen = await servers.here.view(servers.thread_id)
    assert seen is not None
    assert seen.thread.co_authors == (ADA,)


async def test_who_joined_through_another_server_is_not_refused_here(servers: TwoServers) -> None:
    await servers.rename(servers.here, ADA, "Kept in mind here")
    await servers.bring_bob_in(servers.there)
    outcome = await servers.rename(servers.here, BOB, "Bob's name for it")
    assert outcome.seq == await servers.journal.head(thread_stream(servers.thread_id))


async def test_a_refusal_that_stands_reads_once_and_changes_nothing(servers: TwoServers) -> None:
    before = servers.journal.reads
    with pytest.raises(RequestRefused):
        await servers.rename(servers.here, BOB, "A stranger's name for it")
    assert servers.journal.reads == before + 1, "a refusal is looked at again once"
    seen = await servers.journal.thread(servers.thread_id)
    assert seen is not None
    assert seen.name == "Evening"


async def test_servers_that_change_one_thread_at_once_lose_no_change(servers: TwoServers) -> None:
    outcomes = await asyncio.gather(
        *(
            servers.rename(server, ADA, f"name {number}")
            for number in range(RENAMES)
            for server in (servers.here, servers.there)
        )
    )
    first = min(each.seq for each in outcomes)
    assert sorted(each.seq for each in outcomes) == list(range(first, first + 2 * RENAMES)), (
        "each change has a number of its own, and none is missing"
    )


async def test_a_batch_that_is_fenced_is_told(tmp_path: Path) -> None:
    class Fencing(SharedJournal):
        async def commit(self, batch: Batch) -> Committed:
            raise NotCarried("Another server carries this run.")

    journal = Fencing(tmp_path / JOURNAL_FILE)
    fenced: list[None] = []
    await journal.open()
    try:
        async with a_server(journal) as server:
            server.report_fenced(lambda: fenced.append(None))
            with pytest.raises(NotCarried):
                await TwoServers(journal, server, server).open()
    finally:
        await journal.close()
    assert len(fenced) == 1
