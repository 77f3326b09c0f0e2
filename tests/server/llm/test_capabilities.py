"""What an endpoint cannot do is learned from what it says, over real HTTP."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import web

from machines.models.errors import ErrorCode
from machines.models.outputs import StepEnum
from server.llm.capabilities import Capabilities, JsonMode, LimitName, Served
from server.llm.port import AnswerFailed
from tests.server.llm.test_openai import UPDATE, call, model_at
from tests.support.scripted_endpoint import (
    Script,
    ScriptedEndpoint,
    chunk,
    line,
    refuses,
    says_json,
    writes,
)

Body = dict[str, Any]


@dataclass(frozen=True)
class Refuser:
    """An endpoint that does not know one part of a request, and what it says of it."""

    name: str
    source: str
    """Where the refusal was seen."""
    does_not_know: Callable[[Body], bool]
    status: int
    says: object


def _json_mode(body: Body) -> str | None:
    kind: str | None = body.get("response_format", {}).get("type")
    return kind


def _no_format(body: Body) -> bool:
    return "response_format" in body


def _no_schema(body: Body) -> bool:
    return _json_mode(body) == "json_schema"


def _no_usage(body: Body) -> bool:
    return "stream_options" in body


def _no_system(body: Body) -> bool:
    return any(message["role"] == "system" for message in body["messages"])


def _no_new_limit(body: Body) -> bool:
    return "max_completion_tokens" in body


def _no_limit(body: Body) -> bool:
    return "max_completion_tokens" in body or "max_tokens" in body


def _forbidden(parameter: str) -> object:
    extra = {"type": "extra_forbidden", "loc": ["body", parameter], "input": {"stream_options": {}}}
    return {"detail": [{**extra, "msg": "Extra inputs are not permitted"}]}


REFUSERS = (
    Refuser("OpenAI", "the API reference", _no_format, 400, {"error": {"param": "response_format"}}),
    Refuser("Mistral's way, of the format", "BerriAI/litellm#3899", _no_format, 422, _forbidden("response_format")),
    Refuser("Mistral's way, of the usage", "gpustack/gpustack#429", _no_usage, 422, _forbidden("stream_options")),
    Refuser("DeepSeek", "llm-exe/llm-exe#662", _no_schema, 400, {"error": {"message": "This response_format type is unavailable now"}}),
    Refuser("DeepSeek, earlier", "dzhng/deep-research#22", _no_schema, 422, "response_format.type `json_schema` is unavailable now"),
    Refuser("llama.cpp", "lidge-jun/opencodex#2135", _no_schema, 400, {"error": {"message": "Failed to initialize samplers: failed to parse grammar"}}),
    Refuser("llama.cpp, earlier", "ggml-org/llama.cpp#19349", _no_schema, 500, {"error": {"message": "failed to parse grammar"}}),
    Refuser("vLLM with Gemma", "huggingface/chat-ui#1386", _no_system, 400, {"message": "System role not supported"}),
    Refuser("sglang with Gemma", "sgl-project/sglang#892", _no_system, 500, "jinja2.exceptions.TemplateError: System role not supported"),
    Refuser("mistral.rs", "EricLBuehler/mistral.rs#45", _no_system, 500, "Conversation roles must alternate user/assistant/user/assistant/..."),
    Refuser("OpenAI's o1-mini", "xenodium/chatgpt-shell#256", _no_system, 400, {"error": {"message": "'messages[0].role' does not support 'system' with this model."}}),
    Refuser("Google with Gemma", "versun/RSSBox#138", _no_system, 400, {"error": {"message": "Developer instruction is not enabled"}}),
    Refuser("Mistral's way, of the limit", "editor-code-assistant/eca#231", _no_new_limit, 422, {"message": _forbidden("max_completion_tokens")}),
    Refuser("vLLM, earlier", "1Panel-dev/MaxKB#2912", _no_new_limit, 400, {"message": "[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra inputs are not permitted', 'input': 800}]"}),
    Refuser("every limit, by name", "no public report", _no_limit, 400, {"error": {"message": "max_tokens is not supported"}}),
    Refuser("no word of the limit, 400", "no public report", _no_new_limit, 400, {}),
    Refuser("no word of the format, 400", "no public report", _no_format, 400, {}),
    Refuser("no word of the schema, 404", "no public report", _no_schema, 404, {}),
    Refuser("no word of the usage, 422", "no public report", _no_usage, 422, "unprocessable"),
)  # fmt: skip


def answers(refuser: Refuser) -> Script:
    async def script(endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        body = endpoint.asked[-1]
        if refuser.does_not_know(body):
            if isinstance(refuser.says, str):
                return web.Response(text=refuser.says, status=refuser.status)
            return web.json_response(refuser.says, status=refuser.status)
        return await says_json(UPDATE)(endpoint, request)

    return script


@pytest.mark.parametrize("refuser", REFUSERS, ids=lambda refuser: refuser.name)
async def test_what_is_refused_is_left_out_and_remembered(
    refuser: Refuser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="server.llm.openai")
    async with model_at(answers(refuser)) as (model, endpoint):
        answer = await model.answer(call(StepEnum.UPDATE), lambda _: None)
        asked = len(endpoint.asked)
        again = await model.answer(call(StepEnum.UPDATE), lambda _: None)
    assert answer.text == again.text == UPDATE["reasoning"]
    assert len(endpoint.asked) == asked + 1, "what was refused once is not sent again"
    last = endpoint.asked[-1]
    assert not refuser.does_not_know(last)
    kept = {_no_usage, _no_system, _no_format, _no_limit} - {refuser.does_not_know}
    assert all(part(last) for part in kept), "more was left out than was refused"
    if refuser.does_not_know is _no_schema:
        assert _json_mode(last) == "json_object"
    assert [each.levelname for each in caplog.records] == ["WARNING"], "it is said once"


SAID_WITHIN = [
    each
    for each in REFUSERS
    if isinstance(each.says, dict) and "message" in each.says.get("error", {})
]


@pytest.mark.parametrize("refuser", SAID_WITHIN, ids=lambda refuser: refuser.name)
async def test_what_is_refused_with_status_200_is_left_out_and_remembered_too(
    refuser: Refuser,
) -> None:
    within = replace(refuser, status=200)
    async with model_at(answers(within)) as (model, endpoint):
        for _ in range(2):
            answer = await model.answer(call(StepEnum.UPDATE), lambda _: None)
            assert answer.text == UPDATE["reasoning"]
    refused = [refuser.does_not_know(asked) for asked in endpoint.asked]
    assert refused == sorted(refused, reverse=True), "what was refused once is not sent again"
    assert refused[-1] is False


async def test_an_error_behind_some_text_is_no_refusal_of_the_request() -> None:
    broken = writes(line(chunk('{"reasoning')), line({"error": {"message": "response_format"}}))
    async with model_at(broken, says_json(UPDATE)) as (model, endpoint):
        with pytest.raises(AnswerFailed):
            await model.answer(call(StepEnum.UPDATE), lambda _: None)
    assert len(endpoint.asked) == 1


async def test_a_refused_system_role_puts_its_text_before_the_users() -> None:
    (refuser,) = (each for each in REFUSERS if each.name == "vLLM with Gemma")
    async with model_at(answers(refuser)) as (model, endpoint):
        await model.answer(call(StepEnum.UPDATE), lambda _: None)
    merged = {"role": "user", "content": "You are a test.\n\nAnswer."}
    assert endpoint.asked[-1]["messages"] == [merged]


async def test_two_parts_that_are_refused_are_both_left_out() -> None:
    async def script(endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        body = endpoint.asked[-1]
        for part in ("stream_options", "response_format"):
            if part in body:
                return web.json_response(_forbidden(part), status=422)
        return await says_json(UPDATE)(endpoint, request)

    async with model_at(script) as (model, endpoint):
        await model.answer(call(StepEnum.UPDATE), lambda _: None)
    assert not {"stream_options", "response_format"} & endpoint.asked[-1].keys()


async def test_nothing_is_learned_from_simpler_requests_that_are_not_served_either() -> None:
    named = refuses(422, {"param": "response_format"})
    async with model_at(named, named, refuses(401), says_json(UPDATE)) as (model, endpoint):
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call(StepEnum.UPDATE), lambda _: None)
        await model.answer(call(StepEnum.UPDATE), lambda _: None)
    assert caught.value.error.code is ErrorCode.AI_REJECTED
    modes = [_json_mode(asked) for asked in endpoint.asked]
    assert modes == ["json_schema", "json_object", None, "json_schema"]


@pytest.mark.parametrize("status", [400, 404, 422, 500])
async def test_a_refusal_without_words_is_not_about_what_was_served_before(status: int) -> None:
    async with model_at(says_json(UPDATE), refuses(status), says_json(UPDATE)) as (model, endpoint):
        await model.answer(call(StepEnum.UPDATE), lambda _: None)
        again = replace(call(StepEnum.UPDATE), attempt=2)
        with pytest.raises(AnswerFailed):
            await model.answer(again, lambda _: None)
        await model.answer(call(StepEnum.UPDATE), lambda _: None)
    assert [_json_mode(asked) for asked in endpoint.asked] == ["json_schema"] * 3


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded"},
        {"message": "The model `x` does not exist"},
        {"code": "model_not_found"},
    ],
)
async def test_a_refusal_about_another_matter_is_final(error: dict[str, str]) -> None:
    async with model_at(refuses(400, error)) as (model, endpoint):
        with pytest.raises(AnswerFailed):
            await model.answer(call(StepEnum.UPDATE), lambda _: None)
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("status", [401, 402, 403, 413, 429, 502, 503])
async def test_other_statuses_are_about_no_form(status: int) -> None:
    async with model_at(refuses(status, {"param": "response_format"})) as (model, endpoint):
        with pytest.raises(AnswerFailed):
            await model.answer(call(StepEnum.UPDATE), lambda _: None)
    assert len(endpoint.asked) == 1


async def test_a_failure_that_may_pass_is_asked_about_only_when_it_lasts() -> None:
    (refuser,) = (each for each in REFUSERS if each.name == "sglang with Gemma")
    silent = Refuser("silent", "EricLBuehler/mistral.rs#506", refuser.does_not_know, 500, "")
    async with model_at(answers(silent)) as (model, endpoint):
        with pytest.raises(AnswerFailed):
            await model.answer(call(StepEnum.UPDATE), lambda _: None)
        assert len(endpoint.asked) == 1
        second = replace(call(StepEnum.UPDATE), attempt=2)
        answer = await model.answer(second, lambda _: None)
    assert answer.text == UPDATE["reasoning"]


def test_all_that_was_never_served_is_left_out_at_last() -> None:
    forms = list(Capabilities().simpler(Served(), structured=True))
    least = Capabilities(JsonMode.PROMPT, False, False, LimitName.NONE)
    assert forms[-1] == least
    assert len(forms) == len(set(forms))
    assert (
        list(
            Capabilities().simpler(Served().also(Capabilities(), structured=True), structured=True)
        )
        == []
    )
