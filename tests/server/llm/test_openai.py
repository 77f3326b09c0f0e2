"""The model adapter: the real SDK over real HTTP, against an endpoint that does what it must not."""

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from machines.models.effects import AICall, PromptMessage, SuppliedPrior
from machines.models.errors import AIError, ChorusError, ErrorCode, NetworkError
from machines.models.ids import MessageId, RunId, ThreadId
from machines.models.outputs import (
    ExperienceOutput,
    Prior,
    StepEnum,
    UpdateOutput,
    Usage,
    YieldOutput,
)
from server.addresses import is_loopback
from server.llm.dialects import usage_in
from server.llm.embeddings import OpenAIEmbeddings
from server.llm.openai import OpenAIModel, open_client
from server.llm.port import AnswerFailed, Bounds, LanguageModel
from tests.support.eventually import PATIENCE
from tests.support.scripted_endpoint import (
    DONE,
    Script,
    ScriptedEndpoint,
    chunk,
    cuts_after,
    gives,
    hangs_up,
    line,
    never_ends,
    page,
    raw,
    refuses,
    says,
    says_json,
    serve,
    stalls_after,
    usage,
    writes,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UPDATE = {
    "reasoning": "It is known well enough.",
    "loop": False,
    "next_query": "",
    "confidence": 0.9,
    "key_insights": ["one"],
}


def call(step: StepEnum, priors: int = 0) -> AICall:
    supplied = tuple(
        SuppliedPrior(
            label=f"P{number}",
            prior=Prior(
                message_id=MessageId(f"message-{number}"),
                thread_id=ThreadId("elsewhere"),
                content="remembered",
                author=None,
                score=0.5,
                created_at=NOW,
            ),
        )
        for number in range(1, priors + 1)
    )
    return AICall(
        run_id=RunId("run"),
        thread_id=ThreadId("thread"),
        message_id=MessageId("prompt"),
        step=step,
        iteration=1,
        attempt=1,
        messages=(
            PromptMessage(role="system", content="You are a test."),
            PromptMessage(role="user", content="Answer."),
        ),
        answer_tokens=1_000,
        thought_tokens=500,
        priors=supplied,
    )


@asynccontextmanager
async def model_at(
    *scripts: Script, bounds: Bounds | None = None
) -> AsyncIterator[tuple[OpenAIModel, ScriptedEndpoint]]:
    async with serve(*scripts) as endpoint:
        model = OpenAIModel(
            await asyncio.to_thread(open_client, endpoint.url, "sk-test"),
            "scripted",
            clock=lambda: NOW,
            bounds=bounds or Bounds(),
        )
        try:
            yield model, endpoint
        finally:
            await model.close()


async def failure_of(
    *scripts: Script, step: StepEnum = StepEnum.ACTION, bounds: Bounds | None = None
) -> AnswerFailed:
    """What an attempt at `step` against `scripts` ends with."""
    async with model_at(*scripts, bounds=bounds) as (model, _):
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call(step), lambda _: None)
        assert "SECRET" not in caught.value.error.message + caught.value.error.detail
        return caught.value


async def test_text_is_told_as_it_comes_and_is_the_answer() -> None:
    told: list[str] = []
    async with model_at(says("Hel", "lo ", "[P1] [P2]", counted=usage(5, 3))) as (model, endpoint):
        port: LanguageModel = model
        answer = await port.answer(call(StepEnum.YIELD, priors=1), told.append)
    assert told == ["Hel", "lo", " [P1]"], "P2 was not supplied"
    assert answer.text == "".join(told)
    assert isinstance(answer.output, YieldOutput)
    assert [each.label for each in answer.output.citations] == ["P1"]
    assert answer.model == "scripted-1"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 8
    assert endpoint.headers[0]["Authorization"] == "Bearer sk-test"
    assert endpoint.asked[0]["model"] == "scripted"
    assert "response_format" not in endpoint.asked[0]


@pytest.mark.parametrize(
    ("given", "shown"),
    [("m\x1b]0;mine\x07 \u202e1", "m]0;mine 1"), ("\x1b\x07", "scripted"), ("x" * 999, "x" * 200)],
)
async def test_the_name_of_the_model_that_answered_can_be_shown_anywhere(
    given: str, shown: str
) -> None:
    chunks = (chunk("x"), chunk(finish="stop"))
    named = [line({**each, "model": given}) for each in chunks]
    async with model_at(writes(*named, DONE)) as (model, _):
        answer = await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert answer.model == shown


