"""What endpoints tell of the context of their models, over real HTTP, and what follows for runs."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from machines.models.chorus import CONTEXT_TOKENS
from server.llm.context_length import OLLAMA_DEFAULT, context_tokens_of
from server.llm.policy import ModelPolicy
from tests.support.eventually import eventually
from tests.support.follower import Follower, services_with_model
from tests.support.scripted_endpoint import refuses, serve, stalls_after

MODEL = "scripted-1"


def listed(**more: object) -> Mapping[str, object]:
    others = [{"id": "another", "max_model_len": 999}, "no model"]
    return {"/v1/models": {"data": [*others, {"id": MODEL, **more}]}}


TELLERS = {
    "vLLM": (listed(max_model_len=16_384), 16_384),
    "OpenRouter": (listed(context_length=131_072), 131_072),
    "Groq": (listed(context_window=8_192), 8_192),
    "llama.cpp": ({"/props": {"default_generation_settings": {"n_ctx": 2_048}}}, 2_048),
    "LM Studio": (
        {
            "/api/v0/models": {
                "data": [
                    {"id": MODEL, "state": "loaded", "loaded_context_length": 4_096}
                    | {"max_context_length": 32_768}
                ]
            }
        },
        4_096,
    ),
    "LM Studio, before it loads": (
        {"/api/v0/models": {"data": [{"id": MODEL, "state": "not-loaded"}]}},
        None,
    ),
    "Ollama, loaded": ({"/api/ps": {"models": [{"model": MODEL, "context_length": 8_192}]}}, 8_192),
    "Ollama, by its file": (
        {
            "/api/show": {
                "parameters": 'stop "x"\nnum_ctx    2048',
                "model_info": {"llama.context_length": 131_072},
            }
        },
        2_048,
    ),
    "Ollama, by default": (
        {"/api/show": {"model_info": {"llama.context_length": 131_072}}},
        OLLAMA_DEFAULT,
    ),
    "nothing": ({}, None),
    "a list of another shape": ({"/v1/models": {"data": {"id": MODEL}}}, None),
    "a length that is none": (listed(max_model_len="many", context_length=-1), None),
    "a truth for a number": (listed(max_model_len=True), None),
}


@pytest.mark.parametrize("teller", TELLERS)
async def test_the_context_is_read_where_an_endpoint_tells_it(teller: str) -> None:
    tells, tokens = TELLERS[teller]
    async with serve(refuses(404), tells=tells) as endpoint:
        assert await context_tokens_of(endpoint.url, MODEL, "sk-test") == tokens


async def test_an_endpoint_that_is_away_tells_nothing() -> None:
    assert await context_tokens_of("http://127.0.0.1:9/v1", MODEL, None) is None


async def test_runs_keep_to_the_context_that_the_endpoint_tells(tmp_path: Path) -> None:
    async with (
        serve(stalls_after("So "), tells=listed(max_model_len=3_000)) as endpoint,
        services_with_model(endpoint.url, tmp_path, ModelPolicy()) as services,
    ):
        await eventually(has_ended, "the context is read")
        assert services.thread_service.context_tokens == 3_000
        await Follower(services, "Long? " * 4_000).ask()
        await endpoint.reached.wait()
        (asked,) = endpoint.asked
    text = "".join(message["content"] for message in asked["messages"])
    assert len(text) / 3.5 + asked["max_completion_tokens"] < 3_000


async def test_a_longer_context_than_runs_use_lengthens_nothing(tmp_path: Path) -> None:
    async with (
        serve(refuses(404), tells=listed(max_model_len=1_000_000)) as endpoint,
        services_with_model(endpoint.url, tmp_path, ModelPolicy()) as services,
    ):
        await eventually(has_ended, "the context is read")
        assert endpoint.told == ["/v1/models"]
        assert services.thread_service.context_tokens == CONTEXT_TOKENS


async def test_a_context_that_the_operator_names_is_not_asked_for(tmp_path: Path) -> None:
    async with (
        serve(refuses(404), tells=listed(max_model_len=3_000)) as endpoint,
        services_with_model(
            endpoint.url, tmp_path, ModelPolicy(), context_tokens=20_000
        ) as services,
    ):
        assert has_ended()
        assert services.thread_service.context_tokens == 20_000
    assert endpoint.told == []


def has_ended() -> bool:
    """Whether no server of this process reads the length of a context."""
    return all(task.get_name() != "context length" for task in asyncio.all_tasks())
