"""A server counts what its machines did and what their guards refused, and goes on where it was killed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from machines.models.errors import InvalidTransition, JournalError
from machines.models.heat import Heat, MachineHeat, Refusals
from machines.models.ids import ThreadId
from server.environment import system_environment
from server.services import Services
from server.threads import counting
from server.threads.counting import HeatCounter
from storage.journal.port import Journal
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, open_test_services
from tests.support.journal_values import NOW


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PAUSE_SECONDS", 0.0)


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True) as services:
        yield services


async def heat_of(services: Services, thread_id: str | None) -> dict[str, MachineHeat]:
    asked = None if thread_id is None else ThreadId(thread_id)
    found: Heat = await services.journal.heat(asked, since=None, until=None)
    return {each.machine: each for each in found.machines}


async def test_a_conversation_is_counted_and_so_is_what_it_refused(services: Services) -> None:
    alice, bob, carol = [await Caller(services).sign_in(Identity()) for _ in range(3)]
    thread = {"thread_id": (await alice.get("create_thread", name="Plans"))["thread_id"]}
    for guest in (bob, carol):
        await alice.bring_in(guest, thread["thread_id"])
    await alice.get("get_thread", **thread)
    await alice.get("submit_prompt", prompt="What is new?", **thread)
    await alice.line.until(lambda each: each["data"].get("status") == "finished", "the answer")
    await alice.get("propose_removal", public_key=bob.public_key, **thread)
    own = {"public_key": bob.public_key, "decision": "keep", **thread}
    assert (await bob.ask("vote_on_removal", **own))["data"]["code"] == "invalid_transition"

    async def is_counted() -> bool:
        # With `most` at 0 a question adds nothing to what was counted.
        counted = await services.journal.heat(None, since=None, until=None, most=0)
        refused = [each for machine in counted.machines for each in machine.refused]
        return counted.uncounted == 0 and bool(refused)

    await eventually(is_counted, "all that came is counted")
    of_thread = await heat_of(services, thread["thread_id"])
    assert of_thread == await heat_of(services, None)
    run = of_thread["chorus"]
    assert run.edges["edge_chorus_start_queued_running"] == 1
    assert {"queued", "running", "action", "yielding", "stable"} <= run.states.keys()
    assert run.steps["yielding"].answers == 1
    passed_over = {(each.event, each.guard) for each in run.passed_over}
    assert ("step_completed", "another_loop_is_wanted") in passed_over
    (refusal,) = of_thread["removal"].refused
    assert (refusal.guard, refusal.count) == ("voter_is_elector", 1)
    assert await services.journal.verify() == ()


class _Counting:
    """What a counter asks of a journal that is away at first."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self.refusals: list[Refusals] = []
        self.counts = 0

    async def count_refusals(self, refusals: Sequence[Refusals]) -> None:
        self.refusals += refusals

    async def count_entries(self, now: datetime) -> bool:
        del now
        self.counts += 1
        if self.counts <= self._failures:
            raise JournalError("The disk is full.")
        return False


def _refusal(guard: str) -> InvalidTransition:
    return InvalidTransition("No.", machine="m", state="s", event="e", guards=(guard, "late"))


async def test_a_count_that_fails_is_made_later() -> None:
    journal = _Counting(failures=2)
    counter = HeatCounter(cast("Journal", journal), system_environment().now)
    task = asyncio.create_task(counter.run())
    await eventually(lambda: journal.counts == 3, "the third count")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_each_false_guard_counts_and_kinds_of_refusals_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "_MOST_KINDS", 3)
    journal = _Counting(failures=0)
    counter = HeatCounter(cast("Journal", journal), lambda: NOW)
    for guard in ("one", "two", "three", "one"):
        counter.refused(ThreadId("t"), _refusal(guard))
    await counter.write_refusals()
    assert {each.guard: each.count for each in journal.refusals} == {"one": 2, "late": 4, "two": 1}
    await counter.write_refusals()
    assert len(journal.refusals) == 3
