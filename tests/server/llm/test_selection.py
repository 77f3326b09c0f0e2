"""Several models of one endpoint: each is asked by its name, learned by itself and spared by itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from machines.models.breaker import BreakerPolicy
from server.llm.policy import ModelPolicy
from server.services import Services
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.follower import services_with_model
from tests.support.in_process import Caller
from tests.support.scripted_endpoint import Script, ScriptedEndpoint, refuses, says, serve

OWN, OTHER = "scripted-1", "scripted-2"


def by_model(scripts: Mapping[str, Script]) -> Script:
    """Answers each model by its own script."""

    async def script(endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        return await scripts[body["model"]](endpoint, request)

    return script


def enough(text: str = "Hello.") -> Script:
    """An answer of action that ends the run."""
    return says(f"{text}\n[enough]")


async def thread_with(services: Services, model: str | None) -> tuple[Caller, Data]:
    owner = await Caller(services).sign_in(Identity())
    thread = {"thread_id": (await owner.get("create_thread", name="Models"))["thread_id"]}
    await owner.get("get_thread", **thread)
    await owner.get("configure_thread", instructions="", model=model, **thread)
    return owner, thread


async def end_of_prompt(owner: Caller, thread: Data, prompt: str) -> Data:
    """The data of the frame that ends a prompt's run."""
    run = await owner.get("submit_prompt", prompt=prompt, **thread)
    over = {"finished", "failed", "cancelled"}
    frame = await owner.line.until(
        lambda each: (
            each["data"].get("run_id") == run["run_id"] and each["data"].get("status") in over
        ),
        "the end of the run",
    )
    return dict(frame["data"])


async def test_what_one_model_refuses_is_asked_of_the_other_all_the_same(tmp_path: Path) -> None:
    told = {"message": "Unknown parameter: 'max_completion_tokens'."}

    async def old_fashioned(endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        script = refuses(400, told) if "max_completion_tokens" in body else enough()
        return await script(endpoint, request)

    async with (
        serve(by_model({OWN: enough(), OTHER: old_fashioned})) as endpoint,
        services_with_model(endpoint.url, tmp_path, ModelPolicy(), models=(OTHER,)) as services,
    ):
        assert services.model.names == (OWN, OTHER)
        for model in (OTHER, OTHER, None):
            owner, thread = await thread_with(services, model)
            assert (await end_of_prompt(owner, thread, "Hello"))["status"] == "finished"
        asked = [(each["model"], "max_completion_tokens" in each) for each in endpoint.asked]
    assert asked == [(OTHER, True), (OTHER, False), (OTHER, False), (OWN, True)]


async def test_a_model_that_its_endpoint_cannot_serve_holds_back_no_run_of_another(
    tmp_path: Path,
) -> None:
    policy = ModelPolicy(backoff_base_ms=1, breaker=BreakerPolicy(threshold=1))
    async with (
        serve(by_model({OWN: enough(), OTHER: refuses(503)})) as endpoint,
        services_with_model(
            endpoint.url, tmp_path, policy, models=(OTHER,), max_attempts=1
        ) as services,
    ):
        owner, thread = await thread_with(services, OTHER)
        assert (await end_of_prompt(owner, thread, "Hello"))["status"] == "failed"
        assert b'chorus_breaker_state{state="open"} 1.0' in services.metrics.text()
        owner, thread = await thread_with(services, None)
        assert (await end_of_prompt(owner, thread, "Hello"))["status"] == "finished"


async def test_each_model_s_runs_keep_to_its_own_context(tmp_path: Path) -> None:
    listed = {"data": [{"id": OWN, "max_model_len": 3_000}, {"id": OTHER, "max_model_len": 8_000}]}
    async with (
        serve(enough(), tells={"/v1/models": listed}) as endpoint,
        services_with_model(endpoint.url, tmp_path, ModelPolicy(), models=(OTHER,)) as services,
    ):
        await eventually(
            lambda: services.thread_service.context_of(OTHER) == 8_000, "the contexts are read"
        )
        for model in (None, OTHER):
            owner, thread = await thread_with(services, model)
            await end_of_prompt(owner, thread, "Long? " * 5_000)
        own, other = [
            sum(len(each["content"]) for each in asked["messages"]) / 3.5
            + asked["max_completion_tokens"]
            for asked in endpoint.asked
        ]
    assert own < 3_000 < other < 8_000
