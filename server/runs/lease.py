"""The lease of this server: asks for it, renews it, and stands in front of every commit.

The chart (`machines.lease`) says what follows from an answer, from silence and from an end; here the
journal is asked and time is measured. What this server carries is broken off where the lease ends.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import assert_never

from machines.lease import lease_machine
from machines.models.effects import JoinAgain, LeaseEffect, StopCarrying
from machines.models.errors import JournalError
from machines.models.ids import ServerId
from machines.models.lease import (
    Lease,
    LeaseChecked,
    LeaseEvent,
    LeaseGranted,
    LeaseLost,
    LeasePolicy,
    LeaseReleased,
    LeaseRenewed,
    LeaseStatus,
)
from machines.statechart import Accepted
from server.environment import Environment
from server.metrics import Metrics
from storage.journal.port import Journal

log = logging.getLogger(__name__)


class ServerLease:
    """One lease after the other: `join` first, then `renew` again and again, `release` last."""

    def __init__(
        self,
        journal: Journal,
        environment: Environment,
        policy: LeasePolicy,
        version: str,
        metrics: Metrics,
    ) -> None:
        """
        Args:
            version: Of the server, for operators.
        """
        self._metrics = metrics
        self._journal = journal
        self._environment = environment
        self._policy = policy
        self._version = version
        self._lease = self._fresh()
        self._live = asyncio.Event()
        """Set while the lease is live."""
        self._stop_carrying: Callable[[], None] = lambda: None
        self._given_up: ServerId | None = None
        """The lease that was given up, and is not ended in the database yet."""

    def when_it_ends(self, stop_carrying: Callable[[], None]) -> None:
        """Call `stop_carrying` at the end of each lease; it never blocks."""
        self._stop_carrying = stop_carrying

    @property
    def id(self) -> ServerId:
        """By which the other servers know this one now."""
        return self._lease.id

    @property
    def status(self) -> LeaseStatus:
        """Where the lease stands."""
        return self._lease.status

    @property
    def seconds_left(self) -> float:
        """Until others may take this server for dead, by its own clock; 0 where it has no lease. In a folder
        no time runs."""
        lease = self._lease
        if lease.status not in {LeaseStatus.LIVE, LeaseStatus.SUSPECT} or lease.renewed_at is None:
            return 0.0
        if not self._journal.shared:
            return lease.policy.seconds
        left = lease.renewed_at + lease.policy.seconds - self._environment.monotonic()
        return max(left, 0.0)

    async def require(self) -> ServerId:
        """The name by which this server may commit; a lease that is overdue is waited for.

        Raises:
            JournalError: the lease is not renewed in its time, or is given back; nothing was written.
        """
        self._check(self._environment.monotonic())
        if self._lease.status in {LeaseStatus.JOINING, LeaseStatus.SUSPECT}:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._policy.seconds):
                    await self._live.wait()
        if self._lease.status is not LeaseStatus.LIVE:
            raise JournalError(
                "This server is cut off from the database, or going away: try again later.",
                certain=True,
                detail=f"the lease is {self._lease.status.value}",
            )
        return self._lease.id

    async def join(self) -> None:
        """Ask for a lease. Raises JournalError."""
        if self._given_up is not None:
            self._metrics.runs_handed_over(await self._journal.leave(self._given_up))
            self._given_up = None
        at = self._environment.monotonic()
        await self._journal.join(
            self._lease.id, version=self._version, seconds=self._policy.seconds
        )
        self._fire(LeaseGranted(at=at))
        self._metrics.lease_renewed()

    async def compare_lengths(self) -> None:
        """Say where leases of living servers run longer or shorter than this one's. Raises JournalError.

        It does no harm: each lease runs by its own length, and its server stops itself by the same. But a
        dead server's runs then wait for as long as its own lease.
        """
        own = self._policy.seconds
        others = [each for each in await self._journal.lease_lengths() if each != own]
        if others:
            log.warning(
                "CHORUS_LEASE_SECONDS is %g here and %s at other servers of this database: let it be the"
                " same at all of them",
                own,
                ", ".join(f"{each:g}" for each in others),
            )

    async def renew(self) -> None:
        """Let the lease run on; where it is over, ask for another.

        Raises:
            JournalError: the database gives no answer.
        """
        match self._lease.status:
            case LeaseStatus.JOINING:
                await self.join()
            case LeaseStatus.LIVE | LeaseStatus.SUSPECT:
                await self._renew()
            case LeaseStatus.DEAD:
                return  # released: there is no other
            case _:
                assert_never(self._lease.status)

    async def _renew(self) -> None:
        at = self._environment.monotonic()
        self._check(at)
        if await self._journal.heartbeat(self._lease.id, seconds=self._policy.seconds):
            self._fire(LeaseRenewed(at=at))
            self._metrics.lease_renewed()
            return
        log.warning("this server was declared dead by the others, and joins again")
        self._fire(LeaseLost())
        await self.join()

    def give_up(self) -> None:
        """The database lost commits: what is carried is not what it says. The next `renew` joins again."""
        if self._lease.status in {LeaseStatus.LIVE, LeaseStatus.SUSPECT}:
            self._given_up = self._lease.id
            self._fire(LeaseLost())

    async def release(self) -> None:
        """End the lease, and give back what this server carries. Raises JournalError."""
        if self._lease.status is LeaseStatus.DEAD:
            return
        server_id = self._lease.id
        self._fire(LeaseReleased())
        self._metrics.runs_handed_over(await self._journal.leave(server_id))

    def _check(self, at: float) -> None:
        """Of a store that is not shared nothing can be taken over, so that no renewal is overdue."""
        if self._journal.shared:
            self._fire(LeaseChecked(at=at))

    def _fresh(self) -> Lease:
        return Lease(id=ServerId(self._environment.new_id()), policy=self._policy)

    def _fire(self, event: LeaseEvent) -> None:
        """Take an event; one that the chart refuses changes nothing."""
        outcome = lease_machine().fire(self._lease, event)
        if not isinstance(outcome, Accepted):
            return
        if outcome.state.status is not self._lease.status:
            log.info("the lease of this server is %s", outcome.state.status.value)
        self._lease = outcome.state
        if self._lease.status is LeaseStatus.LIVE:
            self._live.set()
        else:
            self._live.clear()
        for effect in outcome.effects:
            self._perform(effect)

    def _perform(self, effect: LeaseEffect) -> None:
        match effect:
            case StopCarrying():
                self._stop_carrying()
            case JoinAgain():
                self._lease = self._fresh()
            case _:
                assert_never(effect)
