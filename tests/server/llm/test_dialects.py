"""Every dialect says the same over real HTTP, and a cut answer is the same answer or none."""

import re
from itertools import pairwise

import httpx2
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.models.errors import AIError
from machines.models.outputs import StepEnum, UpdateOutput
from machines.prompting.answers import read_answer
from server.llm.openai import take_payload
from server.llm.port import AnswerFailed
from server.llm.reply import StreamedAnswer
from server.llm.sse import EventReader
from server.llm.text import TextJoiner
from server.llm.thoughts import ThoughtFilter
from tests.server.llm.dialect_table import (
    OBJECTS,
    REFERENCE,
    TEXT,
    TEXTS,
    UNREPORTED,
    UPDATE,
    Dialect,
)
from tests.server.llm.test_openai import call, model_at
from tests.support.scripted_endpoint import Script, ScriptedEndpoint, chunk, line, writes


def answers(dialect: Dialect) -> Script:
    async def script(_: ScriptedEndpoint, __: web.Request) -> web.StreamResponse:
        kind = "text/event-stream" if dialect.is_stream else "application/json"
        return web.Response(body=dialect.body, content_type=kind)

    return script


def named(dialect: Dialect) -> str:
    return dialect.name


@pytest.mark.parametrize("dialect", TEXTS, ids=named)
async def test_a_text_is_the_same_in_every_dialect(dialect: Dialect) -> None:
    async with model_at(answers(dialect)) as (model, _):
        if dialect.asked_twice:
            with pytest.raises(AnswerFailed):
                await model.answer(call(StepEnum.ACTION), lambda _: None)
        told: list[str] = []
        answer = await model.answer(call(StepEnum.ACTION), told.append)
    assert answer.text == TEXT == "".join(told)


@pytest.mark.parametrize("dialect", OBJECTS, ids=named)
async def test_an_object_is_the_same_in_every_dialect(dialect: Dialect) -> None:
    async with model_at(answers(dialect)) as (model, _):
        answer = await model.answer(call(StepEnum.UPDATE), lambda _: None)
    assert answer.output == UpdateOutput.model_validate({**UPDATE, "next_query": None})
    assert answer.text == UPDATE["reasoning"]


def test_every_dialect_names_its_source() -> None:
    for dialect in (*TEXTS, *OBJECTS):
        known = dialect.source in {REFERENCE, UNREPORTED}
        assert known or re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", dialect.source), dialect.name


async def test_an_endpoint_that_names_reasons_is_not_believed_without_one() -> None:
    (unnamed,) = (each for each in TEXTS if each.name == "finish_reason null to the end")
    async with model_at(answers(TEXTS[0]), answers(unnamed)) as (model, _):
        await model.answer(call(StepEnum.ACTION), lambda _: None)
        for _ in range(3):
            with pytest.raises(AnswerFailed):
                await model.answer(call(StepEnum.ACTION), lambda _: None)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([{"object": "error", "message": "SECRET"}], id="an error by its object"),
        pytest.param([{"detail": "SECRET"}], id="an error by its detail"),
        pytest.param(
            [{"choices": None, "base_resp": {"status_code": 1004}}], id="an error by its status"
        ),
        pytest.param([chunk(content=[{"type": "image"}])], id="a part that is no text"),
        pytest.param([chunk(content="<think>never closed"), chunk(finish="stop")], id="thoughts"),
        pytest.param([chunk("a", "stop"), {"choices": [{"message": {"content": "b"}}]}], id="two"),
        pytest.param(
            [chunk(tool_calls=[{"function": {"arguments": "{}"}}], finish="stop")], id="tool"
        ),
    ],
)
async def test_what_is_no_answer_in_any_dialect_fails_the_attempt(events: list[object]) -> None:
    async with model_at(writes(*map(line, events), line(b"[DONE]"))) as (model, _):
        with pytest.raises(AnswerFailed) as caught:
            await model.answer(call(StepEnum.ACTION), lambda _: None)
    assert "SECRET" not in caught.value.error.message + caught.value.error.detail
    assert caught.value.partial in {"", "a"}


async def test_tags_within_an_answer_are_part_of_it() -> None:
    said = "Write `<think>` before and `</think>` behind.\n<think>so</think>"
    events = [chunk(said[begin : begin + 3]) for begin in range(0, len(said), 3)]
    async with model_at(writes(*map(line, [*events, chunk(finish="stop")]))) as (model, _):
        assert (await model.answer(call(StepEnum.ACTION), lambda _: None)).text == said


def read(
    step: StepEnum,
    parts: list[bytes],
    *,
    trusts_done: bool,
    thinks_first: bool,
    is_whole: bool = False,
) -> str:
    """What these bytes come to, as the adapter reads them. Raises AIError and ValueError."""
    events, told = EventReader(), list[str]()
    reply = StreamedAnswer(
        step, told.append, 100_000, trusts_done=trusts_done, thinks_first=thinks_first
    )
    request = httpx2.Request("POST", "http://model.invalid")
    for part in parts:
        for payload in events.feed(part):
            if take_payload(payload, reply, request):
                break
        if reply.is_done:
            break
    else:
        for payload in events.end():
            take_payload(payload, reply, request)
        if is_whole:
            reply.close()
    answer = read_answer(call(step), reply.answer())
    if step is StepEnum.ACTION:
        assert answer.text == "".join(told)
    return answer.text


@given(
    st.sampled_from(
        [(StepEnum.ACTION, row) for row in TEXTS] + [(StepEnum.UPDATE, row) for row in OBJECTS]
    ),
    st.lists(st.integers(0, 4_000), max_size=8),
    st.integers(0, 4_000),
)
@settings(max_examples=400, deadline=None)
def test_wherever_bytes_are_cut_they_say_the_same_or_nothing(
    told: tuple[StepEnum, Dialect], cuts: list[int], end: int
) -> None:
    step, dialect = told
    body = dialect.body
    places = sorted({0, len(body), *(cut % len(body) for cut in cuts)})
    parts = [body[begin:stop] for begin, stop in pairwise(places)]
    untagged = dialect.asked_twice and b"think" in body
    expected = TEXT if step is StepEnum.ACTION else UPDATE["reasoning"]
    known = {"trusts_done": dialect.asked_twice, "thinks_first": untagged}
    assert read(step, parts, is_whole=True, **known) == expected
    try:
        cut = read(step, [body[: end % len(body)]], **known)
    except (AIError, ValueError):
        return
    assert cut == expected


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30), st.data())
def test_pieces_of_utf_16_join_to_the_text(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    halves = [
        units[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(units), 2)
    ]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(halves)))) | {0, len(halves)})
    joiner = TextJoiner()
    joined = [joiner.join("".join(halves[begin:end])) for begin, end in pairwise(cuts)]
    assert "".join(joined) + joiner.rest() == text


@given(
    st.sampled_from(["", " \n", "<think>a</think>", "\n<thinking>\n</thinking> <think></think>\n"]),
    st.text(st.sampled_from("<think>/ abc\n"), max_size=20).map(lambda tail: "Answer " + tail),
    st.data(),
)
def test_thoughts_are_kept_apart_wherever_the_text_is_cut(
    thoughts: str, text: str, data: st.DataObject
) -> None:
    whole = thoughts + text
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))) | {0, len(whole)})
    filtered = ThoughtFilter()
    parts = [filtered.take(whole[begin:end]) for begin, end in pairwise(cuts)]
    assert "".join(parts) + filtered.end() == (whole if not thoughts.strip() else text)
    told = filtered.thoughts()
    assert told == "".join(re.findall(r"<think(?:ing)?>(.*?)</", thoughts, re.DOTALL))