@pytest.mark.parametrize("nonsense", [2**53, 2**63, 10**40, -1, 1.5, float("inf"), True, "8", None])
def test_a_number_of_tokens_that_no_call_costs_is_unknown(nonsense: object) -> None:
    sound = usage(5, 3)["usage"]
    found = usage_in(sound | {"prompt_tokens": nonsense})
    assert found == Usage(prompt_tokens=None, completion_tokens=3, total_tokens=8)
    assert usage_in(sound | {"total_tokens": nonsense}) is None


async def test_unknown_usage_is_none_and_not_zero() -> None:
    async with model_at(says("x"), says("x", counted=usage(0, 0))) as (model, _):
        for _ in range(2):
            assert (await model.answer(call(StepEnum.ACTION), lambda _: None)).usage is None


async def test_structured_steps_ask_for_their_schema_and_stream_what_people_read() -> None:
    told: list[str] = []
    async with model_at(says_json(UPDATE)) as (model, endpoint):
        answer = await model.answer(call(StepEnum.UPDATE), told.append)
    assert isinstance(answer.output, UpdateOutput)
    assert answer.output.loop is False
    assert answer.text == UPDATE["reasoning"] == "".join(told)
    assert len(told) > 1
    asked = endpoint.asked[0]["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["schema"]["required"] == list(UPDATE)


async def test_a_prior_that_the_model_invents_is_no_part_of_the_output_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "server.llm")
    value = {"synthesis": "So it is [P1].", "key_insights": [], "used": ["P1", "P9"]}
    async with model_at(says_json(value)) as (model, _):
        answer = await model.answer(call(StepEnum.EXPERIENCE, priors=2), lambda _: None)
    assert isinstance(answer.output, ExperienceOutput)
    assert answer.output.used == ("message-1",)
    assert "the model invented 1 labels" in caplog.text
    assert "P9" not in caplog.text


async def test_json_modes_fall_back_on_a_400_that_names_response_format_and_are_remembered() -> (
    None
):
    no_format = refuses(400, {"param": "response_format"})
    async with model_at(no_format, no_format, says_json(UPDATE)) as (model, endpoint):
        for _ in range(2):
            await model.answer(call(StepEnum.UPDATE), lambda _: None)
    kinds = [asked.get("response_format", {}).get("type") for asked in endpoint.asked]
    assert kinds == ["json_schema", "json_object", None, None]


async def test_stream_options_are_left_out_where_the_endpoint_does_not_know_them() -> None:
    unknown = refuses(400, {"message": "Unrecognized field: stream_options"})
    async with model_at(unknown, says("x")) as (model, endpoint):
        for _ in range(2):
            await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert ["stream_options" in asked for asked in endpoint.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("status", "error", "code", "retryable"),
    [
        (400, {}, ErrorCode.AI_REJECTED, False),
        (413, {}, ErrorCode.AI_REJECTED, False),
        (401, {"code": "invalid_api_key"}, ErrorCode.AI_REJECTED, False),
        (402, {}, ErrorCode.AI_REJECTED, False),
        (403, {}, ErrorCode.AI_REJECTED, False),
        (404, {}, ErrorCode.AI_REJECTED, False),
        (408, {}, ErrorCode.AI_UNAVAILABLE, True),
        (409, {}, ErrorCode.AI_UNAVAILABLE, True),
        (429, {}, ErrorCode.AI_UNAVAILABLE, True),
        (429, {"code": "insufficient_quota"}, ErrorCode.AI_REJECTED, False),
        (500, {}, ErrorCode.AI_UNAVAILABLE, True),
        (503, {}, ErrorCode.AI_UNAVAILABLE, True),
    ],
)
async def test_a_status_becomes_an_ai_error(
    status: int, error: dict[str, str], code: ErrorCode, retryable: bool
) -> None:
    failed = await failure_of(refuses(status, error))
    assert isinstance(failed.error, AIError)
    assert (failed.error.code, failed.error.retryable) == (code, retryable)
    assert failed.partial == ""


def at(seconds: int) -> str:
    """So many seconds from now, as HTTP writes it."""
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3"}, 3_000),
        ({"retry-after": "0.25"}, 250),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1_500),
        ({"retry-after": at(20), "date": at(0)}, 20_000),
        ({"retry-after": at(3_620), "date": at(3_600)}, 20_000),
        ({"retry-after": at(20), "date": "today"}, 20_000),
        ({"retry-after": at(-86_400), "date": at(0)}, 0),
        ({"retry-after": "99999999999"}, 86_400_000),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
