"""`get_heat` on the wire: what a machine did in a thread, to its co-authors alone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import pytest

from machines.charts import journaled_machines
from machines.models.heat import class_begins
from machines.models.wire.request_data import HeatMachine
from server.services import Services
from tests.support.client import Data, Identity
from tests.support.in_process import Caller, open_test_services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True) as opened:
        yield opened


@pytest.fixture
async def alice(services: Services) -> Caller:
    return await Caller(services).sign_in(Identity())


async def thread_with_a_run(alice: Caller) -> Data:
    thread = {"thread_id": (await alice.get("create_thread", name="Rivers"))["thread_id"]}
    await alice.get("get_thread", **thread)
    run = await alice.get("submit_prompt", prompt="What do rivers carry?", **thread)
    await alice.line.until(
        lambda each: (
            each["data"].get("status") == "finished" and each["data"]["run_id"] == run["run_id"]
        ),
        "the answer",
    )
    return thread


async def test_a_co_author_is_told_of_this_thread_alone(alice: Caller) -> None:
    first, second = [await thread_with_a_run(alice) for _ in range(2)]
    assert first != second
    told = await alice.get("get_heat", machine="chorus", **first)
    assert told["heat"]["edges"]["edge_chorus_start_queued_running"] == 1
    assert told["edge_steps"] == [1], "the scale: all edges were taken once"
    held = [each["p95_ms"] for each in told["heat"]["states"].values()]
    assert told["state_steps_ms"] == list(class_begins(held))
    assert told["heat"]["states"]["running"]["count"] == 1
    assert told["heat"]["steps"]["yielding"]["answers"] == 1
    assert (told["since"], told["until"], told["uncounted"]) == (None, None, 0)
    assert "rivers" not in str(told).lower(), "nothing that was written is told"


def test_every_machine_of_the_journal_may_be_asked_for() -> None:
    assert set(get_args(HeatMachine)) == {each.topology.machine for each in journaled_machines()}


async def test_a_period_is_widened_to_whole_hours_and_may_hold_nothing(alice: Caller) -> None:
    thread = await thread_with_a_run(alice)
    period = {"since": "1999-12-31T23:30:00+00:00", "until": "2000-01-01T05:30:00+03:00"}
    told = await alice.get("get_heat", machine="message", **period, **thread)
    assert (told["since"], told["until"]) == ("1999-12-31T23:00:00Z", "2000-01-01T03:00:00Z")
    assert told["heat"] == {
        "machine": "message",
        "edges": {},
        "states": {},
        "steps": {},
        "refused": [],
        "passed_over": [],
    }


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"machine": "connection"}, "machine"),
        ({}, "machine"),
        ({"machine": "chorus", "since": "yesterday"}, "since"),
        ({"machine": "chorus", "since": "2026-01-01T00:00:00"}, "since"),
        ({"machine": "chorus", "until": 5}, "until"),
        (
            {
                "machine": "chorus",
                "since": "2026-01-01T00:00:00Z",
                "until": "2026-01-01T00:00:00Z",
            },
            "since",
        ),
    ],
)
async def test_a_wrong_question_names_the_field(alice: Caller, data: Data, field: str) -> None:
    thread = {"thread_id": (await alice.get("create_thread", name="Rivers"))["thread_id"]}
    refused = (await alice.ask("get_heat", **thread, **data))["data"]
    assert (refused["code"], refused["details"]["field"]) == ("invalid_field", field)
