"""Servers of one database that join and leave while all of them look for runs that nobody carries, as
processes: of one version, and of two during an upgrade.

What is taken twice would lose its carrier twice, or ask the model for a step that was completed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import migrate
from tests.faults.campaign import Campaign, scenario
from tests.support.client import Identity, new_id, signed_in
from tests.support.cluster import ServerCluster, cluster_of
from tests.support.eventually import eventually
from tests.support.fake_qdrant import fake_qdrant
from tests.support.handed_over import completed_steps_asked, ended
from tests.support.next_release import ADDITIVE, PROGRAM, next_release
from tests.support.obedient_model import Gate, ObedientModel, obedient_model
from tests.support.postgres import cluster
from tests.support.run_rows import RunRows
from tests.support.served import ServerProcess

SERVERS: Final = 4
RUNS: Final = 60
ROUNDS: Final = 12
ROUNDS_IN_SHORT: Final = 2
RUNS_IN_SHORT: Final = 8

ANSWER: Final = ("Held ", "long")
"""The pieces of what the last step of every run gives."""
LEASE_SECONDS: Final = 10.0
WITHIN: Final = 120.0
"""Seconds until what a server leaves is taken up, on a machine that is busy with all of them."""


@dataclass(frozen=True)
class HeldRun:
    """A run whose last step is held by the model."""

    who: Identity
    prompt: str
    thread_id: str
    id: str
    held: Gate
    asked: Counter[str]
    """How often the model was asked for each step before."""


@dataclass
class Storm:
    """Servers, their runs, and how often each run lost its carrier by what was done to servers."""

    servers: ServerCluster
    model: ObedientModel
    rows: RunRows
    runs: list[HeldRun] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)

    async def begin(self, at: ServerProcess, count: int) -> list[HeldRun]:
        """Begin so many runs at a server."""
        begun = [await self._begun(at) for _ in range(count)]
        self.runs += begun
        return begun

    async def _begun(self, at: ServerProcess) -> HeldRun:
        who, prompt = Identity(), new_id()
        # Each carrier asks for the last step anew, and all of them are held.
        held = self.model.hold(prompt, "yield", *ANSWER, times=10 * ROUNDS)
        async with signed_in(at.url, who) as client:
            thread_id = await client.new_thread()
            run = await client.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
            await held.reached.wait()
        asked = completed_steps_asked(self.model, prompt)
        return HeldRun(who, prompt, thread_id, str(run["run_id"]), held, asked)

    async def lose(self, lost: Sequence[ServerProcess], *, kill: bool) -> float:
        """End servers at once; gives the seconds until the others carry all that those carried."""
        began = time.monotonic()
        before = await self._rows_of_runs()
        await asyncio.gather(*(each.kill() if kill else each.stop() for each in lost))

        left = len(self.servers.servers) - len(lost)

        async def is_taken_up() -> bool:
            living = await asyncio.to_thread(self.rows.living)
            carriers = await self._rows_of_runs()
            return (
                len(living) == left
                and len(carriers) == len(self.runs)
                and living.issuperset(carriers.values())
            )

        await eventually(is_taken_up, "all runs are carried", within=WITHIN)
        after = await self._rows_of_runs()
        self.losses.update(run for run, carrier in after.items() if before[run] != carrier)
        return time.monotonic() - began

    async def _rows_of_runs(self) -> dict[str, str]:
        return await asyncio.to_thread(self.rows.servers_of_runs)

    async def judge(self, at: ServerProcess) -> None:
        """Let every run end; none was begun anew, or taken by two."""
        for run in self.runs:
            run.held.opened.set()
        for run in self.runs:
            entries = await ended(at, run.who, run.thread_id, run.id)
            assert "".join(ANSWER) in str(entries)
            assert completed_steps_asked(self.model, run.prompt) == run.asked, (
                "a step was done again"
            )
            lost = await asyncio.to_thread(self.rows.losses_of, run.id)
            assert lost == self.losses[run.id], (
                f"lost {self.losses[run.id]} carriers, told of {lost}"
            )


@asynccontextmanager
async def _storm(campaign: Campaign, servers: int) -> AsyncIterator[Storm]:
    with cluster() as postgres:
        url = await asyncio.to_thread(postgres.database, migrated=True)
        async with (
            obedient_model() as model,
            fake_qdrant() as qdrant,
            cluster_of(
                servers,
                campaign.folder,
                model.url,
                database_url=url,
                qdrant_url=qdrant.url,
                lease_seconds=LEASE_SECONDS,
            ) as running,
        ):
            yield Storm(running, model, RunRows(postgres, url))


@scenario("claim storm", patient=True)
async def claim_storm(campaign: Campaign) -> None:
    """Half of the servers are killed or stopped at once, again and again, and come back."""
    rounds, runs = (ROUNDS_IN_SHORT, RUNS_IN_SHORT) if campaign.short else (ROUNDS, RUNS)
    seconds: list[float] = []
    async with _storm(campaign, SERVERS) as storm:
        for number in range(SERVERS):
            await storm.begin(storm.servers.servers[number], runs // SERVERS)
        for kill in (True, False) * (rounds // 2):
            lost = campaign.random.sample(storm.servers.servers, SERVERS // 2)
            fault = (
                f"half of the servers that share {runs} runs are {'killed' if kill else 'stopped'}"
            )
            with campaign.fault(fault):
                seconds.append(await storm.lose(lost, kill=kill))
            await asyncio.gather(*(each.start() for each in lost))
        with campaign.fault("the runs that all of them passed on end"):
            await storm.judge(storm.servers.servers[0])
    print(f"  all runs were carried again after at most {max(seconds):.1f} s")


@scenario("two versions", patient=True)
async def two_versions(campaign: Campaign) -> None:
    """An upgrade beside servers that work, and servers of both versions that are killed and stopped."""
    rounds = ROUNDS_IN_SHORT if campaign.short else ROUNDS
    async with _storm(campaign, 2) as storm:
        old = list(storm.servers.servers)
        of_old = await storm.begin(old[0], 2) + await storm.begin(old[1], 2)
        with campaign.fault("an upgrade beside servers of the version before"):
            await asyncio.to_thread(_upgrade, storm.rows.url)
        new = [await storm.servers.join(program=PROGRAM) for _ in range(2)]
        of_new = await storm.begin(new[0], 2) + await storm.begin(new[1], 2)
        for kill in (True, False) * (rounds // 2):
            for version, servers in (("old", old), ("new", new)):
                lost = campaign.random.choice(servers)
                done = "killed" if kill else "stopped"
                with campaign.fault(f"one of two servers of the {version} version is {done}"):
                    await storm.lose([lost], kill=kill)
                await lost.start()
        with campaign.fault("each run was led by its own version alone, and is read at both"):
            await storm.judge(old[0])
            charts = []
            for runs in (of_old, of_new):
                led = {chart for run in runs for chart in storm.rows.charts_of(run.id)}
                assert len(led) == 1, f"led by {led}"
                charts.append(led)
            assert charts[0] != charts[1]
            for run in storm.runs:
                here, there = [
                    await ended(each, run.who, run.thread_id, run.id) for each in (old[1], new[1])
                ]
                assert here == there


def _upgrade(url: str) -> None:
    with next_release(ADDITIVE):
        migrate(PostgresAddress.parse(url), lambda: "named already")
