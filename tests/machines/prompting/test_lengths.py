"""How long an answer may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.models.outputs import StepEnum
from machines.prompting.lengths import MAX_DOUBLINGS, STEP_TOKENS, answer_limit
from machines.prompting.quoting import estimated_tokens
from machines.prompting.request import build_ai_call
from machines.prompting.shares import answer_room
from tests.machines.prompting.asking_runs import state


@pytest.mark.parametrize("step", list(StepEnum))
def test_each_failed_attempt_doubles_the_limit_of_its_step(step: StepEnum) -> None:
    limits = [
        answer_limit(state(step, context_tokens=1_000_000, failures=failures), 5_000).answer
        for failures in range(6)
    ]
    grown = [STEP_TOKENS[step] << times for times in range(MAX_DOUBLINGS + 1)]
    assert limits == [*grown, grown[-1], grown[-1]]


@given(st.integers(512, 200_000), st.integers(0, 200_000), st.integers(0, 5))
def test_request_answer_and_thoughts_keep_to_the_context(
    context_tokens: int, request_tokens: int, failures: int
) -> None:
    run = state(StepEnum.YIELD, context_tokens=context_tokens, failures=failures)
    limit = answer_limit(run, request_tokens)
    assert limit.answer >= 1
    assert limit.thoughts <= limit.answer
    kept = answer_room(context_tokens)
    if request_tokens + kept <= context_tokens:
        assert request_tokens + limit.answer + limit.thoughts <= context_tokens


def test_the_limit_goes_with_the_request() -> None:
    run = state(StepEnum.UPDATE, failures=1)
    call = build_ai_call(run)
    asked = sum(estimated_tokens(message.content) for message in call.messages)
    assert (call.answer_tokens, call.thought_tokens) == answer_limit(run, asked)
