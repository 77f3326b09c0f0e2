"""Which runs this server works on: what it carries, and what it takes over from servers that are gone.

Servers are equals: each renews its lease, and looks for runs that no living server carries. Nothing is
taken from a server that lives, however long it needs. One that ends in order gives its runs back, and
the others hear of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Final

from machines.chorus import known_fingerprints
from machines.models.chorus import CarrierLost, RunProgress, StateLost
from machines.models.errors import ChorusError
from machines.models.ids import RunId
from machines.models.lease import LeasePolicy, LeaseStatus
from server.concurrency.interruption import Interruption
from server.environment import Environment
from server.metrics import Metrics
from server.runs.interpreter import Chorus
from server.runs.lease import ServerLease
from server.runs.succession import RunSuccession
from storage.journal.port import Journal

log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 15.0
"""How long one of this server's own runs is idle before its effect counts as lost."""

SETTLE_SECONDS: Final = 0.5
"""How long an end waits for commits that are under way before the runs are given back."""

SetRetries = Callable[[Iterable[RunProgress]], None]
"""Sets the timers of runs that wait for their next attempt, where they have none."""


class Takeover:
    """Keeps the lease, and the runs of this server: `begin`, then `run`, and `hand_over` at the end."""

    def __init__(
        self,
        *,
        journal: Journal,
        environment: Environment,
        lease: ServerLease,
        policy: LeasePolicy,
        chorus: Chorus,
        succession: RunSuccession,
        set_retries: SetRetries,
        forget_retries: Callable[[], None],
        settle: Callable[[float], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        """
        Args:
            settle: Waits for the commits that are under way, at most so many seconds.
        """
        self._journal = journal
        self._environment = environment
        self._lease = lease
        self._policy = policy
        self._chorus = chorus
        self._succession = succession
        self._set_retries = set_retries
        self._forget_retries = forget_retries
        self._settle = settle
        self._metrics = metrics
        self._keeping: asyncio.Task[None] | None = None
        self._rest = Interruption()
        self._recovering: set[asyncio.Task[None]] = set()
        self._claimed: tuple[RunProgress, ...] = ()
        """Runs that were claimed, and whose chart is not known yet."""
        self._taking_over: set[RunId] = set()
        """Runs of other charts, until they are taken over: nothing else happens to them."""
        self._idle: frozenset[RunId] = frozenset()
        self._watched_at = environment.monotonic()
        lease.when_it_ends(self._stop)

    @property
    def status(self) -> LeaseStatus:
        """Where the lease stands: while it is live, this server may commit."""
        return self._lease.status

    async def begin(self) -> None:
        """Take up what no living server carries; the lease is had.

        Raises:
            JournalError: it cannot be read.
            StateError: today's chart can neither lead on nor end a run of another version.
        """
        renewing = asyncio.create_task(self._renew())
        try:
            await self._succession.look_at_queues()
            await self._claim()
            for ended in await asyncio.gather(*self._recovering, return_exceptions=True):
                # What was broken off, since the lease was lost, is claimed again.
                if isinstance(ended, Exception):
                    raise ended
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self) -> None:
        """Keep the lease while a start takes its time: without one nothing is committed."""
        while True:
            await asyncio.sleep(self._policy.renew_seconds)
            try:
                await self._lease.renew()
            except ChorusError as error:
                log.warning("this server's lease is not renewed: %s", error.message)

    async def run(self) -> None:
        """Renew the lease, and take over what becomes free, until cancelled."""
        self._keeping = asyncio.current_task()
        pause = self._policy.renew_seconds if self._journal.shared else WATCH_SECONDS
        while True:
            try:
                await self._lease.renew()
                if self._lease.status is LeaseStatus.LIVE:
                    if self._journal.shared:
                        await self._claim()
                    await self._watch()
                async with self._rest.allowed():
                    await self._journal.run_released(pause)
            except ChorusError as error:
                log.warning("this server's lease is not renewed: %s", error.message)
                await asyncio.sleep(pause)

    def give_up(self) -> None:
        """Break off what is under way, and join again at once: the database lost commits."""
        self._lease.give_up()
        self._rest.interrupt()

    async def hand_over(self) -> None:
        """Break off what is under way, and give it to the others. What is being committed is committed
        first."""
        if self._keeping is not None:
            self._keeping.cancel()
        await self._chorus.close()
        await self._settle(SETTLE_SECONDS)
        try:
            await self._lease.release()
        except ChorusError as error:
            log.warning("runs go on once the lease of this server runs out: %s", error.message)

    async def _claim(self) -> None:
        claimed = await self._journal.claim_runs(self._lease.id, fingerprints=known_fingerprints())
        self._metrics.runs_claimed(len(claimed))
        if claimed:
            log.info("%d runs are taken over", len(claimed))
        self._claimed += claimed
        if self._claimed:
            charts = await self._succession.charts_of(self._claimed)
            runs, self._claimed = self._claimed, ()
            self._taking_over.update(charts)
            self._begin(self._take_over([each for each in runs if each.id in charts], charts))
            alike = tuple(each for each in runs if each.id not in charts)
            self._set_retries(alike)
            lost = CarrierLost if self._journal.shared else StateLost
            self._begin(self._chorus.recover(alike, lost))

    async def _take_over(self, runs: Sequence[RunProgress], charts: Mapping[RunId, str]) -> None:
        try:
            await self._succession.take_over(runs, charts)
        finally:
            self._taking_over.difference_update(charts)

    async def _watch(self) -> None:
        """Break off what others took, and take up again what was lost on the way."""
        under_way = self._chorus.under_way()
        carried = await self._journal.carried_runs(self._lease.id)
        self._chorus.keep_only(under_way, {run.id for run in carried})
        now = self._environment.monotonic()
        if now - self._watched_at < WATCH_SECONDS:
            return
        self._watched_at = now
        untaken = self._taking_over.union(run.id for run in self._claimed)
        carried = tuple(run for run in carried if run.id not in untaken)
        self._set_retries(carried)
        # Seen idle twice: a run between two of its effects is idle for a moment.
        idle = tuple(run for run in carried if self._chorus.is_idle(run))
        lost = tuple(run for run in idle if run.id in self._idle)
        self._idle = frozenset(run.id for run in idle)
        if lost:
            self._begin(self._chorus.recover(lost, StateLost))

    def _begin(self, recovery: Coroutine[object, object, None]) -> None:
        """Recover beside the lease: a thread that is busy must not cost it."""
        task = asyncio.create_task(recovery)
        self._recovering.add(task)
        task.add_done_callback(self._recovering.discard)

    def _stop(self) -> None:
        self._claimed = ()
        self._taking_over.clear()
        for task in self._recovering:
            task.cancel()
        self._chorus.stop_all()
        self._forget_retries()
