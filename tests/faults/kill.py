"""Killed at any moment: the server dies again and again under load, and nothing that it promised may
be gone, or come to pass twice.

After each death the journal is held against every answer that anybody got; after the restart everybody
resumes, catches up and asks again; and in the end the runs have all ended, everybody has seen every
entry once, and `chorus verify` finds nothing that `--repair` does not mend.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.autopsy import Autopsy
from tests.faults.campaign import Campaign, scenario
from tests.faults.faulty_server import CRASHED, UNNAMED, WRITE_POINTS, Orders
from tests.faults.load import Load
from tests.faults.tireless_model import EMBEDDING_MODEL, TirelessModel, tireless_model
from tests.support.served import ServerProcess

AT_RANDOM: Final = "SIGKILL at a random moment"
AT_A_POINT: Final = "crash at a write point"

DEATHS_OF_A_LIFE: Final = 25
"""Kills on one data folder; then another one is begun."""

LIVES_AT_ONCE: Final = 2

WORK_SECONDS: Final = (0.02, 1.2)
"""How long a server works before it is killed, after everybody is back."""

POINT_SECONDS: Final = 20.0
"""How long the load may take to come by a write point."""


@dataclass
class Life:
    """One data folder with its servers, one after the other, and the load on them."""

    server: ServerProcess
    orders: Path
    """Where the server looks for the faults that are wanted."""
    model: TirelessModel
    load: Load
    dice: random.Random
    autopsy: Autopsy = field(default_factory=Autopsy)
    deaths: int = 0
    database_url: str | None = None
    """Of the journal; None where it is in the server's folder."""

    @classmethod
    @asynccontextmanager
    async def begun(
        cls,
        folder: Path,
        dice: random.Random,
        *,
        data: Path | None = None,
        settings: Mapping[str, object] | None = None,
        load: type[Load] = Load,
    ) -> AsyncIterator["Life"]:
        """A server with two threads and everybody signed in; `data` is in `folder` unless given.

        Args:
            load: what is done on it.
        """
        orders = folder / "orders.json"
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        async with tireless_model(dice) as model:
            server = ServerProcess(
                folder,
                model.url,
                {
                    "port": 0,
                    "connections_per_address": 0,
                    "prompts_per_minute": 0,
                    "frames_per_second": 0,
                    "read_kib_per_second": 0,
                    "sign_ins_per_minute": 0,
                    "thread_queue": 3,
                    "embedding_model": EMBEDDING_MODEL,
                    "llm": model.url,
                    **(settings or {}),
                },
                program=("-m", "tests.faults.faulty_server", str(orders)),
            )
            if data is not None:
                server.data = data
            await server.start()
            try:
                async with load.on(server, model, dice) as begun:
                    await begun.begin()
                    url = (settings or {}).get("database_url")
                    yield cls(
                        server, orders, model, begun, dice, database_url=str(url) if url else None
                    )
            finally:
                await server.kill()

    async def die_at_random(self) -> None:
        """Work for a random while, and be killed."""
        working = asyncio.create_task(self.load.work())
        await asyncio.wait({working}, timeout=self.dice.uniform(*WORK_SECONDS))
        await self.server.kill()
        await working
        await self.examine()

    async def die_at(self, point: str, nth: int) -> bool:
        """Work until the server crashes at a write point; False where it did not come by."""
        await asyncio.to_thread(Orders(crash_at=point, crash_nth=nth).write, self.orders)
        working = asyncio.create_task(self.load.work())
        await asyncio.wait({working}, timeout=POINT_SECONDS)
        if not working.done():
            await self.server.kill()
            await working
        code = await self.server.ended()
        await asyncio.to_thread(self.orders.unlink)
        await self.examine()
        return code == CRASHED

    async def examine(self) -> None:
        """Hold what the dead server left against what it had promised."""
        self.deaths += 1
        await asyncio.to_thread(self.autopsy.read, await self._journal_folder())
        self.autopsy.check(self.load.acknowledged)
        self.model.new_life(self.autopsy.completed_steps())

    async def _journal_folder(self) -> Path:
        """Where the journal is read; that of a database is copied into a folder."""
        if self.database_url is None:
            return self.server.data
        folder = self.orders.with_name(f"copy-{self.deaths}")
        code, _, errors = await self.server.command(
            "copy", "--from", self.database_url, "--to", str(folder)
        )
        assert code == 0, errors
        return folder

    async def rise(self) -> None:
        """Start the next server, and let everybody come back."""
        await self.server.start()
        if not await self.load.come():
            self.load.problems.append("the server died although nobody killed it")

    async def settle(self) -> list[str]:
        """Let everything end, compare and verify; gives all that went wrong."""
        await self.load.rest()
        await self.load.compare()
        if code := await self.server.stop():
            self.load.problems.append(f"the server ended with {code}")
        await self.examine()
        problems = [*self.load.problems, *self.autopsy.problems]
        if self.autopsy.live_runs:
            problems.append(f"{len(self.autopsy.live_runs)} runs have not ended")
        problems += [
            f"asked of the model again: {' '.join(map(str, each))}" for each in self.model.repeated
        ]
        _, told, errors = await self.server.command("verify", "--repair")
        code, still, _ = await self.server.command("verify")
        if code:
            problems.append(f"verify --repair said {told}{errors}, and then verify {still}")
        for bad in ("Traceback", UNNAMED):
            _, found, rest = self.server.log().partition(bad)
            if found:
                problems.append(f"in the log: {bad}{rest[:2_000]}")
        return problems

    async def close_into(self, campaign: Campaign) -> None:
        """Settle a life whose faults are counted already; what went wrong is the last one's."""
        for problem in await self.settle():
            campaign.failed(problem)
        losses = self.load.lost + self.autopsy.lost
        twice = self.autopsy.duplicated + len(self.model.repeated)
        if losses or twice:
            campaign.injected(next(reversed(campaign.counts)), 0, lost=losses, duplicated=twice)

    def count(self, campaign: Campaign, fault: str, times: int, problems: list[str]) -> None:
        """Put into the table what became of so many faults."""
        campaign.injected(
            fault,
            times,
            survived=times if not problems else 0,
            lost=self.load.lost + self.autopsy.lost,
            duplicated=self.autopsy.duplicated + len(self.model.repeated),
        )
        for problem in problems:
            campaign.failed(f"{fault}: {problem}")


