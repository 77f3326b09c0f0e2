"""Runs that an earlier declaration of the chart led to where they stand: today's chart takes them over.

`machines.migrations` decides on the two declarations; here the run itself is led through today's chart
in thought (`machines.decisions.rehearsal`), so that one for which it has no way to an end is ended
instead. Pure.
"""

from datetime import datetime
from typing import assert_never

from machines.chorus import ChorusMachine
from machines.decisions.rehearsal import NoEnd, rehearse
from machines.migrations import Continue, End, Migrate, Migration, Outcome
from machines.models.chorus import (
    Awaited,
    ChartChanged,
    ChartOutcome,
    ChorusState,
    RunStarted,
    RunStatus,
)
from machines.models.commands import TakeOverRun
from machines.models.errors import StateError
from machines.statechart import Accepted, Configuration

GOES_ON = "The server was upgraded while it worked on this step, and goes on with it."
GOES_ON_ELSEWHERE = (
    "The server was upgraded, and goes on with the step that takes this one's place."
)


def take_over(
    machine: ChorusMachine, run: ChorusState, outcome: Outcome, *, declared: str, at: datetime
) -> TakeOverRun | None:
    """What today's chart does with a run; None where it waits in a queue and can start from there.

    Args:
        machine: today's.
        outcome: what `Succession` says of where the run stands.
        declared: the fingerprint of the declaration that led it there.

    Raises:
        StateError: the chart can neither lead the run on nor end it.
    """
    try:
        match outcome:
            case Continue():
                return _led_on(machine, run, ChartOutcome.CONTINUED, declared, at)
            case Migrate(configuration=place, migration=migration):
                migrated = _migrated(machine, run, place, migration, at)
                return _led_on(machine, migrated, ChartOutcome.MIGRATED, declared, at)
            case End(reason=reason):
                pass
            case _:
                assert_never(outcome)
    except NoEnd as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever today's code raises here, it would raise again
        reason = f"today's chart fails ({type(error).__name__})"
    return _ended(machine, run, reason, declared, at)


def never_started(machine: ChorusMachine, run: ChorusState, *, at: datetime) -> TakeOverRun:
    """The end of a run in a queue that today's chart does not start. Raises StateError as `take_over`."""
    return _ended(machine, run, "it cannot be started", "", at)


def _led_on(
    machine: ChorusMachine, run: ChorusState, outcome: ChartOutcome, declared: str, at: datetime
) -> TakeOverRun | None:
    """Raises NoEnd."""
    if run.status is RunStatus.QUEUED:
        rehearse(machine, run, RunStarted(at=at, thread_is_busy=False), at)
        return None
    message = GOES_ON if outcome is ChartOutcome.CONTINUED else GOES_ON_ELSEWHERE
    event = _changed(machine, run, outcome, message, declared, at)
    rehearse(machine, run, event, at)
    return _command(run, event)


def _migrated(
    machine: ChorusMachine,
    run: ChorusState,
    place: Configuration,
    migration: Migration,
    at: datetime,
) -> ChorusState:
    """The run in another place, at the beginning of its step where that is another. Raises NoEnd."""
    if run.status is RunStatus.QUEUED and place != machine.states_of(run):
        raise NoEnd("no run is migrated out of a queue")
    moved = _standing(machine, run, place, at)
    if moved.current_step is not run.current_step:
        awaiting = Awaited.PRIORS if moved.current_step is moved.searches_in else Awaited.MODEL
        error = moved.error_state and moved.error_state.changed(kept=awaiting)
        moved = moved.changed(awaiting=awaiting, failures=0, has_waited=False, error_state=error)
    made = migration.value(moved)
    if not isinstance(made, ChorusState) or machine.states_of(made) != place:
        raise NoEnd("its migration leads elsewhere than it declares")
    return made.changed(
        id=run.id,
        version=run.version,
        prompt=run.prompt,
        messages=run.messages,
        instructions=run.instructions,
        priors=run.priors,
        steps=run.steps,
    )


def _ended(
    machine: ChorusMachine, run: ChorusState, reason: str, declared: str, at: datetime
) -> TakeOverRun:
    """Raises StateError where the chart refuses to end it."""
    if machine.states_of(run) not in machine.table:
        run = _standing(machine, run, _nearest(machine, run), at)
    clause = reason.replace("`", "")
    message = f"The server was upgraded, and cannot go on with this run: {clause}."
    event = _changed(machine, run, ChartOutcome.ENDED, message, declared, at)
    ended = machine.fire(run, event)
    if not isinstance(ended, Accepted) or not ended.state.status.final:
        where = " ".join(machine.states_of(run))
        raise StateError(f"The chorus chart neither leads on nor ends a run in {where}: {clause}.")
    return _command(run, event)


def _nearest(machine: ChorusMachine, run: ChorusState) -> Configuration:
    """A place of today's chart from which a run can be ended that stands in none of them."""
    here = set(machine.states_of(run))
    finals = {node.name for node in machine.topology.nodes if node.final}
    event = ChartChanged.model_fields["event"].default
    ending = [
        place
        for place, found in machine.table.items()
        if event in found.allowed and not found.active & finals
    ]
    if not ending:
        raise StateError(f"The chorus chart takes {event} in no place: no run can be ended.")
    return max(ending, key=lambda place: len(here & set(place)))


def _standing(
    machine: ChorusMachine, run: ChorusState, place: Configuration, at: datetime
) -> ChorusState:
    """The same version of a run, in another place."""
    event = RunStarted(at=at, thread_is_busy=False)
    moved = machine.place(run, event, place)
    return moved.changed(version=run.version, updated_at=run.updated_at)


def _changed(
    machine: ChorusMachine,
    run: ChorusState,
    outcome: ChartOutcome,
    message: str,
    declared: str,
    at: datetime,
) -> ChartChanged:
    return ChartChanged(
        run_id=run.id,
        step=run.current_step,
        iteration=run.iteration,
        attempt=run.attempt,
        at=at,
        version=run.version,
        declared=declared,
        stands=machine.states_of(run),
        outcome=outcome,
        message=message,
    )


def _command(run: ChorusState, event: ChartChanged) -> TakeOverRun:
    return TakeOverRun(thread_id=run.thread_id, at=event.at, by=None, run=run, event=event)