async def test_the_wait_that_an_endpoint_asks_for_is_kept(
    headers: dict[str, str], expected: int | None
) -> None:
    failed = await failure_of(refuses(429, headers=headers))
    assert failed.error.retry_after_ms == expected


@pytest.mark.parametrize(
    ("seconds", "retryable", "says"),
    [
        (300, True, "asks to wait (429)."),
        (301, False, "asks to wait (429); try again in 6 minutes."),
        (7_140, False, "try again in 119 minutes."),
        (7_201, False, "try again in 3 hours."),
        (10**9, False, "try again in a day or later."),
    ],
)
async def test_an_endpoint_that_asks_to_wait_for_long_is_not_waited_for(
    seconds: int, retryable: bool, says: str
) -> None:
    failed = await failure_of(refuses(429, headers={"retry-after": str(seconds)}))
    assert failed.error.retryable is retryable
    assert failed.error.message.endswith(says)


@pytest.mark.parametrize(
    ("script", "partial"),
    [
        pytest.param(says("all of it", finish=None), "all of it", id="done without finish_reason"),
        pytest.param(writes(line(chunk("some"))), "some", id="clean end without finish_reason"),
        pytest.param(says("  ", finish="length"), "  ", id="nothing before its length limit"),
        pytest.param(
            writes(line(chunk("some", "length")), line(chunk(" more"))), "some more", id="length"
        ),
        pytest.param(says("some", finish="content_filter"), "some", id="content filter"),
        pytest.param(says("some", finish="tool_calls"), "some", id="tool calls"),
        pytest.param(says("some", finish="bored"), "some", id="unknown finish_reason"),
        pytest.param(says(), "", id="empty"),
        pytest.param(says("  ", "\n"), "  \n", id="blank"),
        pytest.param(
            writes(line(chunk(refusal="I cannot")), line(chunk(finish="stop")), DONE),
            "",
            id="refusal",
        ),
        pytest.param(page(), "", id="an HTML page"),
        pytest.param(gives({"choices": []}), "", id="a body in place of a stream"),
        pytest.param(writes(line(chunk("a")), line(b'{"choices": [')), "a", id="malformed chunk"),
        pytest.param(writes(line(b"[1, 2]")), "", id="a chunk that is a list"),
        pytest.param(writes(line({"choices": 5})), "", id="choices that are a number"),
        pytest.param(writes(line({"choices": [5]})), "", id="a choice that is a number"),
        pytest.param(writes(line(chunk(content=[1]))), "", id="content that is a list"),
        pytest.param(writes(b"data: \xff\xfe\n\n"), "", id="bytes that are no UTF-8"),
        pytest.param(
            writes(line(chunk("a")), b"event: error\n" + line({"message": "SECRET"})),
            "a",
            id="an error event without an error",
        ),
    ],
)
async def test_an_answer_that_is_no_use_is_an_ai_error_with_what_was_told(
    script: Script, partial: str
) -> None:
    failed = await failure_of(script)
    assert isinstance(failed.error, AIError)
    assert failed.error.code is ErrorCode.AI_INVALID_OUTPUT
    assert failed.error.retryable
    assert failed.partial == partial


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        ({"code": "server_error"}, ErrorCode.AI_UNAVAILABLE, True),
        ({"code": "insufficient_quota"}, ErrorCode.AI_REJECTED, False),
        ({"code": 502}, ErrorCode.AI_UNAVAILABLE, True),
        ({"code": "429"}, ErrorCode.AI_UNAVAILABLE, True),
        ({"code": 400}, ErrorCode.AI_REJECTED, False),
        ({"code": 3001}, ErrorCode.AI_UNAVAILABLE, True),
        ({"type": "authentication_error"}, ErrorCode.AI_REJECTED, False),
        ({"type": "overloaded_error"}, ErrorCode.AI_UNAVAILABLE, True),
        ({"type": "model_not_found"}, ErrorCode.AI_REJECTED, False),
        ({}, ErrorCode.AI_UNAVAILABLE, True),
    ],
)
@pytest.mark.parametrize("is_stream", [True, False], ids=["in a stream", "as a body"])
async def test_an_error_with_status_200_is_an_ai_error_as_with_its_own_status(
    error: dict[str, object], code: ErrorCode, retryable: bool, is_stream: bool
) -> None:
    said: dict[str, object] = {"error": {"message": "SECRET", **error}}
    script = writes(line(chunk("so ")), line(said)) if is_stream else gives(said)
    failed = await failure_of(script)
    assert isinstance(failed.error, AIError)
    assert (failed.error.code, failed.error.retryable) == (code, retryable)
    assert failed.partial == ("so " if is_stream else "")


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
async def test_an_endpoint_that_ends_with_a_failure_has_failed(finish: str) -> None:
    failed = await failure_of(says("so ", finish=finish))
    assert failed.error.code is ErrorCode.AI_UNAVAILABLE
    assert failed.partial == "so "


