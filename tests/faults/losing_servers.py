"""One of several servers is killed, frozen past its lease and revived, or stopped: its runs go on at the
others, nothing is lost, and no completed step is done again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Final

from tests.faults.campaign import Campaign, scenario
from tests.support.client import Identity, new_id
from tests.support.cluster import cluster_of
from tests.support.fake_qdrant import fake_qdrant
from tests.support.handed_over import begun, completed_steps_asked, ended
from tests.support.obedient_model import ObedientModel, answer_to, obedient_model
from tests.support.postgres import cluster
from tests.support.served import ServerProcess

SERVERS: Final = 3
ROUNDS: Final = 10
"""Of each loss."""

Loss = Callable[[ServerProcess], Awaitable[object]]


async def _freeze(server: ServerProcess) -> None:
    server.freeze()


_LOSSES: Final[dict[str, Loss]] = {
    "a server is killed": ServerProcess.kill,
    "a server is frozen past its lease, and revived": _freeze,
    "a server is stopped": ServerProcess.stop,
}


@scenario("losing servers", patient=True)
async def losing_servers(campaign: Campaign) -> None:
    """Each loss of a server that works on a run, at its usual length of a lease."""
    seconds: dict[str, list[float]] = {}
    with cluster() as postgres:
        url = await asyncio.to_thread(postgres.database, migrated=True)
        async with (
            obedient_model() as model,
            fake_qdrant() as qdrant,
            cluster_of(
                SERVERS, campaign.folder, model.url, database_url=url, qdrant_url=qdrant.url
            ) as servers,
        ):
            for _ in range(1 if campaign.short else ROUNDS):
                for fault, lose in _LOSSES.items():
                    lost, other = campaign.random.sample(servers.servers, 2)
                    with campaign.fault(fault):
                        took = await _handed_over(model, lost, other, lose)
                        seconds.setdefault(fault, []).append(took)
                    await _back(lost, lose)
    for fault, all_ in seconds.items():
        print(f"  {fault}: the run was over after {median(all_):.1f} s, at most {max(all_):.1f} s")


async def _handed_over(
    model: ObedientModel, lost: ServerProcess, other: ServerProcess, lose: Loss
) -> float:
    """Lose a server with a run in its last step: the seconds until another has finished the run."""
    who, prompt = Identity(), new_id()
    thread_id, run_id, held = await begun(model, lost, who, prompt)
    asked = completed_steps_asked(model, prompt)
    began = time.monotonic()
    ending = asyncio.ensure_future(lose(lost))
    entries = await ended(other, who, thread_id, run_id)
    took = time.monotonic() - began
    await ending
    assert answer_to(prompt) in str(entries)
    assert completed_steps_asked(model, prompt) == asked, "a completed step was asked for again"
    if lose is _freeze:
        held.opened.set()
        lost.revive()
        assert await ended(lost, who, thread_id, run_id) == entries, "the revived one wrote"
    return took


async def _back(lost: ServerProcess, lose: Loss) -> None:
    if lose is not _freeze:
        await lost.start()
