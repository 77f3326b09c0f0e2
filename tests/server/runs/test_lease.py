"""The lease of a server over time, on a clock that the test moves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from machines.models.errors import JournalError
from machines.models.lease import LeasePolicy, LeaseStatus
from server.environment import system_environment
from server.metrics import Metrics
from server.runs.lease import ServerLease
from storage.journal.sqlite import SqliteJournal


class SharedJournal(SqliteJournal):
    """Renews while `answers` is set, and says that others may write to it."""

    answers = True

    @property
    def shared(self) -> bool:
        return True

    async def heartbeat(self, server_id: str, *, seconds: float) -> bool:
        del server_id, seconds
        if not self.answers:
            raise JournalError("The database is away.", retryable=True, certain=True)
        return True


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


POLICY = LeasePolicy()


@asynccontextmanager
async def joined(journal: SqliteJournal, clock: Clock) -> AsyncIterator[ServerLease]:
    environment = replace(system_environment(), monotonic=clock)
    await journal.open()
    try:
        lease = ServerLease(journal, environment, POLICY, "test", Metrics())
        await lease.join()
        yield lease
    finally:
        await journal.close()


async def test_the_lease_of_a_folder_stays_live_however_seldom_it_is_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    with caplog.at_level("INFO", logger="server.runs.lease"):
        async with joined(SqliteJournal(tmp_path / "journal.sqlite3"), clock) as lease:
            caplog.clear()
            for _ in range(3):
                clock.now += 10 * POLICY.seconds
                assert await lease.require() == lease.id
                await lease.renew()
                assert lease.status is LeaseStatus.LIVE
    assert not caplog.messages, "nothing changed, so nothing is told"


async def test_a_shared_lease_that_is_not_renewed_is_suspect_until_it_is(tmp_path: Path) -> None:
    clock, journal = Clock(), SharedJournal(tmp_path / "journal.sqlite3")
    async with joined(journal, clock) as lease:
        clock.now += POLICY.suspect_seconds
        journal.answers = False
        with pytest.raises(JournalError):
            await lease.renew()
        assert lease.status.value == "suspect"
        journal.answers = True
        await lease.renew()
        assert await lease.require() == lease.id
        assert lease.status is LeaseStatus.LIVE