async def test_an_end_that_comes_with_the_last_text_is_proved_by_the_end_of_the_response() -> None:
    events = line(chunk("all of ")), line(chunk("it", "stop"))
    async with model_at(writes(*events)) as (model, _):
        assert (await model.answer(call(StepEnum.ACTION), lambda _: None)).text == "all of it"


@pytest.mark.parametrize(
    "head", [b"connection: close", b"transfer-encoding: chunked", b"content-length: 999"]
)
async def test_where_the_response_is_not_known_to_be_whole_such_an_end_is_none(
    head: bytes,
) -> None:
    events = line(chunk("all of ")) + line(chunk("it", "stop"))
    if b"chunked" in head:
        events = b"%x\r\n%b\r\n" % (len(events), events)
    status = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    failed = await failure_of(raw(status + head + b"\r\n\r\n" + events))
    assert failed.partial == "all of it"


async def test_where_endings_were_wrong_once_none_is_proved_by_the_end_of_a_response() -> None:
    said = [line(chunk("half ", "stop")), line(chunk("an ", "stop")), line(chunk("answer", "stop"))]
    scripts = writes(*said), writes(said[0]), writes(*said, DONE)
    async with model_at(*scripts) as (model, _):
        for _ in range(2):
            with pytest.raises(AnswerFailed):
                await model.answer(call(StepEnum.ACTION), lambda _: None)
        answer = await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert answer.text == "half an answer"


@pytest.mark.parametrize(
    "value", ["prose", {"reasoning": "x"}, [], {**UPDATE, "loop": "maybe"}, None]
)
async def test_a_structured_answer_of_another_shape_is_an_ai_error(value: object) -> None:
    failed = await failure_of(says_json(value), step=StepEnum.UPDATE)
    assert failed.error.code is ErrorCode.AI_INVALID_OUTPUT


@pytest.mark.parametrize("finish", [None, "length"])
async def test_a_truncated_structured_answer_is_an_ai_error_even_if_it_is_whole(
    finish: str | None,
) -> None:
    failed = await failure_of(says(json.dumps(UPDATE), finish=finish), step=StepEnum.UPDATE)
    assert failed.error.code is ErrorCode.AI_INVALID_OUTPUT
    assert failed.partial == UPDATE["reasoning"]


@pytest.mark.parametrize("step", [StepEnum.ACTION, StepEnum.YIELD])
async def test_a_text_that_ends_at_its_length_limit_is_kept_and_marked(step: StepEnum) -> None:
    async with model_at(says("some", finish="length"), says("all of it")) as (model, _):
        cut = await model.answer(call(step), lambda _: None)
        whole = await model.answer(call(step), lambda _: None)
    assert (cut.text, cut.cut) == ("some", True)
    assert (whole.text, whole.cut) == ("all of it", False)


@pytest.mark.parametrize("step", [StepEnum.ACTION, StepEnum.UPDATE])
@pytest.mark.parametrize(
    "thinks",
    [
        pytest.param(lambda text: chunk(reasoning_content=text), id="reasoning_content"),
        pytest.param(lambda text: chunk(content=None, reasoning=text), id="reasoning"),
        pytest.param(lambda text: chunk(f"<think>{text}</think>"), id="in tags"),
    ],
)
async def test_thoughts_are_told_apart_and_are_no_part_of_the_answer(
    step: StepEnum, thinks: Callable[[str], dict[str, object]]
) -> None:
    said = json.dumps(UPDATE) if step is StepEnum.UPDATE else "So it is."
    events = line(thinks("Let me see.")), line(chunk(said)), line(chunk(finish="stop")), DONE
    told, thought = list[str](), list[str]()
    async with model_at(writes(*events)) as (model, _):
        answer = await model.answer(call(step), told.append, thought.append)
    assert "".join(thought) == "Let me see."
    assert answer.text == "".join(told)
    assert "Let me see." not in answer.model_dump_json()


