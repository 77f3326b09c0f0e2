"""Each fault of the catalogue takes its declared edge, and a breaker spares a dead endpoint.

All are met when the first test asks for them: some at once, in one server for each policy.
"""

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio

from server.llm.openai import open_client
from server.llm.policy import ModelPolicy
from tests.conftest import Tally
from tests.faults.breaking import (
    LONG_ENOUGH,
    QUICK_BREAKER,
    breaking,
    delayed_over_a_restart,
)
from tests.faults.upstream import (
    UNREACHABLE,
    certified,
    for_this_machine,
    meet_all,
    reach_in_vain,
)
from tests.faults.upstream_faults import FAULTS, Fault
from tests.support.follower import Follower, services_with_model
from tests.support.obedient_model import obedient_model
from tests.support.scripted_endpoint import refuses


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wrong(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What went wrong, by the name of the fault."""
    return await meet_all(tmp_path_factory.mktemp("upstream"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_takes_its_declared_edge(fault: Fault, wrong: dict[str, str]) -> None:
    assert fault.name not in wrong, wrong[fault.name]


def test_the_catalogue_is_large_and_names_each_fault_once(tally: Tally) -> None:
    names = [fault.name for fault in FAULTS] + list(UNREACHABLE)
    assert len(set(names)) == len(names) >= 30
    tally(f"upstream: {len(names)} faults of the model endpoint, each with its declared edge")


@pytest.mark.parametrize("name", UNREACHABLE)
async def test_an_endpoint_that_cannot_be_reached_fails_the_run_in_the_end(
    name: str, tmp_path: Path
) -> None:
    await reach_in_vain(name, tmp_path)


async def test_an_authority_that_ssl_cert_file_names_is_trusted_on_this_machine_too() -> None:
    async with certified(for_this_machine, known=True)() as url:
        client = await asyncio.to_thread(open_client, url, None)
        assert await client.get("/models", cast_to=object) == {}
        await client.close()


async def test_a_dead_endpoint_is_spared_and_costs_no_run_its_attempts(tmp_path: Path) -> None:
    spared = await breaking(tmp_path)
    assert spared.finished == 12, f"runs failed though attempts were left: {spared}"
    assert spared.delayed >= 12, f"the breaker delayed nobody: {spared}"
    assert spared.longest_delay_ms <= 1_000 * QUICK_BREAKER.longest_delay_seconds
    assert spared.asked_when_back == 12, f"an answer was asked for twice, or thrown away: {spared}"


async def test_a_delayed_attempt_is_made_after_a_restart(tmp_path: Path) -> None:
    ended = await delayed_over_a_restart(tmp_path)
    assert ended["status"] == "finished", ended


async def test_operators_see_a_dead_endpoint_and_the_runs_that_wait_for_it(tmp_path: Path) -> None:
    model_policy = ModelPolicy(backoff_base_ms=20, breaker=LONG_ENOUGH)
    async with (
        obedient_model() as model,
        services_with_model(model.url, tmp_path, model_policy) as services,
    ):
        assert b'chorus_breaker_state{state="closed"} 1.0' in services.metrics.text()
        prompt = "Does anybody see this?"
        model.plan(prompt, "action", refuses(503))
        run = await Follower(services, prompt).ask()
        await run.delayed()
        told = services.metrics.text().decode().splitlines()
        for line in (
            'chorus_breaker_state{state="closed"} 0.0',
            'chorus_breaker_state{state="open"} 1.0',
            'chorus_run_recoveries_total{cause="ai_failed"} 1.0',
            'chorus_run_recoveries_total{cause="attempt_delayed"} 1.0',
        ):
            assert line in told
        await run.end()
        assert b'chorus_breaker_state{state="closed"} 1.0' in services.metrics.text()
