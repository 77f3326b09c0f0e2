"""A dead endpoint, and the breaker that spares it: runs wait, and none that has attempts left ends."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from machines.models.breaker import BreakerPolicy
from server.llm.policy import ModelPolicy
from server.services import Services
from tests.faults.campaign import Campaign, scenario
from tests.support.client import Data
from tests.support.follower import DELAYED, Follower, edges_of, services_with_model
from tests.support.obedient_model import STEPS, obedient_model
from tests.support.scripted_endpoint import ScriptedEndpoint, refuses, says

QUICK_BREAKER: Final = BreakerPolicy(
    threshold=5, first_wait_seconds=0.2, longest_wait_seconds=0.8, longest_delay_seconds=1.0
)
"""A second of this is half a minute of the usual one."""


LONG_ENOUGH: Final = BreakerPolicy(
    threshold=1, first_wait_seconds=3.0, longest_wait_seconds=3.0, longest_delay_seconds=3.0
)
"""A server can end before the delay does."""


_DELAYS: Final = re.compile(rb'chorus_run_recoveries_total\{cause="attempt_delayed"\} ([\d.]+)')


@dataclass(frozen=True)
class Spared:
    """What a breaker did for a dead endpoint and the runs that waited for it."""

    finished: int
    delayed: int
    """`recovering` frames of attempts that were not made."""
    longest_delay_ms: int
    asked_when_back: int
    """Requests for first steps that the endpoint answered."""


async def breaking(folder: Path, *, runs: int = 12) -> Spared:
    """Runs before an endpoint that is away until as many delays were told; all must end well."""
    async with obedient_model() as model:
        model_policy = ModelPolicy(backoff_base_ms=20, breaker=QUICK_BREAKER)
        async with services_with_model(model.url, folder, model_policy, max_attempts=6) as services:
            answered = 0

            async def dead(endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
                nonlocal answered
                if delays_told(services) < runs:
                    return await refuses(503)(endpoint, request)
                answered += 1
                return await says("I am back.")(endpoint, request)

            prompts = [f"Are you there, {number}?" for number in range(runs)]
            for prompt in prompts:
                model.plan(prompt, "action", *[dead] * 6)
            asking = [Follower(services, prompt).ask() for prompt in prompts]
            followers = await asyncio.gather(*asking)
            ends = await asyncio.gather(*(each.end() for each in followers))
    delays = [
        entry["retry_in_ms"]
        for each in followers
        for entry in each.entries("recovering")
        if edges_of(entry) == [DELAYED]
    ]
    return Spared(
        finished=sum(end["status"] == "finished" for end in ends),
        delayed=len(delays),
        longest_delay_ms=max(delays, default=0),
        asked_when_back=answered,
    )


def delays_told(services: Services) -> int:
    """Attempts that were not made, as operators see them."""
    told = _DELAYS.search(services.metrics.text())
    return int(float(told[1])) if told else 0


async def delayed_over_a_restart(folder: Path) -> Data:
    """A run that waits for a spared endpoint when its server ends; how it ends in the next one."""
    prompt = "Are you there, after all?"
    model_policy = ModelPolicy(backoff_base_ms=20, breaker=LONG_ENOUGH)
    async with obedient_model() as model:
        model.plan(prompt, "action", refuses(503))
        async with services_with_model(model.url, folder, model_policy) as services:
            run = await Follower(services, prompt).ask()
            await run.delayed()
        async with services_with_model(model.url, folder, model_policy) as services:
            again = await run.come_again(services)
            ended = await again.end()
            attempts = [
                each["attempt"] for each in again.entries("started") if each["step"] == "action"
            ]
        assert len(model.reads(prompt)) == 1 + len(STEPS), "an attempt was made twice, or never"
        assert attempts == [1, 2, 3], f"made, delayed and made again, and it was {attempts}"
    return ended


@scenario("upstream: breaker")
async def endpoint_dies(campaign: Campaign) -> None:
    """An endpoint that is away for a while, and a server that ends meanwhile."""
    with campaign.fault("upstream is away for a while"):
        spared = await breaking(campaign.folder / "breaking")
        assert spared.finished == 12, f"the breaker let runs fail: {spared}"
    with campaign.fault("server ends while a run is delayed"):
        ended = await delayed_over_a_restart(campaign.folder / "restart")
        assert ended["status"] == "finished", ended