async def test_thoughts_are_told_while_they_come_and_only_so_many_of_them() -> None:
    texts = [
        " ".join(f"{place:07}" for place in range(at, at + 100)) for at in range(0, 5_000, 100)
    ]
    events = [line(chunk(reasoning_content=f"{text} ")) for text in texts]
    thought: list[str] = []
    script = writes(*events, line(chunk("So.", "stop")), DONE)
    async with model_at(script) as (model, _):
        assert (await model.answer(call(StepEnum.ACTION), lambda _: None, thought.append)).text
    assert len(thought) == 25
    assert len("".join(thought)) == 20_000


async def test_a_model_that_thinks_is_given_room_for_its_thoughts() -> None:
    told = writes(line(chunk(reasoning_content="Hm.")), line(chunk("So.", "stop")), DONE)
    details = {"completion_tokens_details": {"reasoning_tokens": 7}}
    counted = usage(5, 3)
    counted["usage"] |= details
    for first in (told, says("So.", counted=counted)):
        async with model_at(first, says("So.")) as (model, endpoint):
            await model.answer(call(StepEnum.ACTION), lambda _: None)
            await model.answer(call(StepEnum.ACTION), lambda _: None)
        limits = [asked["max_completion_tokens"] for asked in endpoint.asked]
        assert limits == [1_000, 1_500]


async def test_a_line_that_is_cut_is_a_network_error_with_what_was_told() -> None:
    failed = await failure_of(cuts_after("half ", "an answer"))
    assert isinstance(failed.error, NetworkError)
    assert failed.error.code is ErrorCode.AI_UNAVAILABLE
    assert failed.partial == "half an answer"


async def test_a_body_that_cannot_be_decompressed_fails_the_attempt() -> None:
    failed = await failure_of(writes(b"this is no gzip", encoding="gzip"))
    assert failed.error.retryable


async def test_what_breaks_in_the_listener_still_ends_the_attempt() -> None:
    def broken(_: str) -> None:
        raise RuntimeError("a bug of ours")

    async with model_at(says("x")) as (model, _):
        with pytest.raises(AnswerFailed):
            await model.answer(call(StepEnum.ACTION), broken)


async def test_a_refused_connection_is_a_network_error() -> None:
    async with serve(says("x")) as endpoint:
        url = endpoint.url
    client = await asyncio.to_thread(open_client, url, None)
    model = OpenAIModel(client, "any", clock=lambda: NOW, bounds=Bounds())
    with pytest.raises(AnswerFailed) as caught:
        await model.answer(call(StepEnum.ACTION), lambda _: None)
    await model.close()
    assert isinstance(caught.value.error, NetworkError)


@pytest.mark.parametrize("pieces", [[], ["some "]])
async def test_silence_is_a_network_error_and_ends_upstream(pieces: list[str]) -> None:
    async with model_at(stalls_after(*pieces), bounds=Bounds(idle_seconds=0.2)) as (
        model,
        endpoint,
    ):
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call(StepEnum.ACTION), lambda _: None)
        await asyncio.wait_for(endpoint.hung_up.wait(), PATIENCE)
    assert isinstance(caught.value.error, NetworkError)
    assert caught.value.partial == "".join(pieces)


async def test_an_endless_answer_ends_at_the_bound_of_its_length_and_upstream_too() -> None:
    bounds = Bounds(characters=1_000)
    async with model_at(counts_for_ever(), bounds=bounds) as (model, endpoint):
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call(StepEnum.ACTION), lambda _: None)
        await asyncio.wait_for(endpoint.hung_up.wait(), PATIENCE)
    assert isinstance(caught.value.error, AIError)
    assert 990 < len(caught.value.partial) <= 1_000


@pytest.mark.parametrize("step", [StepEnum.ACTION, StepEnum.UPDATE])
@pytest.mark.parametrize("piece", ["a", "more ", "The same sentence once more, and again. "])
async def test_an_answer_that_repeats_itself_is_broken_off(piece: str, step: StepEnum) -> None:
    async with model_at(never_ends(piece)) as (model, endpoint):
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call(step), lambda _: None)
        await asyncio.wait_for(endpoint.hung_up.wait(), PATIENCE)
    assert caught.value.error.message == "The model's answer repeats itself."
    assert caught.value.error.retryable


