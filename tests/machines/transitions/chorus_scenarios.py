"""Runs of the Chorus loop and events for them, and the scenario of each edge of the chorus chart.

Runs are walked to where a scenario needs them through the machine itself, so that each is a value
that can really occur; a counter near its bound is then set by hand.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from machines.chorus import chorus_machine, transform_state
from machines.loop.recovery import MAX_REBUILDS
from machines.loop.runs import create_initial_state
from machines.models.chorus import (
    AIFailed,
    AttemptDelayed,
    Awaited,
    CarrierLost,
    ChartChanged,
    ChartOutcome,
    ChorusEvent,
    ChorusState,
    ContextMessage,
    Health,
    LoopMode,
    NetworkFailed,
    Prefix,
    PriorsRetrieved,
    RetryDue,
    RunCancelled,
    RunStarted,
    StateLost,
    StepCompleted,
)
from machines.models.domain import Role
from machines.models.errors import ErrorCode
from machines.models.fork import Change, ChangeKind, ForkPoint
from machines.models.ids import MessageId, PublicKey
from machines.models.outputs import (
    ActionOutput,
    Citation,
    ExperienceOutput,
    IntentionOutput,
    ObservationOutput,
    Prior,
    SelectedPrior,
    StepEnum,
    StepOutput,
    UpdateOutput,
    Usage,
    YieldOutput,
)
from machines.statechart.scenarios import Catalogue, Refused, Taken
from tests.machines.transitions.values import (
    ALICE,
    ANSWER,
    BOB,
    BRANCH,
    MESSAGE,
    NOW,
    OTHER_RUN,
    RUN,
    THREAD,
    prior,
    uuid,
)

MAX_ITERATIONS: Final = 2
MAX_ATTEMPTS: Final = 2
LAST_SECOND: Final = 10**6
"""Events of a run come a second apart, but a random run may have any version at all."""
STEPS: Final = tuple(StepEnum)

# --- Events --------------------------------------------------------------------------------------


def started(*, busy: bool = False) -> RunStarted:
    """The run's turn came; `busy` where another run of the thread is under way."""
    before = ContextMessage(
        message_id=MessageId(uuid(90)), role=Role.USER, author=BOB, content="Good morning"
    )
    return RunStarted(at=NOW, thread_is_busy=busy, messages=(before,))


def recalled(
    run: ChorusState, priors: tuple[Prior, ...] | None = None, **changes: Any
) -> PriorsRetrieved:
    """The memory's answer to the current attempt; `changes` make it late or foreign.

    Where no priors are named, one is known from the iteration before and one is new.
    """
    usual = (prior(run.iteration), prior(run.iteration + 1)) if priors is None else priors
    return PriorsRetrieved(**{**_attempt(run), "priors": usual, "available": True, **changes})


def answered(
    run: ChorusState, *, loop: bool = False, enough: bool = False, **changes: Any
) -> StepCompleted:
    """The model's answer to the current attempt, of the shape that its step gives."""
    usual = {
        "text": f"What {run.current_step} gives",
        "output": output_of(run, loop=loop, enough=enough),
        "usage": Usage(prompt_tokens=20, completion_tokens=10, total_tokens=30),
        "model": "scripted",
    }
    return StepCompleted(**{**_attempt(run), **usual, **changes})


def ai_failed(run: ChorusState, *, retryable: bool = True, **changes: Any) -> AIFailed:
    """The endpoint answered the current attempt with something that is no use."""
    usual = {
        "code": ErrorCode.AI_INVALID_OUTPUT if retryable else ErrorCode.AI_REJECTED,
        "message": "The model gave no usable answer.",
        "retryable": retryable,
        "partial": "Half a sen",
        "jitter": 0.5,
    }
    return AIFailed(**{**_attempt(run), **usual, **changes})


def network_failed(run: ChorusState, *, retryable: bool = True, **changes: Any) -> NetworkFailed:
    """The line was cut during the current attempt."""
    usual = {
        "code": ErrorCode.AI_UNAVAILABLE,
        "message": "The model could not be reached.",
        "retryable": retryable,
        "retry_after_ms": 40_000,
        "jitter": 0.5,
    }
    return NetworkFailed(**{**_attempt(run), **usual, **changes})


def delayed(run: ChorusState, **changes: Any) -> AttemptDelayed:
    """The endpoint is spared, and the current attempt was not made."""
    usual = {
        "code": ErrorCode.AI_UNAVAILABLE,
        "message": "The model endpoint keeps failing.",
        "wait_ms": 2_000,
    }
    return AttemptDelayed(**{**_attempt(run), **usual, **changes})


def state_lost(run: ChorusState, **changes: Any) -> StateLost:
    """The process that performed the current attempt is gone."""
    return StateLost(**{**_attempt(run), **changes})


