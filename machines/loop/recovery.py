"""What a failed attempt does to a run: pure corrections, one for each error of the tree.

- AIError: back to the last stable state. Nothing of the attempt feeds a later step; its text stays
  in the journal, marked incomplete. Where the request was too long, it is rebuilt once for half of
  the run's context.
- NetworkError: the effect is kept, and performed again after a wait.
- StateError: the state was rebuilt from the journal, by the server that restarted, by another, or by
  one whose chart is another; the effect that was lost is performed again at once.

AIError and NetworkError count against the attempts of the step and iteration; StateError counts
against a bound of its own, so that restarts of the server cost no run its attempts. An attempt that
an open breaker delays is no failure: it waits once, then it is made.
"""

from datetime import timedelta
from typing import assert_never

from machines.loop.steps import StepResult, about, effect_under_way
from machines.models.chorus import (
    BACKOFF_BASE_MS,
    AIFailed,
    AttemptDelayed,
    Awaited,
    CarrierLost,
    ChartChanged,
    ChorusState,
    ErrorState,
    FailureKind,
    NetworkFailed,
    RunCancelled,
    StateLost,
)
from machines.models.effects import CancelTimer, RunEffect, ScheduleTimer, StopAttempt
from machines.models.errors import ErrorCode
from machines.models.ids import RunId, TimerId
from machines.models.journal import RetryTimer
from machines.models.wire import run_frames

RebuildEvent = StateLost | CarrierLost | ChartChanged
"""After these the run is what the journal holds of it, and nothing is performed for it any more."""

ErrorEvent = AIFailed | NetworkFailed | RebuildEvent

BACKOFF_CAP_MS = 30_000
"""The longest wait of our own. An endpoint that asks for a longer one is given it; one that asks for
more than a thread can wait for is no retryable failure (see the error's `retryable`)."""
MAX_REBUILDS = 50
"""Restarts, upgrades and losses of its server that one run survives: a run that kills its server must
end at last."""


def handle_error(state: ChorusState, event: ErrorEvent) -> StepResult:
    """Recover: the corrected state, what the thread is told, and the wait for the next attempt."""
    return _told(apply_error_correction(state, event), _partial(event))