def counts_for_ever() -> Script:
    """Numbers, one after the other."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number in itertools.count():
            await response.write(line(chunk(f"{number} ")))
        return response

    return script


async def test_an_endless_stream_of_nothing_ends_at_the_bound_of_its_time() -> None:
    bounds = Bounds(idle_seconds=5, total_seconds=0.3)
    async with model_at(never_ends(""), bounds=bounds) as (model, endpoint):
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call(StepEnum.ACTION), lambda _: None)
        await asyncio.wait_for(endpoint.hung_up.wait(), PATIENCE)
    assert isinstance(caught.value.error, NetworkError)


async def test_a_complete_answer_counts_though_the_line_breaks_behind_it() -> None:
    broken = writes(line(chunk("done")), line(chunk(finish="stop")), line(b"{"))
    async with model_at(broken) as (model, _):
        answer = await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert (answer.text, answer.usage) == ("done", None)


async def test_cancelling_reaches_the_endpoint() -> None:
    began = asyncio.Event()
    async with model_at(never_ends("on ")) as (model, endpoint):
        task = asyncio.create_task(model.answer(call(StepEnum.ACTION), lambda _: began.set()))
        await asyncio.wait_for(began.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(endpoint.hung_up.wait(), PATIENCE)
        sent = endpoint.sent
        await asyncio.sleep(0)
        assert endpoint.sent == sent


async def test_cancelling_before_the_first_word_reaches_the_endpoint() -> None:
    async with model_at(stalls_after()) as (model, endpoint):
        task = asyncio.create_task(model.answer(call(StepEnum.ACTION), lambda _: None))
        await asyncio.wait_for(endpoint.reached.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(endpoint.hung_up.wait(), PATIENCE)


async def test_many_answers_at_once_do_not_mix() -> None:
    async with model_at(says("a", "b", "c")) as (model, endpoint):
        answers = await asyncio.gather(
            *(model.answer(call(StepEnum.ACTION), lambda _: None) for _ in range(20))
        )
    assert {answer.text for answer in answers} == {"abc"}
    assert len(endpoint.asked) == 20


async def test_a_connection_serves_one_answer_after_the_other() -> None:
    async with model_at(says("a"), refuses(500), says("b")) as (model, endpoint):
        for text in ("a", None, "b"):
            try:
                answer = await model.answer(call(StepEnum.ACTION), lambda _: None)
            except AnswerFailed:
                assert text is None
            else:
                assert answer.text == text
    assert len(endpoint.clients) == 1


async def test_an_endpoint_that_hung_up_gets_each_request_on_a_connection_of_its_own() -> None:
    scripts = (says("a"), hangs_up(), says("b"), says("c"))
    async with model_at(*scripts) as (model, endpoint):
        await model.answer(call(StepEnum.ACTION), lambda _: None)
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call(StepEnum.ACTION), lambda _: None)
        assert isinstance(caught.value.error, NetworkError)
        assert len(endpoint.clients) == 1, "the request that died was on the kept connection"
        for text in ("b", "c"):
            assert (await model.answer(call(StepEnum.ACTION), lambda _: None)).text == text
    assert len(endpoint.clients) == 3


async def test_the_sdk_retries_nothing_by_itself() -> None:
    async with model_at(refuses(500)) as (model, endpoint):
        with pytest.raises(AnswerFailed):
            await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert len(endpoint.asked) == 1


async def test_what_no_database_holds_is_taken_out_of_the_text() -> None:
    lone = (
        b'{"choices":[{"index":0,"delta":{"content":"a\\ud800\\u0000b"},"finish_reason":"stop"}]}'
    )
    async with model_at(writes(line(lone), DONE)) as (model, _):
        answer = await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert answer.text == "a\ufffdb"


def reasoned(*pieces: str, pause: float = 0.0, tail: bytes = DONE) -> Script:
    """Pieces that each carry `stop`, with a pause between them."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(line(chunk(piece, "stop")))
            await asyncio.sleep(pause)
        await response.write(tail)
        return response

    return script