def carrier_lost(run: ChorusState, **changes: Any) -> CarrierLost:
    """The server that performed the current attempt is gone, and another goes on."""
    return CarrierLost(**{**_attempt(run), **changes})


def chart_changed(
    run: ChorusState, outcome: ChartOutcome = ChartOutcome.CONTINUED, **changes: Any
) -> ChartChanged:
    """Today's chart takes the run over from an earlier declaration."""
    usual = {
        "version": run.version,
        "declared": "chorus:c8ecd28eb995",
        "stands": chorus_machine().states_of(run),
        "outcome": outcome,
        "message": "The server was upgraded while it worked on this step.",
    }
    return ChartChanged(**{**_attempt(run), **usual, **changes})


def retry_due(run: ChorusState, **changes: Any) -> RetryDue:
    """The wait after the current attempt is over."""
    return RetryDue(**{**_attempt(run), **changes})


def cancelled(by: PublicKey | None = ALICE) -> RunCancelled:
    """Somebody stops the run."""
    return RunCancelled(at=NOW, by=by)


def events_at(run: ChorusState) -> Iterator[ChorusEvent]:
    """An event of each kind for the current attempt."""
    yield started()
    yield recalled(run)
    yield answered(run)
    yield ai_failed(run)
    yield network_failed(run)
    yield delayed(run)
    yield state_lost(run)
    yield carrier_lost(run)
    yield chart_changed(run)
    yield retry_due(run)
    yield cancelled()


def stale(run: ChorusState) -> Iterator[dict[str, Any]]:
    """For the builders above: each way in which a result can belong to another attempt."""
    yield {"run_id": OTHER_RUN}
    yield {"step": STEPS[STEPS.index(run.current_step) - 1]}
    yield {"iteration": run.iteration + 1}
    yield {"attempt": run.attempt + 1}
    yield {"attempt": run.attempt - 1}


def output_of(run: ChorusState, *, loop: bool = False, enough: bool = False) -> StepOutput:
    """An output of the current step; it uses, selects and cites what was supplied."""
    known = [each.message_id for each in run.priors]
    match run.current_step:
        case StepEnum.ACTION:
            return ActionOutput(enough=enough)
        case StepEnum.EXPERIENCE:
            return ExperienceOutput(key_insights=("one", "two"), used=tuple(known[:1]))
        case StepEnum.INTENTION:
            return IntentionOutput(
                explicit_intent="to know",
                implicit_intent="to be sure",
                confidence=0.75,
                selected_priors=tuple(
                    SelectedPrior(message_id=each, why="It fits.") for each in known[:1]
                ),
            )
        case StepEnum.OBSERVATION:
            return ObservationOutput(patterns=("it repeats",), gaps=(), confidence=0.5)
        case StepEnum.UPDATE:
            return UpdateOutput(
                reasoning="There may be more.",
                loop=loop,
                next_query="more of it" if loop else None,
                confidence=0.5,
            )
        case StepEnum.YIELD:
            return YieldOutput(
                citations=tuple(
                    Citation(label="P1", message_id=each, thread_id=THREAD) for each in known[:1]
                )
            )


def _attempt(run: ChorusState) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "step": run.current_step,
        "iteration": run.iteration,
        "attempt": run.attempt,
        "at": NOW + timedelta(seconds=min(run.version, LAST_SECOND)),
    }


# --- Runs ----------------------------------------------------------------------------------------


def queued(**changes: Any) -> ChorusState:
    """A run that waits for its thread."""
    run = create_initial_state(
        run_id=RUN,
        thread_id=THREAD,
        message_id=MESSAGE,
        answer_id=ANSWER,
        requested_by=ALICE,
        prompt="What did we say about tides?",
        at=NOW,
        max_iterations=MAX_ITERATIONS,
        max_attempts=MAX_ATTEMPTS,
    )
    return run.model_copy(update=changes)


def forked(step: StepEnum | None, *, loop: LoopMode = LoopMode.FULL, **changes: Any) -> ChorusState:
    """A run that waits, and goes on with that step of another; None where that one's answer is kept."""
    looped = step is StepEnum.ACTION
    origin = finished() if step is None else running(step, loop=loop, iteration=2 if looped else 1)
    last = origin.steps[-1]
    return queued(
        loop=loop,
        branch_id=BRANCH,
        prefix=Prefix(
            origin=ForkPoint(run_id=OTHER_RUN, step=last.step, iteration=last.iteration),
            change=Change(kind=ChangeKind.INSTRUCTIONS, text="In verse."),
            steps=origin.steps,
            priors=origin.priors,
            messages=origin.messages,
            instructions="In verse.",
            query=origin.query,
            iteration=origin.iteration,
            goes_on_with=step,
        ),
        **changes,
    )