def halve_context(state: ChorusState, event: AIFailed) -> StepResult:
    """The request was too long: the step is asked again at once, with half of the context.

    It happens once in a run and costs it no attempt. Every later request keeps to the half too.
    """
    halved = state.changed(context_tokens=max(state.context_tokens // 2, 1), context_is_halved=True)
    error = _failure(state, event, FailureKind.AI).changed(retry_at=event.at, retry_in_ms=0)
    return _told(_recovering(halved, error, counts=False), _partial(event))


def delay_attempt(state: ChorusState, event: AttemptDelayed) -> StepResult:
    """Wait for an open breaker: the attempt was not made, so it counts for nothing."""
    wait = min(event.wait_ms, BACKOFF_CAP_MS)
    error = ErrorState(
        failure=FailureKind.DELAY,
        code=event.code,
        message=event.message,
        at=event.at,
        retry_at=event.at + timedelta(milliseconds=wait),
        retry_in_ms=wait,
        kept=state.awaiting,
    )
    delayed = _recovering(state, error, counts=False)
    return _told(delayed.changed(has_waited=True), None)


def keep_waiting(state: ChorusState, event: ChartChanged) -> StepResult:
    """The next attempt is due when it was: the timer is set anew, since it names the step."""
    error = state.error_state
    due = event.at if error is None or error.retry_at is None else error.retry_at
    left = max(due - event.at, timedelta()) // timedelta(milliseconds=1)
    again = _state_failure(state, event).changed(retry_at=due, retry_in_ms=left)
    if error is not None:
        again = again.changed(kept=error.kept)
    return _told(state.changed(rebuilds=state.rebuilds + 1, error_state=again), None)


def apply_error_correction(state: ChorusState, event: ErrorEvent) -> ChorusState:
    """The state in which the run waits for its next attempt."""
    match event:
        case AIFailed():
            return rollback_to_last_stable(state, event)
        case NetworkFailed():
            return cache_and_retry(state, event)
        case StateLost() | CarrierLost() | ChartChanged():
            return _rebuilt(state, event)
        case _:
            assert_never(event)


def rollback_to_last_stable(state: ChorusState, event: AIFailed) -> ChorusState:
    """Back to how the step began: completed steps stay, the failed attempt leaves nothing."""
    return _recovering(state, _failure(state, event, FailureKind.AI), counts=True)


def cache_and_retry(state: ChorusState, event: NetworkFailed) -> ChorusState:
    """Keep the effect that did not get through; it is performed again, the same in all its parts."""
    return _recovering(state, _failure(state, event, FailureKind.NETWORK), counts=True)


def generate_recovery_effects(state: ChorusState) -> tuple[RunEffect, ...]:
    """The timer that ends the wait."""
    error = state.error_state
    if error is None or error.retry_at is None:
        return ()
    timer = RetryTimer(
        thread_id=state.thread_id,
        run_id=state.id,
        step=state.current_step,
        iteration=state.iteration,
        attempt=state.attempt,
    )
    return (ScheduleTimer(timer_id=retry_timer(state.id), due_at=error.retry_at, timer=timer),)


def repeat_effect(state: ChorusState, _: object = None) -> StepResult:
    """The wait is over: the next attempt, with the effect that was kept."""
    awaiting = state.error_state.kept if state.error_state else state.awaiting
    again = state.changed(attempt=state.attempt + 1, awaiting=awaiting)
    effects = (CancelTimer(timer_id=retry_timer(state.id)), effect_under_way(again))
    return StepResult(again, (run_frames.StepStartedData(**about(again)),), effects)


def fail(state: ChorusState, event: ErrorEvent) -> StepResult:
    """No attempt is left, or none can help: the run ends, and says why."""
    match event:
        case AIFailed() | NetworkFailed():
            failure = FailureKind.AI if isinstance(event, AIFailed) else FailureKind.NETWORK
            error = _failure(state, event, failure)
        case StateLost() | CarrierLost() | ChartChanged():
            error = _state_failure(state, event)
        case _:
            assert_never(event)
    error = error.changed(retry_at=None, retry_in_ms=None)
    response = run_frames.RunFailedData(
        **about(state), code=error.code, message=error.message, partial=_partial(event)
    )
    effects = (CancelTimer(timer_id=retry_timer(state.id)),)
    return StepResult(state.changed(error_state=error), (response,), effects)


def stop(state: ChorusState, event: RunCancelled) -> StepResult:
    """End the run, and whatever it waits for."""
    response = run_frames.RunCancelledData(**about(state), by=event.by, partial=event.partial)
    effects = (StopAttempt(run_id=state.id), CancelTimer(timer_id=retry_timer(state.id)))
    return StepResult(state, (response,), effects)


def backoff_ms(failures: int, jitter: float, base_ms: int = BACKOFF_BASE_MS) -> int:
    """Milliseconds until the next attempt after `failures` failed ones (from 1).

    Exponential with full jitter over the upper half: between half and the whole of
    `base_ms * 2 ** (failures - 1)`, at most `BACKOFF_CAP_MS`. `jitter` is in [0, 1).
    """
    whole = min(BACKOFF_CAP_MS, base_ms * 2 ** (min(failures, 16) - 1))
    return int(whole * (0.5 + jitter / 2))


def retry_timer(run_id: RunId) -> TimerId:
    """The one timer that a run may have."""
    return TimerId(f"retry:{run_id}")


def _told(recovering: ChorusState, partial: str | None) -> StepResult:
    """What the thread hears of a run that recovers, and the timer that ends the wait."""
    error = recovering.error_state
    assert error is not None  # noqa: S101 - every correction notes what it corrects
    response = run_frames.StepRecoveringData(
        **about(recovering),
        code=error.code,
        message=error.message,
        retry_in_ms=error.retry_in_ms or 0,
        partial=partial,
    )
    return StepResult(recovering, (response,), generate_recovery_effects(recovering))


def _partial(event: ErrorEvent) -> str | None:
    """Text of the failed attempt."""
    return None if isinstance(event, StateLost | CarrierLost | ChartChanged) else event.partial


def _failure(
    state: ChorusState, event: AIFailed | NetworkFailed, failure: FailureKind
) -> ErrorState:
    backoff = backoff_ms(state.failures + 1, event.jitter, state.backoff_base_ms)
    wait = max(backoff, event.retry_after_ms or 0)
    return ErrorState(
        failure=failure,
        code=event.code,
        message=event.message,
        at=event.at,
        retry_at=event.at + timedelta(milliseconds=wait),
        retry_in_ms=wait,
        kept=state.awaiting,
    )


def _state_failure(state: ChorusState, event: RebuildEvent) -> ErrorState:
    return ErrorState(
        failure=FailureKind.STATE,
        code=ErrorCode.CHART_CHANGED if isinstance(event, ChartChanged) else ErrorCode.INTERNAL,
        message=_why_rebuilt(event),
        at=event.at,
        retry_at=event.at,
        retry_in_ms=0,
        kept=state.awaiting,
    )


def _why_rebuilt(event: RebuildEvent) -> str:
    match event:
        case StateLost():
            return "The server restarted while it worked on this step."
        case CarrierLost():
            return "The server that worked on this step is gone, and another goes on."
        case ChartChanged():
            return event.message
        case _:
            assert_never(event)


def _rebuilt(state: ChorusState, event: RebuildEvent) -> ChorusState:
    rebuilt = state.changed(rebuilds=state.rebuilds + 1)
    return _recovering(rebuilt, _state_failure(state, event), counts=False)


def _recovering(state: ChorusState, error: ErrorState, *, counts: bool) -> ChorusState:
    return state.changed(
        failures=state.failures + (1 if counts else 0),
        has_waited=state.has_waited and not counts,
        awaiting=Awaited(error.kept),
        error_state=error,
    )