@pytest.mark.parametrize("first", ["", "word0 "])
async def test_a_reason_that_text_follows_is_no_end(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.llm.openai._AFTER_FINISH_SECONDS", 0.05)
    async with model_at(reasoned(first, "word1 ", "word2", pause=0.1)) as (model, _):
        answer = await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert answer.text == f"{first}word1 word2"


async def test_text_that_follows_what_looked_like_the_end_belongs_to_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.llm.openai._AFTER_FINISH_SECONDS", 5.0)
    events = [chunk("one "), chunk(finish="stop"), chunk("two"), chunk(finish="stop")]
    async with model_at(writes(*map(line, events), DONE)) as (model, _):
        answer = await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert answer.text == "one two"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(reasoned("one ", "two", tail=b""), id="no end is said"),
        pytest.param(
            writes(*map(line, [chunk("one "), chunk(finish="stop"), chunk("two")]), DONE),
            id="no reason behind the text",
        ),
        pytest.param(
            writes(
                *map(line, [chunk("one"), chunk(finish="stop"), {"error": {"message": "SECRET"}}])
            ),
            id="an error behind the end",
        ),
        pytest.param(stalls_after("one ", tail=[chunk("two", "stop")]), id="silence"),
    ],
)
async def test_an_end_that_something_contradicts_is_not_believed(script: Script) -> None:
    failed = await failure_of(script, bounds=Bounds(idle_seconds=0.5))
    assert failed.error.retryable
    assert failed.partial.startswith("one")


@pytest.mark.parametrize("step", [StepEnum.ACTION, StepEnum.UPDATE])
async def test_a_character_that_is_cut_between_two_deltas_is_one(step: StepEnum) -> None:
    def half(escape: str) -> bytes:
        return line(b'{"choices":[{"index":0,"delta":{"content":"\\u' + escape.encode() + b'"}}]}')

    head, tail = ("so ", " be it") if step is StepEnum.ACTION else (
        '{"loop": false, "confidence": 1, "reasoning": "so ', ' be it"}'
    )  # fmt: skip
    events = (line(chunk(head)), half("d83d"), half("de00"), line(chunk(tail)))
    told: list[str] = []
    async with model_at(writes(*events, line(chunk(finish="stop")), DONE)) as (model, _):
        answer = await model.answer(call(step), told.append)
    assert answer.text == "so \U0001f600 be it" == "".join(told)


async def test_half_a_character_at_the_end_is_said_to_be_missing() -> None:
    event = b'{"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}'
    told: list[str] = []
    async with model_at(writes(line(event), line(chunk(finish="stop")), DONE)) as (model, _):
        answer = await model.answer(call(StepEnum.ACTION), told.append)
    assert answer.text == "a\ufffd" == "".join(told)


async def test_embeddings_come_in_the_order_of_the_texts() -> None:
    data = [{"index": 1, "embedding": [0, 1.5]}, {"index": 0, "embedding": [1, 0]}]
    async with serve(gives({"data": data})) as endpoint:
        embeddings = OpenAIEmbeddings(endpoint.url, "sk-test", clock=lambda: NOW)
        vectors = await embeddings.embed("some-model", ["one", "two"])
        await embeddings.close()
    assert vectors == [[1.0, 0.0], [0.0, 1.5]]
    assert endpoint.asked[0] == {
        "model": "some-model",
        "input": ["one", "two"],
        "encoding_format": "float",
    }


@pytest.mark.parametrize(
    "script",
    [
        gives({}),
        gives([]),
        gives({"data": [5]}),
        gives({"data": [{"index": 3, "embedding": [1]}]}),
        gives({"data": [{"index": 0, "embedding": ["x"]}]}),
        gives({"data": [{"index": 0, "embedding": [True]}]}),
        page(),
        refuses(404),
    ],
)
async def test_embeddings_that_are_none_are_an_ai_error(script: Script) -> None:
    async with serve(script) as endpoint:
        embeddings = OpenAIEmbeddings(endpoint.url, None, clock=lambda: NOW)
        with pytest.raises(AIError) as caught:
            await embeddings.embed("some-model", ["one"])
        await embeddings.close()
    assert isinstance(caught.value, ChorusError)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]:1234/v1", True),
        ("http://localhost:8000/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://localhost.example.com/v1", False),
        ("http://10.0.0.1/v1", False),
    ],
)
def test_what_names_this_machine_is_known(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with model_at(says("x")) as (model, _):
        assert (await model.answer(call(StepEnum.ACTION), lambda _: None)).text == "x"