def running(
    step: StepEnum,
    *,
    iteration: int = 1,
    awaiting: Awaited = Awaited.MODEL,
    loop: LoopMode = LoopMode.FULL,
    **changes: Any,
) -> ChorusState:
    """A stable run that waits for the model (or the memory) in that step and iteration."""
    run = transform_state(queued(loop=loop), started()).state
    for _ in range(iteration * (len(STEPS) + 1)):
        if (run.iteration, run.current_step, run.awaiting) == (iteration, step, awaiting):
            return run.model_copy(update=changes)
        if run.awaiting is Awaited.PRIORS:
            run = transform_state(run, recalled(run)).state
        else:
            run = transform_state(run, answered(run, loop=run.iteration < iteration)).state
    raise AssertionError(f"no run comes to {step} in iteration {iteration}; it is at {run}")


def recovering(step: StepEnum, **changes: Any) -> ChorusState:
    """A run that waits for its next attempt in that step."""
    run = running(step)
    return transform_state(run, ai_failed(run)).state.model_copy(update=changes)


def finished() -> ChorusState:
    """A run that has its answer."""
    run = running(StepEnum.YIELD)
    return transform_state(run, answered(run)).state


def failed() -> ChorusState:
    """A run that the endpoint refused."""
    run = running(StepEnum.ACTION)
    return transform_state(run, ai_failed(run, retryable=False)).state


