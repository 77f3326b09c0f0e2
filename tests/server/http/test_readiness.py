"""Whether a server of several may be sent requests, over HTTP, and what its metrics say of its lease."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from aiohttp import ClientSession

from machines.models.lease import LeasePolicy, LeaseStatus
from server.environment import system_environment
from server.http.site import serve_web
from server.services import Services
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.postgres import Cluster
from tests.support.samples import sample
from tests.support.several_servers import several_servers

LEASE = LeasePolicy(seconds=5.0)


class Clock:
    """Seconds that go on by themselves, and that a test may move."""

    def __init__(self) -> None:
        self._monotonic = system_environment().monotonic
        self.ahead = 0.0

    def __call__(self) -> float:
        return self._monotonic() + self.ahead


Readiness = tuple[int, str]
"""Status and text of `/readyz`."""


@asynccontextmanager
async def asked(services: Services) -> AsyncIterator[Callable[[], "asyncio.Task[Readiness]"]]:
    """Asks a server for `/readyz`."""
    listening = socket.create_server(("127.0.0.1", 0))
    async with serve_web(services, listening) as address, ClientSession() as http:

        async def ask() -> Readiness:
            async with http.get(f"{address}/readyz") as response:
                return response.status, await response.text()

        yield lambda: asyncio.create_task(ask())


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


async def test_a_server_is_ready_while_its_lease_is_live_and_its_metrics_say_what_became_of_it(
    url: str, postgres: Cluster, tmp_path: Path
) -> None:
    clock = Clock()
    environment = replace(system_environment(), monotonic=clock)
    bar = f"ALTER DATABASE {url.rpartition('/')[2]} ALLOW_CONNECTIONS"
    started = several_servers(
        2, tmp_path, url, environment=environment, lease_seconds=LEASE.seconds, moody=True
    )
    async with started as (here, there), asked(here) as readiness:

        async def is_told(wanted: Readiness) -> bool:
            return await readiness() == wanted

        of_here, of_there = partial(sample, here.metrics), partial(sample, there.metrics)
        await eventually(lambda: is_told((200, "ready\n")), "a live server is ready")
        assert 0 < of_here("chorus_lease_seconds") <= LEASE.seconds
        assert of_here("chorus_lease_renewals_total") >= 1
        assert of_here("chorus_run_claims_total") >= 1
        states = {each: of_here(f'chorus_lease_state{{state="{each}"}}') for each in LeaseStatus}
        assert states == {each: float(each is LeaseStatus.LIVE) for each in LeaseStatus}

        await asyncio.to_thread(postgres.run, f"{bar} false")
        await asyncio.to_thread(postgres.terminate_connections, url)
        clock.ahead += LEASE.suspect_seconds
        await eventually(lambda: is_told((503, "the lease is suspect\n")), "it cannot be renewed")
        await asyncio.to_thread(postgres.run, f"{bar} true")
        await eventually(lambda: is_told((200, "ready\n")), "it is renewed")

        ann = await Caller(here).sign_in(Identity())
        thread_id = (await ann.get("create_thread", name="Evening"))["thread_id"]
        await ann.get("submit_prompt", thread_id=thread_id, prompt="HOLD")
        await eventually(lambda: len(here.chorus.under_way()) == 1, "its run is under way")

        await here.takeover.hand_over()
        assert await readiness() == (503, "the lease is dead\n")
        assert of_here("chorus_lease_seconds") == 0
        assert of_here("chorus_runs_handed_over_total") == 1
        await eventually(lambda: len(there.chorus.under_way()) == 1, "the run goes on elsewhere")
        assert of_there("chorus_runs_taken_over_total") == 1
