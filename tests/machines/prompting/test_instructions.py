"""The instructions of a thread's co-authors: where a request says them, and what they cannot do."""

from datetime import timedelta

import pytest
from hypothesis import given

from machines.models.chorus import ChorusState
from machines.models.outputs import ActionOutput, StepEnum
from machines.prompting.instructions import HEADING
from machines.prompting.quoting import estimated_tokens, quotations
from machines.prompting.request import SYSTEM_TEXT, build_ai_call
from tests.machines.prompting.asking_runs import context, hostile, prior, record, state


def texts_of(run: ChorusState) -> tuple[str, str]:
    """The system text and the rest of a request."""
    system, user = build_ai_call(run).messages
    return system.content, user.content


def test_they_stand_behind_the_system_text_and_nowhere_else() -> None:
    for step in StepEnum:
        system, rest = texts_of(state(step, instructions="Answer in verse."))
        assert system.startswith(SYSTEM_TEXT + HEADING)
        assert system.endswith("<instructions>\nAnswer in verse.\n</instructions>")
        assert "Answer in verse." not in rest


def test_without_any_the_request_says_nothing_of_them() -> None:
    system, rest = texts_of(state(StepEnum.YIELD))
    assert system == SYSTEM_TEXT
    assert "co-authors" not in rest


def test_two_runs_of_a_thread_begin_alike() -> None:
    one = state(StepEnum.ACTION, instructions="Be brief.", prompt="One?")
    later = one.created_at + timedelta(days=1)
    other = state(
        StepEnum.YIELD, id="run-2", answer_id="answer-2", instructions="Be brief.", created_at=later
    )
    assert texts_of(one)[0] == texts_of(other)[0]


@given(hostile)
def test_whatever_they_say_they_cannot_end_their_section_or_plant_a_label(said: str) -> None:
    plain, _ = texts_of(state(StepEnum.YIELD, instructions="x"))
    system, rest = texts_of(state(StepEnum.YIELD, instructions=f"x{said}"))
    assert system.count("<") == plain.count("<")
    assert "[P" not in system
    assert quotations(system) == []
    # The rules of citing and the step are said last, by us, whatever the instructions ask for.
    assert "\nStep: yield\n" in rest
    assert rest.count("Cite nothing.") == 1


def test_they_may_name_another_language() -> None:
    _, rest = texts_of(state(StepEnum.YIELD, instructions="Answer in French."))
    assert rest.splitlines()[-1] == (
        "Write in the language of the request, unless the co-authors want another."
    )


@pytest.mark.parametrize("context_tokens", [2_048, 4_096, 32_000])
@pytest.mark.parametrize("letter", ["a", "水", "<"])
@pytest.mark.parametrize("step", list(StepEnum))
def test_they_count_in_the_budget(step: StepEnum, letter: str, context_tokens: int) -> None:
    flood = letter * 32_000
    run = state(
        step,
        context_tokens=context_tokens,
        instructions=letter * 4_000,
        prompt=flood,
        query=flood,
        messages=tuple(context(number, flood) for number in range(16)),
        priors=tuple(prior(number, flood) for number in range(12)),
        steps=tuple(record(StepEnum.ACTION, ActionOutput(), flood) for _ in range(5)),
    )
    call = build_ai_call(run)
    asked = sum(estimated_tokens(message.content) for message in call.messages)
    assert asked + call.answer_tokens <= context_tokens


@pytest.mark.parametrize("letter", ["a", "水"])
def test_in_the_usual_context_the_longest_are_sent_whole(letter: str) -> None:
    system, _ = texts_of(state(StepEnum.ACTION, instructions=letter * 4_000))
    assert letter * 4_000 in system


def test_short_ones_take_little_from_the_thread() -> None:
    messages = tuple(context(number, "word " * 2_000) for number in range(16))
    plain = texts_of(state(StepEnum.ACTION, messages=messages))[1]
    asked = texts_of(state(StepEnum.ACTION, messages=messages, instructions="Be brief."))[1]
    assert 0.97 < len(asked) / len(plain) <= 1
