"""Runs of fewer than six steps: how many requests they take, and what their followers see."""

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio

from machines.decisions.replay import replay_run
from machines.models.chorus import LoopMode, RunStatus
from machines.models.ids import RunId
from machines.models.outputs import StepEnum
from server.llm.policy import ModelPolicy
from server.services import Services
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.follower import services_with_model
from tests.support.in_process import Caller
from tests.support.obedient_model import ObedientModel, obedient_model
from tests.support.scripted_endpoint import says, stalls_after

GREETING = "Good morning!\n\n[enough]\n"


@pytest_asyncio.fixture
async def model() -> AsyncIterator[ObedientModel]:
    async with obedient_model() as model:
        yield model


def services(
    model: ObedientModel, folder: Path, loop: LoopMode = LoopMode.FULL
) -> AbstractAsyncContextManager[Services]:
    return services_with_model(model.url, folder, ModelPolicy(), loop=loop)


async def alice_in_a_thread(services: Services) -> tuple[Caller, str]:
    alice = await Caller(services).sign_in(Identity())
    thread = await alice.get("create_thread", name="Mornings")
    await alice.get("get_thread", thread_id=thread["thread_id"])
    return alice, thread["thread_id"]


async def run(alice: Caller, thread_id: str, prompt: str) -> list[Data]:
    """The data of all frames of a run, to its end."""
    asked = await alice.get("submit_prompt", thread_id=thread_id, prompt=prompt)
    begin = {"run_id": asked["run_id"]}.items()
    await alice.line.until(
        lambda frame: begin <= frame["data"].items() and frame["data"].get("status") == "finished",
        "the end of a run",
    )
    return [
        each["data"]
        for each in alice.line.frames
        if each["type"] == "chorus_response" and begin <= each["data"].items()
    ]


def told(frames: list[Data]) -> list[tuple[str, str]]:
    """The steps of the entries, without deltas."""
    return [(each["step"], each["status"]) for each in frames if each["status"] != "delta"]


@pytest.mark.parametrize("loop", LoopMode)
@pytest.mark.parametrize("width", [1, 3, len(GREETING)])
async def test_a_greeting_takes_one_request_and_its_mark_is_seen_nowhere(
    model: ObedientModel, tmp_path: Path, loop: LoopMode, width: int
) -> None:
    written = [GREETING[at : at + width] for at in range(0, len(GREETING), width)]
    model.plan("Good morning", "action", says(*written))
    async with services(model, tmp_path, loop) as served:
        alice, thread_id = await alice_in_a_thread(served)
        frames = await run(alice, thread_id, "Good morning")
        kept = await served.journal.run_entries(RunId(frames[0]["run_id"]))
        assert replay_run(RunId(frames[0]["run_id"]), kept) == await served.journal.run(
            RunId(frames[0]["run_id"])
        )
        assert await served.journal.verify() == ()
    assert [each.step for each in model.reads("Good morning")] == ["action"]
    assert told(frames) == [
        *(("action", "queued"), ("action", "started"), ("action", "completed")),
        ("action", "finished"),
    ]
    completed, finished = frames[-2:]
    assert completed["output"] == {"step": "action", "enough": True}
    streamed = "".join(each["text"] for each in frames if each["status"] == "delta")
    assert completed["text"] == finished["message"]["content"] == streamed == "Good morning!\n"
    assert finished["message"]["citations"] == []
    assert "[en" not in json.dumps(frames)


async def test_what_is_not_enough_goes_through_all_steps_and_says_nothing_of_it(
    model: ObedientModel, tmp_path: Path
) -> None:
    model.plan("What is it?", "action", says("It is [en", "ough] or so."))
    async with services(model, tmp_path) as served:
        alice, thread_id = await alice_in_a_thread(served)
        frames = await run(alice, thread_id, "What is it?")
    assert len(model.reads("What is it?")) == 6
    action = next(each for each in frames if each["status"] == "completed")
    assert (action["output"], action["text"]) == ({"step": "action"}, "It is or so.")


async def test_a_short_loop_takes_two_requests_and_still_cites_what_it_remembers(
    model: ObedientModel, tmp_path: Path
) -> None:
    model.plan("What do rivers carry?", "yield", says("They carry water [P1], no sand [P9]."))
    async with services(model, tmp_path, LoopMode.SHORT) as served:
        alice, thread_id = await alice_in_a_thread(served)
        await run(alice, thread_id, "Rivers carry water to the sea.")
        frames = await run(alice, thread_id, "What do rivers carry?")
        run_id = RunId(frames[0]["run_id"])
        assert replay_run(run_id, await served.journal.run_entries(run_id)) == (
            await served.journal.run(run_id)
        )
        page = await alice.get("get_events", thread_id=thread_id, after_seq=0)
        assert await served.journal.verify() == ()
    asked = model.reads("What do rivers carry?")
    assert [each.step for each in asked] == ["action", "yield"]
    assert "these and no others: [P1]" in asked[-1].text
    assert told(frames) == [
        *(("action", "queued"), ("action", "started"), ("action", "completed")),
        *(("yield", "started"), ("yield", "started"), ("yield", "completed")),
        ("yield", "finished"),
    ]
    entries = [each for each in frames if each["status"] != "delta"]
    searched, completed, finished = entries[-3:]
    assert searched["memory_available"] is True
    remembered = [each["content"] for each in searched["priors"]]
    assert "Rivers carry water to the sea." in remembered
    assert completed["priors"] == searched["priors"]
    assert finished["message"]["citations"] == [
        {
            "label": "P1",
            "message_id": searched["priors"][0]["message_id"],
            "thread_id": thread_id,
        }
    ]
    kept = [each["data"] for each in page["entries"] if each["data"].get("run_id") == run_id]
    assert kept == entries, "history shows what was live"


async def test_a_short_loop_goes_on_after_a_restart_with_what_it_found(
    model: ObedientModel, tmp_path: Path
) -> None:
    prompt = "What else do rivers carry?"
    model.plan(prompt, "yield", stalls_after("They carry"))
    async with services(model, tmp_path, LoopMode.SHORT) as served:
        alice, thread_id = await alice_in_a_thread(served)
        await run(alice, thread_id, "Rivers carry fish too.")
        asked = await alice.get("submit_prompt", thread_id=thread_id, prompt=prompt)
        await alice.line.until(
            lambda frame: frame["data"].get("text") == "They carry", "the first words of yield"
        )
    run_id = RunId(asked["run_id"])
    async with services(model, tmp_path) as served:

        async def finished() -> bool:
            run = await served.journal.run(run_id)
            return run is not None and run.status is RunStatus.FINISHED

        await eventually(finished, "the run was finished")
        ended = await served.journal.run(run_id)
    assert ended is not None
    assert [each.step for each in ended.steps] == [StepEnum.ACTION, StepEnum.YIELD]
    assert "Rivers carry fish too." in [each.content for each in ended.priors]
    assert [each.step for each in model.reads(prompt)] == ["action", "yield", "yield"]
