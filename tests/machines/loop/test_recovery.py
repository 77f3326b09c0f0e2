"""Recovery: what a failed attempt does to a run."""

from machines.chorus import transform_state
from machines.models.chorus import FailureKind, Health
from machines.models.effects import AICall, ScheduleTimer
from machines.models.outputs import StepEnum
from machines.prompting.quoting import estimated_tokens
from machines.prompting.request import build_ai_call
from tests.machines.transitions.chorus_scenarios import ai_failed, answered, retry_due, running


def test_a_request_that_is_too_long_is_asked_again_at_once_in_half_of_the_context() -> None:
    run = running(StepEnum.INTENTION, context_tokens=8_000, prompt="word " * 6_000)
    too_long = ai_failed(run, retryable=False, retry_after_ms=9_000, context_exceeded=True)

    waiting, _, (timer,) = transform_state(run, too_long)
    assert waiting.health is Health.RECOVERING
    assert (waiting.context_tokens, waiting.context_is_halved) == (4_000, True)
    assert waiting.failures == 0, "it costs no attempt"
    assert waiting.error_state is not None
    assert waiting.error_state.failure is FailureKind.AI
    assert isinstance(timer, ScheduleTimer)
    assert timer.due_at == too_long.at

    again = transform_state(waiting, retry_due(waiting))
    *_, call = again.effects
    assert isinstance(call, AICall)
    assert call.attempt == run.attempt + 1
    asked, before = (
        estimated_tokens(each.messages[1].content) for each in (call, build_ai_call(run))
    )
    assert asked < 4_000
    assert asked < 0.75 * before

    after = transform_state(again.state, answered(again.state)).state
    assert after.context_tokens == 4_000, "later steps keep to it"
