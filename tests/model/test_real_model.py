"""Chorus and a real model understand each other; its answers are printed (`-s` shows them)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from machines.models.chorus import ChorusState
from machines.models.effects import AICall
from machines.models.errors import AIError, ErrorCode, NetworkError
from machines.models.outputs import (
    ActionOutput,
    ExperienceOutput,
    ObservationOutput,
    StepEnum,
    UpdateOutput,
)
from machines.prompting.request import build_ai_call
from server.llm.context_length import context_tokens_of
from server.llm.openai import OpenAIModel, open_client
from server.llm.port import AnswerFailed, Bounds
from tests.machines.prompting.asking_runs import intention, prior, record, state
from tests.model.conftest import CONTEXT_TOKENS, MODEL
from tests.support.client import signed_in
from tests.support.eventually import eventually
from tests.support.served import served

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPT: Final = "Why does the sea have tides? Answer in two sentences."
RUN_SECONDS: Final = 900.0


@asynccontextmanager
async def model_at(url: str) -> AsyncIterator[OpenAIModel]:
    client = await asyncio.to_thread(open_client, url, None)
    model = OpenAIModel(client, MODEL, clock=lambda: datetime.now(UTC), bounds=Bounds())
    try:
        yield model
    finally:
        await model.close()


def run_at(step: StepEnum, **changes: object) -> ChorusState:
    """A run over `PROMPT` that has come to `step`."""
    before = [
        record(StepEnum.ACTION, ActionOutput(), "The moon pulls at the water."),
        record(StepEnum.EXPERIENCE, ExperienceOutput(), "It was said that the sun pulls too."),
        intention(0),
        record(StepEnum.OBSERVATION, ObservationOutput(confidence=0.5), "Two bodies pull."),
        record(
            StepEnum.UPDATE,
            UpdateOutput(reasoning="That is enough.", loop=False, confidence=0.5),
            "That is enough.",
        ),
    ]
    done = before[: list(StepEnum).index(step)]
    fields = {"prompt": PROMPT, "query": PROMPT, "context_tokens": CONTEXT_TOKENS, **changes}
    priors = (prior(0, "The sun pulls at the sea as well, half as much as the moon."),)
    return state(step, priors=priors if done else (), steps=tuple(done), **fields)


def call_for(step: StepEnum, **changes: object) -> AICall:
    return build_ai_call(run_at(step, **changes))


@pytest.mark.parametrize("step", [StepEnum.ACTION, StepEnum.YIELD])
async def test_a_text_streams_and_its_tokens_are_counted(llama: str, step: StepEnum) -> None:
    told: list[str] = []
    call = replace(call_for(step), answer_tokens=64)  # it seldom ends by itself
    async with model_at(llama) as model:
        answer = await model.answer(call, told.append)
    print(f"\n{step}: {answer.text}\n{answer.usage}, cut: {answer.cut}")
    assert answer.text == "".join(told)
    assert len(told) > 3
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.total_tokens > (answer.usage.prompt_tokens or 0) > 0


async def test_json_is_held_to_its_grammar(llama: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "server.llm")
    call = replace(call_for(StepEnum.EXPERIENCE), answer_tokens=512)
    async with model_at(llama) as model:
        answer = await model.answer(call, lambda _: None)
    print(f"\nexperience: {answer.text}\n{answer.output}")
    assert answer.output.step == "experience"
    assert "does not serve" not in caplog.text, "a part of the request was refused"


async def test_that_it_hangs_up_behind_an_answer_is_learned_by_one_attempt(llama: str) -> None:
    call = replace(call_for(StepEnum.ACTION), answer_tokens=4)
    async with model_at(llama) as model:
        outcomes = [await failure_of(model, call) for _ in range(4)]
    failures = [each for each in outcomes if each is not None]
    assert len(failures) <= 1
    assert all(each.retryable for each in failures)


async def failure_of(model: OpenAIModel, call: AICall) -> AIError | NetworkError | None:
    """Why an attempt had no answer; None where it had one."""
    try:
        await model.answer(call, lambda _: None)
    except AnswerFailed as failed:
        return failed.error
    return None


async def test_a_limit_that_is_reached_keeps_a_text_and_marks_it(llama: str) -> None:
    call = call_for(StepEnum.ACTION)
    short = replace(call, answer_tokens=8)
    async with model_at(llama) as model:
        answer = await model.answer(short, lambda _: None)
    assert answer.cut
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8


async def test_a_request_that_does_not_fit_is_known_as_one(llama: str) -> None:
    call = call_for(StepEnum.ACTION, prompt="tide " * 9_000, context_tokens=32_000)
    async with model_at(llama) as model:
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call, lambda _: None)
    assert isinstance(caught.value.error, AIError)
    assert caught.value.error.context_exceeded
    assert caught.value.error.code is ErrorCode.AI_REJECTED


async def test_the_context_is_read(llama: str) -> None:
    assert await context_tokens_of(llama, MODEL, None) == CONTEXT_TOKENS


async def test_an_answer_that_is_cancelled_frees_the_model_for_the_next(llama: str) -> None:
    began = asyncio.Event()
    async with model_at(llama) as model:
        long = asyncio.create_task(model.answer(call_for(StepEnum.YIELD), lambda _: began.set()))
        await began.wait()
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)
        assert long.cancelled()
        short = replace(call_for(StepEnum.ACTION), answer_tokens=4)
        assert (await model.answer(short, lambda _: None)).text


async def test_a_whole_run_finishes(
    llama: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "server.llm")
    async with (
        served(tmp_path, llm=llama, model=MODEL, max_iterations=1, context_tokens=2_048) as server,
        signed_in(server.url) as alice,
    ):
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt=PROMPT)

        def has_ended() -> bool:
            return any(
                each["type"] == "chorus_response"
                and each["data"]["run_id"] == run["run_id"]
                and each["data"]["status"] in {"finished", "failed"}
                for each in alice.frames
            )

        await eventually(has_ended, "the run ends", within=RUN_SECONDS)
        told = alice.responses(run["run_id"])
        for each in told:
            if each["status"] in {"completed", "recovering", "failed"}:
                said = each.get("text") or each.get("message")
                print(f"\n{each['step']} {each['attempt']} {each['status']}: {said}")
        completed = [each["step"] for each in told if each["status"] == "completed"]
        assert completed == list(StepEnum)
        ended = await alice.end_of(run["run_id"])
        assert ended["status"] == "finished", ended
        assert ended["message"]["content"].strip()
        assert ended["message"]["model"] == MODEL
        assert ended["message"]["usage"]["total_tokens"] > 0
    assert "does not serve" not in caplog.text, "a part of a request was refused"