@scenario("kill")
async def kills(campaign: Campaign) -> None:
    """SIGKILL at random moments."""
    lives, deaths = (1, 3) if campaign.short else (8, DEATHS_OF_A_LIFE)
    at_once = asyncio.Semaphore(LIVES_AT_ONCE)

    async def live(number: int) -> None:
        dice = random.Random(campaign.random.random())
        async with at_once, Life.begun(campaign.folder / str(number), dice) as life:
            for _ in range(deaths):
                await life.die_at_random()
                await life.rise()
            life.count(campaign, AT_RANDOM, deaths, await life.settle())

    await asyncio.gather(*map(live, range(lives)))


@scenario("crash")
async def crashes(campaign: Campaign) -> None:
    """A crash at every named write point."""
    wanted = [(point, campaign.random.randint(1, 3)) for point in WRITE_POINTS]
    lives = LIVES_AT_ONCE
    if campaign.short:
        wanted, lives = campaign.random.sample(wanted, 3), 1
    at_once = asyncio.Semaphore(LIVES_AT_ONCE)

    async def live(number: int) -> None:
        dice = random.Random(campaign.random.random())
        async with at_once, Life.begun(campaign.folder / str(number), dice) as life:
            came = 0
            for point, nth in wanted[number::lives]:
                if await life.die_at(point, nth):
                    came += 1
                else:
                    life.load.problems.append(f"the load never came by {point!r} {nth} times")
                await life.rise()
            life.count(campaign, AT_A_POINT, came, await life.settle())

    await asyncio.gather(*map(live, range(lives)))
