"""What must hold for a run's edges to be taken: pure functions of the run and the event.

The chart (`machines.chorus`) says where each is asked. A drawing names a guard as it is named here, and
says of it what its docstring says.
"""

from machines.loop.recovery import MAX_REBUILDS
from machines.models.chorus import (
    AIFailed,
    AttemptEvent,
    Awaited,
    ChartChanged,
    ChartOutcome,
    ChorusState,
    Health,
    LoopMode,
    NetworkFailed,
    RetryDue,
    RunStarted,
    StepCompleted,
)
from machines.models.outputs import ActionOutput, StepEnum, UpdateOutput


def thread_is_free(_: ChorusState, event: RunStarted) -> bool:
    """No other run of the thread is under way."""
    return not event.thread_is_busy


def is_forked(run: ChorusState, _: object) -> bool:
    """The run was forked from another, and begins with what that one made."""
    return run.prefix is not None


def goes_on_with_action(run: ChorusState, _: object) -> bool:
    """What is kept of another run ends before action: an update asked for another iteration."""
    return _goes_on_with(run, StepEnum.ACTION)


def goes_on_with_experience(run: ChorusState, _: object) -> bool:
    """What is kept of another run ends before experience."""
    return _goes_on_with(run, StepEnum.EXPERIENCE)


def goes_on_with_intention(run: ChorusState, _: object) -> bool:
    """What is kept of another run ends before intention."""
    return _goes_on_with(run, StepEnum.INTENTION)


def goes_on_with_observation(run: ChorusState, _: object) -> bool:
    """What is kept of another run ends before observation."""
    return _goes_on_with(run, StepEnum.OBSERVATION)


def goes_on_with_update(run: ChorusState, _: object) -> bool:
    """What is kept of another run ends before update."""
    return _goes_on_with(run, StepEnum.UPDATE)


def goes_on_with_yield(run: ChorusState, _: object) -> bool:
    """What is kept of another run ends before yield."""
    return _goes_on_with(run, StepEnum.YIELD)


def answer_is_kept(run: ChorusState, _: object) -> bool:
    """What is kept of another run ends with its answer, in other words."""
    return run.prefix is not None and run.prefix.goes_on_with is None


def result_is_current(run: ChorusState, event: AttemptEvent) -> bool:
    """The result is of the attempt under way: a late or repeated one changes nothing."""
    return (
        run.health is Health.STABLE
        and _names_attempt(event, run)
        and (not isinstance(event, StepCompleted) or event.output.step == event.step)
    )


def retry_is_current(run: ChorusState, event: RetryDue) -> bool:
    """The wait that is over is that of the attempt that failed last."""
    return _names_attempt(event, run)


def priors_are_in(run: ChorusState, _: object) -> bool:
    """The search for priors was answered, so the model is asked."""
    return run.awaiting is Awaited.MODEL


def answer_is_enough(run: ChorusState, event: StepCompleted) -> bool:
    """Action says that its text is the answer; in a later pass there is more to say."""
    return isinstance(event.output, ActionOutput) and event.output.enough and run.iteration == 1


def loop_is_short(run: ChorusState, _: object) -> bool:
    """The run goes from action to yield at once (`CHORUS_LOOP`)."""
    return run.loop is LoopMode.SHORT


def another_loop_is_wanted(_: ChorusState, event: StepCompleted) -> bool:
    """Update asks for another iteration."""
    return isinstance(event.output, UpdateOutput) and event.output.loop


def iterations_left(run: ChorusState, _: object) -> bool:
    """The run has not reached its bound of iterations (`max_iterations`)."""
    return run.iteration < run.max_iterations


def failure_may_be_retried(_: ChorusState, event: AIFailed | NetworkFailed) -> bool:
    """The failure may pass: no refused key, no missing model, no exhausted quota."""
    return event.retryable


def context_may_be_halved(run: ChorusState, event: AIFailed) -> bool:
    """The endpoint finds the request too long, and the run's context was not halved yet."""
    return event.context_exceeded and not run.context_is_halved


def attempts_left(run: ChorusState, _: object) -> bool:
    """With this failure, fewer than `max_attempts` (4 by default) attempts of the step and iteration
    failed."""
    return run.failures + 1 < run.max_attempts


def attempt_has_waited(run: ChorusState, _: object) -> bool:
    """The attempt was delayed once already: an open breaker holds no run for ever."""
    return run.has_waited


def rebuilds_left(run: ChorusState, _: object) -> bool:
    """The run survived fewer than `MAX_REBUILDS` restarts, upgrades and losses of its server."""
    return run.rebuilds < MAX_REBUILDS


def change_is_current(run: ChorusState, event: ChartChanged) -> bool:
    """It was decided of this version of the run: a late or repeated one changes nothing."""
    return event.version == run.version and _names_attempt(event, run)


def chart_leads_on(_: ChorusState, event: ChartChanged) -> bool:
    """Today's chart leads the run on, as it stands or migrated."""
    return event.outcome is not ChartOutcome.ENDED


def _goes_on_with(run: ChorusState, step: StepEnum) -> bool:
    return run.prefix is not None and run.prefix.goes_on_with is step


def _names_attempt(event: AttemptEvent, run: ChorusState) -> bool:
    return (
        event.run_id == run.id
        and event.step is run.current_step
        and event.iteration == run.iteration
        and event.attempt == run.attempt
    )
