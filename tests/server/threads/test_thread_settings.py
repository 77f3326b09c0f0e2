"""A thread's own instructions and model: who sets them, who is told, and which runs go by them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.llm.policy import ModelPolicy
from server.services import Services
from tests.support.client import Data, Identity
from tests.support.follower import services_with_model
from tests.support.in_process import Caller, open_test_services
from tests.support.obedient_model import ObedientModel, obedient_model

OTHER = "scripted-2"


@pytest_asyncio.fixture
async def model() -> AsyncIterator[ObedientModel]:
    async with obedient_model() as model:
        yield model


@pytest_asyncio.fixture
async def services(model: ObedientModel, tmp_path: Path) -> AsyncIterator[Services]:
    async with services_with_model(model.url, tmp_path, ModelPolicy(), models=(OTHER,)) as services:
        yield services


async def somebody(services: Services) -> Caller:
    return await Caller(services).sign_in(Identity())


async def public_thread(owner: Caller) -> Data:
    made = await owner.get("create_thread", name="House style", visibility="public")
    thread = {"thread_id": made["thread_id"]}
    await owner.get("get_thread", **thread)
    return thread


async def configure(caller: Caller, thread: Data, instructions: str, model: str | None) -> None:
    await caller.get("configure_thread", instructions=instructions, model=model, **thread)


async def ended(caller: Caller, run_id: str) -> str:
    """How a run ended."""
    over = {"finished", "failed", "cancelled"}
    frame = await caller.line.until(
        lambda each: each["data"].get("run_id") == run_id and each["data"].get("status") in over,
        f"the end of run {run_id}",
    )
    return str(frame["data"]["status"])


async def test_a_change_is_told_with_what_it_was_and_stands_in_the_snapshot(
    services: Services,
) -> None:
    owner, reader = await somebody(services), await somebody(services)
    thread = await public_thread(owner)
    await reader.get("get_thread", **thread)
    await configure(owner, thread, "Be brief.", None)
    await configure(owner, thread, "Be brief.\nBe kind.", OTHER)
    await configure(owner, thread, " \n", None)

    for follower in (owner, reader):
        first, second, third = [
            each["data"]
            for each in follower.live(thread["thread_id"])
            if each["data"].get("kind") == "thread_configured"
        ]
        assert first["by"] == owner.public_key
        assert first["before"] == {}
        assert first["thread"]["instructions"] == "Be brief."
        assert "model" not in first["thread"]
        assert [each["edge"] for each in first["transitions"]] == [
            "edge_thread_configure_active_active"
        ]
        assert second["before"] == {"instructions": "Be brief."}
        assert (second["thread"]["instructions"], second["thread"]["model"]) == (
            "Be brief.\nBe kind.",
            OTHER,
        )
        assert third["before"] == {"instructions": "Be brief.\nBe kind.", "model": OTHER}
        assert not third["thread"].keys() & {"instructions", "model"}, "blank is none"
    page = await reader.get("get_events", after_seq=0, **thread)
    assert [each["data"] for each in page["entries"][1:]] == [first, second, third]
    await configure(owner, thread, "Be brief.", OTHER)
    shown = (await reader.get("get_thread", **thread))["thread"]
    assert (shown["instructions"], shown["model"]) == ("Be brief.", OTHER)
    assert await services.journal.verify() == ()


async def test_only_a_co_author_sets_them_and_only_while_the_thread_is_active(
    services: Services,
) -> None:
    owner, reader = await somebody(services), await somebody(services)
    thread = await public_thread(owner)
    wanted = {"instructions": "Obey me.", "model": None, **thread}
    refused = await reader.ask("configure_thread", **wanted)
    assert refused["data"]["code"] == "forbidden"
    await owner.get("archive_thread", **thread)
    refused = await owner.ask("configure_thread", **wanted)
    assert refused["data"]["code"] == "invalid_transition"


@pytest.mark.parametrize("name", ["gpt-elsewhere", "scripted", "scripted-2 "])
async def test_a_model_that_the_operator_does_not_allow_is_refused(
    services: Services, name: str
) -> None:
    owner = await somebody(services)
    thread = await public_thread(owner)
    refused = await owner.ask("configure_thread", instructions="", model=name, **thread)
    assert refused["data"]["code"] == "invalid_field"
    assert refused["data"]["details"] == {
        "field": "model",
        "problem": "is no model that may be chosen",
    }
    await configure(owner, thread, "", "scripted-1")


async def test_a_run_goes_by_what_was_set_when_it_started(
    services: Services, model: ObedientModel
) -> None:
    owner = await somebody(services)
    thread = await public_thread(owner)
    await configure(owner, thread, "Be brief.", OTHER)
    gate = model.hold("First?", "action")
    first = await owner.get("submit_prompt", prompt="First?", **thread)
    second = await owner.get("submit_prompt", prompt="Second?", **thread)
    await gate.reached.wait()
    await configure(owner, thread, "Be long.", None)
    gate.opened.set()
    assert await ended(owner, first["run_id"]) == "finished"
    assert await ended(owner, second["run_id"]) == "finished"
    assert len(model.reads("First?")) == 6
    for asked in model.reads("First?"):
        assert (asked.model, "Be brief." in asked.system) == (OTHER, True)
        assert "Be long." not in asked.system + asked.text
    for asked in model.reads("Second?"):
        assert (asked.model, "Be long." in asked.system) == ("scripted-1", True)
    assert await services.journal.verify() == ()


async def test_a_run_that_is_made_again_goes_by_the_new(
    services: Services, model: ObedientModel
) -> None:
    owner = await somebody(services)
    thread = await public_thread(owner)
    await configure(owner, thread, "Be brief.", OTHER)
    gate = model.hold("Again?", "action")
    run = await owner.get("submit_prompt", prompt="Again?", **thread)
    await gate.reached.wait()
    await owner.get("cancel_run", run_id=run["run_id"], **thread)
    await configure(owner, thread, "Be long.", None)
    again = await owner.get("retry_run", run_id=run["run_id"], **thread)
    assert await ended(owner, again["run_id"]) == "finished"
    first, *others = model.reads("Again?")
    assert (first.model, "Be brief." in first.system) == (OTHER, True)
    assert {(each.model, "Be long." in each.system) for each in others} == {("scripted-1", True)}


async def test_a_run_keeps_them_over_a_restart(model: ObedientModel, tmp_path: Path) -> None:
    async with services_with_model(model.url, tmp_path, ModelPolicy(), models=(OTHER,)) as before:
        owner = await somebody(before)
        thread = await public_thread(owner)
        await configure(owner, thread, "Be brief.", OTHER)
        gate = model.hold("Still there?", "action")
        run = await owner.get("submit_prompt", prompt="Still there?", **thread)
        await gate.reached.wait()
        await configure(owner, thread, "Be long.", None)
        token = owner.token
    async with services_with_model(model.url, tmp_path, ModelPolicy(), models=(OTHER,)) as after:
        owner = await Caller(after).resume(token)
        await owner.get("get_thread", after_seq=0, **thread)
        assert await ended(owner, run["run_id"]) == "finished"
        assert await after.journal.verify() == ()
    for asked in model.reads("Still there?"):
        assert (asked.model, "Be brief." in asked.system) == (OTHER, True)


async def test_a_model_that_is_allowed_no_more_leaves_the_server_s_own(
    model: ObedientModel, tmp_path: Path
) -> None:
    async with services_with_model(model.url, tmp_path, ModelPolicy(), models=(OTHER,)) as before:
        owner = await somebody(before)
        thread = await public_thread(owner)
        await configure(owner, thread, "", OTHER)
        token = owner.token
    async with services_with_model(model.url, tmp_path, ModelPolicy()) as after:
        owner = await Caller(after).resume(token)
        await owner.get("get_thread", **thread)
        run = await owner.get("submit_prompt", prompt="Who answers?", **thread)
        assert await ended(owner, run["run_id"]) == "finished"
    assert {each.model for each in model.reads("Who answers?")} == {"scripted-1"}


async def test_the_offline_responder_says_once_that_it_ignores_them(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as services:
        owner = await somebody(services)
        thread = await public_thread(owner)
        assert services.model.names == ()
        await configure(owner, thread, "Answer in verse.", None)
        for prompt in ("What do rivers do?", "And what do seas do?"):
            run = await owner.get("submit_prompt", prompt=prompt, **thread)
            assert await ended(owner, run["run_id"]) == "finished"
        shown = await owner.get("get_thread", **thread)
    answers = [each["content"] for each in shown["messages"] if each["role"] == "chorus"]
    assert [each.count("instructions of this thread are ignored") for each in answers] == [1, 1]
