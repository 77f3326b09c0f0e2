"""Answers: nothing that a model writes gets past `read_answer` unchecked."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.models.effects import AICall, SuppliedPrior
from machines.models.errors import AIError, ErrorCode
from machines.models.ids import MessageId, RunId, ThreadId
from machines.models.limits import MAX_QUERY_LENGTH
from machines.models.outputs import (
    ActionOutput,
    ExperienceOutput,
    IntentionOutput,
    ObservationOutput,
    Prior,
    StepEnum,
    UpdateOutput,
    YieldOutput,
)
from machines.prompting.answers import (
    MAX_ITEM,
    MAX_ITEMS,
    MAX_SELECTED,
    MAX_TEXT,
    partial_text,
    read_answer,
    schema_for,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STRUCTURED = [step for step in StepEnum if schema_for(step)]

labels = st.one_of(
    st.from_regex(r"\[?[Pp][0-9]{1,2}\]?", fullmatch=True),
    st.text(max_size=8),
)
numbers = st.one_of(st.floats(), st.integers())
texts = st.text(max_size=30)


def call(step: StepEnum, priors: int = 4) -> AICall:
    return AICall(
        run_id=RunId("run"),
        thread_id=ThreadId("thread"),
        message_id=MessageId("prompt"),
        step=step,
        iteration=1,
        attempt=1,
        messages=(),
        answer_tokens=1_000,
        priors=tuple(
            SuppliedPrior(
                label=f"P{number}",
                prior=Prior(
                    message_id=MessageId(f"m{number}"),
                    thread_id=ThreadId("t"),
                    content="",
                    author=None,
                    score=0,
                    created_at=NOW,
                ),
            )
            for number in range(1, priors + 1)
        ),
    )


def good(step: StepEnum, **changes: object) -> str:
    values: dict[StepEnum, dict[str, object]] = {
        StepEnum.EXPERIENCE: {"synthesis": "s", "key_insights": ["i"], "used": ["P1"]},
        StepEnum.INTENTION: {
            "explicit_intent": "e",
            "implicit_intent": "i",
            "confidence": 0.5,
            "selected": [{"label": "P2", "why": "w"}],
        },
        StepEnum.OBSERVATION: {"analysis": "a", "patterns": [], "gaps": ["g"], "confidence": 1},
        StepEnum.UPDATE: {
            "reasoning": "r",
            "loop": True,
            "next_query": "q",
            "confidence": 0,
            "key_insights": [],
        },
    }
    return json.dumps({**values[step], **changes})


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, labels),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@given(st.sampled_from(list(StepEnum)), st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_the_model_writes_is_an_output_of_the_step_or_an_ai_error(
    step: StepEnum, data: st.DataObject
) -> None:
    if step in STRUCTURED:
        fields = list(json.loads(good(step)))
        changes = data.draw(st.dictionaries(st.sampled_from(fields), json_values, max_size=3))
        raw = good(step, **changes)
    else:
        raw = data.draw(st.lists(st.one_of(texts, labels.map("[{}]".format))).map(" ".join))
    asked = call(step)
    supplied = {each.prior.message_id for each in asked.priors}
    try:
        answer = read_answer(asked, raw)
    except AIError:
        return
    assert answer.output.step == step
    assert answer.text.strip()
    assert answer == read_answer(asked, raw)
    match answer.output:
        case ExperienceOutput(used=named):
            pass
        case IntentionOutput(selected_priors=selected):
            named = tuple(each.message_id for each in selected)
        case YieldOutput(citations=citations):
            named = tuple(each.message_id for each in citations)
        case _:
            named = ()
    assert set(named) <= supplied
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("step", STRUCTURED)
def test_a_good_answer_is_read_with_and_without_a_fence(step: StepEnum) -> None:
    plain = read_answer(call(step), good(step))
    assert plain == read_answer(call(step), f"```json\n{good(step)}\n```\n")
    assert plain == read_answer(call(step), f"\n```\n{good(step)}```")
    assert plain.dropped == ()


@pytest.mark.parametrize(
    "raw",
    ["", " \n", "Sure! Here it is.", "{", "[]", "null", "{}", '{"a": 1,}', "```json\n```"],
)
@pytest.mark.parametrize("step", STRUCTURED)
def test_what_is_not_the_schema_is_refused(step: StepEnum, raw: str) -> None:
    with pytest.raises(AIError) as caught:
        read_answer(call(step), raw)
    assert caught.value.code is ErrorCode.AI_INVALID_OUTPUT
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (StepEnum.EXPERIENCE, {"synthesis": " "}),
        (StepEnum.INTENTION, {"confidence": None}),
        (StepEnum.INTENTION, {"confidence": float("nan")}),
        (StepEnum.OBSERVATION, {"analysis": 5}),
        (StepEnum.UPDATE, {"loop": None}),
        (StepEnum.UPDATE, {"loop": "perhaps"}),
    ],
)
def test_nothing_is_made_up_for_what_matters(step: StepEnum, changes: dict[str, object]) -> None:
    with pytest.raises(AIError):
        read_answer(call(step), good(step, **changes))


def test_a_list_that_is_forgotten_is_empty() -> None:
    answer = read_answer(call(StepEnum.OBSERVATION), '{"analysis": "a", "confidence": 0.5}')
    assert answer.output == ObservationOutput(confidence=0.5)


@pytest.mark.parametrize(("written", "kept"), [(-3, 0), (7, 1), (0.25, 0.25), ("0.5", 0.5)])
def test_confidence_is_clipped_here(written: object, kept: float) -> None:
    answer = read_answer(call(StepEnum.INTENTION), good(StepEnum.INTENTION, confidence=written))
    assert isinstance(answer.output, IntentionOutput)
    assert answer.output.confidence == kept


def test_lengths_are_clipped_here() -> None:
    raw = good(
        StepEnum.UPDATE,
        reasoning="r" * (MAX_TEXT + 5),
        key_insights=["k" * (MAX_ITEM + 5), " ", *["k"] * 50],
        next_query="q" * (MAX_QUERY_LENGTH + 5),
    )
    answer = read_answer(call(StepEnum.UPDATE), raw)
    assert isinstance(answer.output, UpdateOutput)
    assert len(answer.text) == MAX_TEXT
    assert len(answer.output.key_insights) == MAX_ITEMS
    assert len(answer.output.key_insights[0]) == MAX_ITEM
    assert len(answer.output.next_query or "") == MAX_QUERY_LENGTH


def test_no_more_priors_are_selected_than_fit() -> None:
    chosen = [{"label": f"P{number}", "why": ""} for number in range(1, 10)]
    answer = read_answer(
        call(StepEnum.INTENTION, priors=9), good(StepEnum.INTENTION, selected=chosen)
    )
    assert isinstance(answer.output, IntentionOutput)
    assert [each.message_id for each in answer.output.selected_priors] == [
        f"m{number}" for number in range(1, MAX_SELECTED + 1)
    ]


def test_invented_labels_are_dropped_and_named() -> None:
    chosen = [{"label": label, "why": label} for label in ("P9", " [p2]", "P2", "m1", "P1")]
    answer = read_answer(call(StepEnum.INTENTION), good(StepEnum.INTENTION, selected=chosen))
    assert isinstance(answer.output, IntentionOutput)
    assert [(each.message_id, each.why) for each in answer.output.selected_priors] == [
        ("m2", " [p2]".strip()),
        ("m1", "P1"),
    ]
    assert answer.dropped == ("P9", "m1")


def test_citations_are_the_supplied_labels_in_brackets() -> None:
    text = " As said [P2], and [P1, P4]; P3 is not cited, [P77] is invented, [p1] small. [P2]\n"
    answer = read_answer(call(StepEnum.YIELD), text)
    assert isinstance(answer.output, YieldOutput)
    assert [(each.label, each.message_id) for each in answer.output.citations] == [
        ("P2", "m2"),
        ("P1", "m1"),
        ("P4", "m4"),
    ]
    assert answer.dropped == ("P77",)
    assert answer.text == (
        " As said [P2], and [P1][P4]; P3 is not cited, is invented, [P1] small. [P2]\n"
    )


def test_where_nothing_was_selected_nothing_is_cited() -> None:
    answer = read_answer(call(StepEnum.YIELD, priors=0), "As said [P1].")
    assert answer.output == YieldOutput()
    assert answer.dropped == ("P1",)


def test_action_cites_nothing() -> None:
    assert read_answer(call(StepEnum.ACTION), "As said [P1].").output == ActionOutput()


def test_a_query_counts_only_with_a_loop_and_the_wish_to_loop_is_kept() -> None:
    for loop, query, kept in ((True, " q ", "q"), (True, "", None), (False, "q", None)):
        raw = good(StepEnum.UPDATE, loop=loop, next_query=query)
        output = read_answer(call(StepEnum.UPDATE), raw).output
        assert isinstance(output, UpdateOutput)
        assert (output.loop, output.next_query) == (loop, kept)


@given(st.sampled_from(STRUCTURED), st.text(max_size=20).filter(str.strip), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_text_grows_while_it_is_written(step: StepEnum, text: str, fenced: bool) -> None:
    first = next(iter(json.loads(good(step))))
    raw = good(step, **{first: text})
    whole = f"```json\n{raw}\n```" if fenced else raw
    seen = [partial_text(step, whole[:end]) for end in range(len(whole) + 1)]
    for one, other in pairwise(seen):
        assert other.startswith(one)
    assert seen[-1] == text.lstrip()


def _nodes(schema: object) -> Iterator[dict[str, object]]:
    if isinstance(schema, dict):
        if "type" in schema and isinstance(schema["type"], str):
            yield schema
        for value in schema.values():
            yield from _nodes(value)


@pytest.mark.parametrize("step", list(StepEnum))
def test_the_schema_has_nothing_that_endpoints_refuse(step: StepEnum) -> None:
    schema = schema_for(step)
    if step in {StepEnum.ACTION, StepEnum.YIELD}:
        assert schema is None
        return
    nodes = list(_nodes(schema))
    assert nodes
    for node in nodes:
        assert set(node) <= {"type", "properties", "required", "additionalProperties", "items"}
        if node["type"] == "object":
            assert isinstance(node["properties"], dict)
            assert node["required"] == list(node["properties"])
            assert node["additionalProperties"] is False


@pytest.mark.parametrize(
    "raw",
    [
        '{"analysis": "a", "confidence": 0.5',
        '{"analysis": "a" "confidence": 0.5}',
        "{" * 5_000 + '{"analysis": "a", "confidence": 0.5}',
        '{"analysis": "a", "confidence": 0.5, "gaps": [1]}',
    ],
)
def test_what_may_mean_more_than_one_thing_is_not_mended(raw: str) -> None:
    with pytest.raises(AIError):
        read_answer(call(StepEnum.OBSERVATION), raw)


def test_an_answer_that_cannot_be_read_says_what_is_wrong_in_words_of_ours() -> None:
    raw = good(StepEnum.UPDATE, loop="SECRET", confidence=None)
    with pytest.raises(AIError) as caught:
        read_answer(call(StepEnum.UPDATE), raw)
    assert caught.value.message.endswith("needs: loop (bool parsing), confidence (float type).")
    with pytest.raises(AIError) as caught:
        read_answer(call(StepEnum.UPDATE), "SECRET")
    assert caught.value.message.endswith("needs: it holds no JSON object that ends.")


def test_labels_may_stand_alone_or_in_objects() -> None:
    chosen = ["P1", {"label": "P2", "why": "w"}, "P9"]
    answer = read_answer(call(StepEnum.INTENTION), good(StepEnum.INTENTION, selected=chosen))
    assert isinstance(answer.output, IntentionOutput)
    assert [(each.message_id, each.why) for each in answer.output.selected_priors] == [
        ("m1", ""),
        ("m2", "w"),
    ]
    assert answer.dropped == ("P9",)
    used = good(StepEnum.EXPERIENCE, used=[{"label": "P1"}, "[p2]"])
    output = read_answer(call(StepEnum.EXPERIENCE), used).output
    assert isinstance(output, ExperienceOutput)
    assert output.used == ("m1", "m2")


@pytest.mark.parametrize(
    ("written", "kept"), [(85, 0.85), ("85%", 0.85), (100, 1), (10, 0.1), ("7 %", 0.07), (900, 1)]
)
def test_confidence_may_be_in_per_cent(written: object, kept: float) -> None:
    answer = read_answer(call(StepEnum.INTENTION), good(StepEnum.INTENTION, confidence=written))
    assert isinstance(answer.output, IntentionOutput)
    assert answer.output.confidence == pytest.approx(kept)
