"""Whether a chart leads a run to an end: the run is led there in thought, before it is led in earnest.

Declarations name guards and actions, and a chart that was changed may have others under the same names.
So the run itself goes through today's chart with answers that are made up: at each place every answer
that may come must be taken and leave something under way, and the good ones must lead to an end, behind
one wait and one more iteration. Pure; nothing is performed.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, TypedDict, assert_never

from machines.chorus import ChorusMachine
from machines.loop.recovery import MAX_REBUILDS
from machines.models.chorus import (
    AIFailed,
    AttemptDelayed,
    AttemptFields,
    CarrierLost,
    ChartChanged,
    ChorusEvent,
    ChorusState,
    NetworkFailed,
    PriorsRetrieved,
    RetryDue,
    StateLost,
    StepCompleted,
)
from machines.models.effects import AICall, RecallPriors, RunEffect, ScheduleTimer
from machines.models.errors import ErrorCode
from machines.models.outputs import (
    ActionOutput,
    ExperienceOutput,
    IntentionOutput,
    ObservationOutput,
    StepEnum,
    StepOutput,
    UpdateOutput,
    YieldOutput,
)
from machines.statechart import Accepted

MOST_EVENTS: Final = 100
"""A run that is not over after so many good answers goes round for ever."""


class _Failed(TypedDict):
    code: ErrorCode
    message: str
    jitter: float


_FAILED: Final[_Failed] = {"code": ErrorCode.AI_UNAVAILABLE, "message": "", "jitter": 0}

_OUTPUTS: Final[dict[StepEnum, StepOutput]] = {
    StepEnum.ACTION: ActionOutput(),
    StepEnum.EXPERIENCE: ExperienceOutput(key_insights=(), used=()),
    StepEnum.INTENTION: IntentionOutput(
        explicit_intent="", implicit_intent="", confidence=1, selected_priors=()
    ),
    StepEnum.OBSERVATION: ObservationOutput(patterns=(), gaps=(), confidence=1),
    StepEnum.UPDATE: UpdateOutput(reasoning="", loop=False, next_query=None, confidence=1),
    StepEnum.YIELD: YieldOutput(citations=()),
}


class NoEnd(Exception):
    """The chart does not lead the run to an end; the text is a clause that says why."""


Asked = AICall | RecallPriors | ScheduleTimer
"""What may be under way for a run."""


def rehearse(machine: ChorusMachine, run: ChorusState, first: ChorusEvent, at: datetime) -> None:
    """Lead a run to its end in thought.

    Args:
        first: what happens to it next.
        at: the time of all that is made up.

    Raises:
        NoEnd: it does not come to one.
    """
    event = first
    has_waited = isinstance(first, ChartChanged)
    has_looped = False
    seen: set[tuple[StepEnum, type[Asked]]] = set()
    for _ in range(MOST_EVENTS):
        run, effect = _taken(machine, run, event)
        if effect is None:
            return
        here = (run.current_step, type(effect))
        if here not in seen and not isinstance(effect, ScheduleTimer):
            seen.add(here)
            for before, other in _others(run, effect, at):
                _require_way_on(machine, *_taken(machine, before, other), at)
        if not has_waited:
            has_waited = True
            event = StateLost(**_about(run, at))
        elif not has_looped and run.current_step is StepEnum.UPDATE and isinstance(effect, AICall):
            has_looped = True
            event = _completed(run, at, loop=run.iteration < run.max_iterations)
        else:
            event = _good(run, effect, at)
    raise NoEnd("it goes round for ever")


def _taken(
    machine: ChorusMachine, run: ChorusState, event: ChorusEvent
) -> tuple[ChorusState, Asked | None]:
    """The run behind an event, and what is under way then; None where the run is over. Raises NoEnd."""
    outcome = machine.fire(run, event)
    where = " ".join(machine.states_of(run))
    if not isinstance(outcome, Accepted):
        raise NoEnd(f"`{event.event}` is refused in `{where}`")
    after = outcome.state
    if after.status.final:
        return after, None
    asked = _asked(outcome.effects)
    if asked is None:
        raise NoEnd(f"nothing is under way behind `{event.event}` in `{where}`")
    return after, asked


def _require_way_on(
    machine: ChorusMachine, run: ChorusState, effect: Asked | None, at: datetime
) -> None:
    """What follows on a wait is taken; asked of the guards alone. Raises NoEnd."""
    if isinstance(effect, ScheduleTimer):
        due = RetryDue(**_about(run, at))
        row = machine.table[machine.states_of(run)].rows.get(due.event, ())
        if all(edge.false_guards(run, due) for edge, _ in row):
            raise NoEnd(f"`{due.event}` is refused in `{' '.join(machine.states_of(run))}`")


def _asked(effects: tuple[RunEffect, ...]) -> Asked | None:
    found = (each for each in effects if isinstance(each, AICall | RecallPriors | ScheduleTimer))
    return next(found, None)


def _good(run: ChorusState, effect: Asked, at: datetime) -> ChorusEvent:
    """What comes of an effect that goes well."""
    match effect:
        case AICall():
            return _completed(run, at)
        case RecallPriors():
            return PriorsRetrieved(**_about(run, at), priors=(), available=True)
        case ScheduleTimer():
            return RetryDue(**_about(run, at))
        case _:
            assert_never(effect)


def _others(
    run: ChorusState, effect: AICall | RecallPriors, at: datetime
) -> Iterator[tuple[ChorusState, ChorusEvent]]:
    """What else may come of an effect: now, and with the last attempt and no rebuild left."""
    worn = run.changed(failures=run.max_attempts - 1, rebuilds=MAX_REBUILDS)
    asks_model = isinstance(effect, AICall)
    for each in (run, worn):
        about = _about(each, at)
        yield each, StateLost(**about)
        yield each, CarrierLost(**about)
        yield each, NetworkFailed(**about, **_FAILED, retryable=True)
        if asks_model:
            yield each, AIFailed(**about, **_FAILED, retryable=True)
    about = _about(run, at)
    yield run, NetworkFailed(**about, **_FAILED, retryable=False)
    if asks_model:
        yield run, AIFailed(**about, **_FAILED, retryable=False)
        if not run.has_waited:
            delayed = AttemptDelayed(
                **about, code=_FAILED["code"], message=_FAILED["message"], wait_ms=0
            )
            yield run, delayed
        if run.current_step is StepEnum.ACTION:
            yield run, _completed(run, at, enough=True)


def _completed(
    run: ChorusState, at: datetime, *, loop: bool = False, enough: bool = False
) -> StepCompleted:
    output = _OUTPUTS[run.current_step]
    if loop:
        output = output.model_copy(update={"loop": True})
    if enough:
        output = output.model_copy(update={"enough": True})
    return StepCompleted(**_about(run, at), text="", output=output, usage=None, model="")


def _about(run: ChorusState, at: datetime) -> AttemptFields:
    return {
        "run_id": run.id,
        "step": run.current_step,
        "iteration": run.iteration,
        "attempt": run.attempt,
        "at": at,
    }