def stopped() -> ChorusState:
    """A run that somebody cancelled."""
    return transform_state(queued(), cancelled()).state


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the chorus chart."""
    return Catalogue(
        machine=chorus_machine(),
        taken=tuple(_taken()),
        refused=tuple(_refused()),
        standing=(
            queued(),
            *(running(step) for step in STEPS),
            *(recovering(step) for step in STEPS),
            finished(),
            failed(),
            stopped(),
        ),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    yield Taken("edge_chorus_start_queued_running", queued(), started())

    for step in STEPS:
        target = "yielding" if step is StepEnum.YIELD else step.value
        yield Taken(f"edge_chorus_start_queued_{target}", forked(step), started())
    short_fork = forked(StepEnum.YIELD, loop=LoopMode.SHORT)
    yield Taken("edge_chorus_start_queued_yielding_2", short_fork, started())
    yield Taken("edge_chorus_start_queued_finished", forked(None), started())

    search = running(StepEnum.EXPERIENCE, awaiting=Awaited.PRIORS)
    yield Taken("edge_chorus_priors_retrieved_experience_experience", search, recalled(search))

    short = running(StepEnum.YIELD, awaiting=Awaited.PRIORS, loop=LoopMode.SHORT)
    yield Taken("edge_chorus_priors_retrieved_yielding_yielding", short, recalled(short))

    names = [step.value for step in STEPS[:-1]] + ["yielding"]
    for step, source, target in zip(STEPS, names, [*names[1:], "finished"], strict=True):
        run = running(step)
        yield Taken(f"edge_chorus_step_completed_{source}_{target}", run, answered(run))
    for loop in LoopMode:
        run = running(StepEnum.ACTION, loop=loop)
        yield Taken("edge_chorus_step_completed_action_finished", run, answered(run, enough=True))
    yield Taken("edge_chorus_step_completed_action_yielding", run, answered(run))
    run = running(StepEnum.YIELD, loop=LoopMode.SHORT)
    yield Taken("edge_chorus_step_completed_yielding_finished", run, answered(run))
    run = running(StepEnum.ACTION, iteration=2)
    yield Taken("edge_chorus_step_completed_action_experience", run, answered(run, enough=True))
    run = running(StepEnum.UPDATE)
    yield Taken("edge_chorus_step_completed_update_action", run, answered(run, loop=True))
    run = running(StepEnum.UPDATE, iteration=MAX_ITERATIONS)
    yield Taken("edge_chorus_step_completed_update_yielding", run, answered(run, loop=True))

    run = running(StepEnum.OBSERVATION)
    worn = running(StepEnum.OBSERVATION, failures=MAX_ATTEMPTS - 1, attempt=MAX_ATTEMPTS)
    for name, failure in (("ai_failed", ai_failed), ("network_failed", network_failed)):
        yield Taken(f"edge_chorus_{name}_stable_recovering", run, failure(run))
        fatal = failure(run, retryable=False)
        yield Taken(f"edge_chorus_{name}_running_failed", run, fatal)
        yield Taken(f"edge_chorus_{name}_running_failed_2", worn, failure(worn))

    too_long = ai_failed(worn, retryable=False, context_exceeded=True)
    yield Taken("edge_chorus_ai_failed_stable_recovering_2", worn, too_long)
    halved = running(StepEnum.OBSERVATION, context_is_halved=True)
    still_too_long = ai_failed(halved, retryable=False, context_exceeded=True)
    yield Taken("edge_chorus_ai_failed_running_failed", halved, still_too_long)

    yield Taken("edge_chorus_attempt_delayed_stable_recovering", run, delayed(run))
    yield Taken("edge_chorus_state_lost_stable_recovering", run, state_lost(run))
    rebuilt = running(StepEnum.ACTION, rebuilds=MAX_REBUILDS)
    yield Taken("edge_chorus_state_lost_running_failed", rebuilt, state_lost(rebuilt))
    yield Taken("edge_chorus_carrier_lost_stable_recovering", run, carrier_lost(run))
    yield Taken("edge_chorus_carrier_lost_running_failed", rebuilt, carrier_lost(rebuilt))

    waiting = recovering(StepEnum.INTENTION)
    for outcome in (ChartOutcome.CONTINUED, ChartOutcome.MIGRATED):
        led_on = chart_changed(run, outcome)
        yield Taken("edge_chorus_chart_changed_stable_recovering", run, led_on)
        led_on = chart_changed(waiting, outcome)
        yield Taken("edge_chorus_chart_changed_recovering_recovering", waiting, led_on)
    for each in (run, waiting):
        ended = chart_changed(each, ChartOutcome.ENDED)
        yield Taken("edge_chorus_chart_changed_running_failed", each, ended)
    ended = chart_changed(queued(), ChartOutcome.ENDED)
    yield Taken("edge_chorus_chart_changed_queued_failed", queued(), ended)
    worn = recovering(StepEnum.ACTION, rebuilds=MAX_REBUILDS)
    for each in (rebuilt, worn):
        yield Taken("edge_chorus_chart_changed_running_failed_2", each, chart_changed(each))

    yield Taken("edge_chorus_retry_due_recovering_stable", waiting, retry_due(waiting))

    yield Taken("edge_chorus_cancel_queued_cancelled", queued(), cancelled())
    yield Taken("edge_chorus_cancel_running_cancelled", run, cancelled())
    yield Taken("edge_chorus_cancel_running_cancelled", waiting, cancelled(by=None))


def _refused() -> Iterator[Refused]:
    current = "result_is_current"
    yield Refused(("not chart_leads_on",), queued(), chart_changed(queued()))
    yield Refused(("thread_is_free",), queued(), started(busy=True))
    for next_step in (*STEPS, None):
        yield Refused(("thread_is_free",), forked(next_step), started(busy=True))

    for step, loop in ((StepEnum.EXPERIENCE, LoopMode.FULL), (StepEnum.YIELD, LoopMode.SHORT)):
        search = running(step, awaiting=Awaited.PRIORS, loop=loop)
        yield Refused(("priors_are_in",), search, answered(search))
        for wrong in stale(search):
            yield Refused((current,), search, recalled(search, **wrong))
        found = running(step, loop=loop)
        yield Refused(("not priors_are_in",), found, recalled(found))

    for step in STEPS:
        run, waiting = running(step), recovering(step)
        yield Refused((current,), waiting, answered(waiting, loop=True))
        for each in (queued(), run, waiting):
            for wrong in stale(each):
                ended = chart_changed(each, ChartOutcome.ENDED, **wrong)
                yield Refused(("change_is_current",), each, ended)
            repeated = chart_changed(each, ChartOutcome.ENDED, version=each.version - 1)
            yield Refused(("change_is_current",), each, repeated)
        foreign = output_of(running(STEPS[STEPS.index(step) - 1]))
        yield Refused((current,), run, answered(run, output=foreign))
        for wrong in stale(run):
            yield Refused((current,), run, answered(run, loop=True, **wrong))
            for failure in (ai_failed, network_failed):
                yield Refused((current,), run, failure(run, **wrong))
            yield Refused((current,), run, delayed(run, **wrong))
            yield Refused((current,), run, state_lost(run, **wrong))
            yield Refused((current,), run, carrier_lost(run, **wrong))
            yield Refused(("retry_is_current",), waiting, retry_due(waiting, **wrong))

    # An attempt that has waited is made, whatever the endpoint's breaker says.
    patient = running(StepEnum.INTENTION, has_waited=True)
    yield Refused(("not attempt_has_waited",), patient, delayed(patient))

    # While a run waits for its next attempt, its last one can fail no second time.
    waiting = recovering(StepEnum.ACTION)
    assert waiting.health is Health.RECOVERING
    yield Refused((current,), waiting, ai_failed(waiting))
    yield Refused((current,), waiting, network_failed(waiting, retryable=False))
    yield Refused((current, "not rebuilds_left"), waiting, state_lost(waiting))
    yield Refused((current, "not rebuilds_left"), waiting, carrier_lost(waiting))
