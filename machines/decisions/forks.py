"""What a fork keeps of the run that it leaves. Pure: the origin is not changed by it.

The step that follows is what the Chorus chart says, so a fork goes on as its origin would have gone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from machines.chorus import chorus_machine
from machines.loop.runs import place, states_of
from machines.models.chorus import (
    Awaited,
    ChorusState,
    Health,
    Kept,
    Prefix,
    RunStatus,
    StepCompleted,
)
from machines.models.commands import ForkRun, Origin
from machines.models.domain import Deleted
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.fork import Change, ChangeKind, ForkPoint
from machines.models.ids import RunId
from machines.models.journal import JournalEntry
from machines.models.outputs import ActionOutput, StepEnum, UpdateOutput

_FIELD: Final = {
    ChangeKind.STEP_TEXT: "text",
    ChangeKind.PROMPT: "text",
    ChangeKind.INSTRUCTIONS: "text",
    ChangeKind.MODEL: "model",
}


def completed(run: ChorusState, step: StepEnum, iteration: int) -> int | None:
    """The place of a completed step among `run.steps`; None where the run has not completed it."""
    places = (
        place
        for place, record in enumerate(run.steps)
        if record.step is step and record.iteration == iteration
    )
    return next(places, None)


def last_kept(run: ChorusState, command: ForkRun) -> int | None:
    """The place of the last step that a fork keeps; None where the step is not completed.

    The last step of a run is followed by none: another text of it is the answer, and for any other
    change it is asked again, so that what stands before it is kept.
    """
    place = completed(run, command.step, command.iteration)
    if place is None or command.change.kind is ChangeKind.STEP_TEXT:
        return place
    return place - 1 if command.step is StepEnum.YIELD else place


def maker_of(prefix: Prefix, place: int) -> RunId:
    """The run that made a step which a fork keeps, or where to look on: the run that it left."""
    for part in prefix.kept:
        if place < part.steps:
            return part.run_id
        place -= part.steps
    return prefix.origin.run_id


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a run had gathered when a step of it was completed."""

    prior_count: int
    query: str
    memory_available: bool


def gathered_at(record: StepCompleted, entries: Iterable[JournalEntry]) -> Gathered:
    """What the run that completed a step had gathered then.

    Args:
        entries: The journal's about the run `record.run_id`, in their order.
    """
    count, query, available = 0, "", True
    for entry in entries:
        for change in entry.changes:
            if change.kind == "run" and not isinstance(change, Deleted):
                value = change.value
                count += len(value.get("priors") or ())  # type: ignore[arg-type]
                query = str(value.get("query", query))
                available = bool(value.get("memory_available", available))
        if completes(entry, record):
            break
    return Gathered(count, query, available)


def completes(entry: JournalEntry, record: StepCompleted) -> bool:
    """Whether a step was completed by an entry of its run."""
    return any(
        isinstance(fired.event, StepCompleted)
        and fired.event.step is record.step
        and fired.event.iteration == record.iteration
        for fired in entry.fired
    )


def prefix_of(origin: Origin, command: ForkRun, models: tuple[str, ...]) -> Prefix:
    """What the fork begins with.

    A step is kept with all before it, and the run goes on with the step that follows.

    Args:
        models: Names that may be chosen.

    Raises:
        RequestRefused: the step is not completed (not_found), or the change is none (invalid_field).
    """
    run, change = origin.run, command.change
    last = last_kept(run, command)
    if last is None:
        raise RequestRefused(ErrorCode.NOT_FOUND, "The run has not completed this step.")
    _require_change(run, run.steps[last], change, models)
    steps = run.steps[: last + 1]
    count = len(steps)
    if change.kind is ChangeKind.STEP_TEXT:
        count -= 1
        changed = steps[-1].changed(text=change.text, usage=None, cut=False)
        steps = (*steps[:-1], changed)
    follows, iteration, query = _what_follows(run, steps, origin.query)
    prompt = change.text if change.kind is ChangeKind.PROMPT else run.prompt
    instructions = change.text if change.kind is ChangeKind.INSTRUCTIONS else run.instructions
    model = change.text if change.kind is ChangeKind.MODEL else run.chosen_model
    return Prefix(
        origin=ForkPoint(run_id=run.id, step=command.step, iteration=command.iteration),
        change=change,
        generation=1 if run.prefix is None else run.prefix.generation + 1,
        kept=_makers_of(run, count, origin.prior_count),
        asked_by=_asked_by(run) if change.kind is not ChangeKind.PROMPT else None,
        steps=steps,
        priors=run.priors[: origin.prior_count],
        messages=run.messages,
        instructions=instructions,
        chosen_model=model,
        query=prompt if query == run.prompt else query,
        iteration=iteration,
        memory_available=origin.memory_available,
        goes_on_with=follows,
    )


def _makers_of(run: ChorusState, steps: int, priors: int) -> tuple[Kept, ...]:
    """The runs that made the first so many steps and priors of a run, itself the last."""
    makers: list[Kept] = []
    for each in run.prefix.kept if run.prefix is not None else ():
        part = each.changed(steps=min(each.steps, steps), priors=min(each.priors, priors))
        if part.steps or part.priors:
            makers.append(part)
        steps, priors = steps - part.steps, priors - part.priors
    return (*makers, Kept(run_id=run.id, steps=steps, priors=priors))


def _asked_by(run: ChorusState) -> RunId | None:
    """The fork whose entry holds the prompt of a run; None where it is the prompt's message."""
    prefix = run.prefix
    if prefix is None:
        return None
    holds = not prefix.kept or prefix.change.kind is ChangeKind.PROMPT
    return run.id if holds else prefix.asked_by


def _what_follows(
    run: ChorusState, steps: tuple[StepCompleted, ...], query: str
) -> tuple[StepEnum | None, int, str]:
    """The step after the last of `steps`, with its iteration and what is searched for then."""
    last = steps[-1]
    # A fork of an answer that was enough wants more than that answer.
    output = last.output
    if isinstance(output, ActionOutput):
        output = output.model_copy(update={"enough": False})
    event = last.changed(run_id=run.id, output=output)
    standing = run.changed(
        status=RunStatus.RUNNING,
        current_step=last.step,
        iteration=last.iteration,
        attempt=last.attempt,
        health=Health.STABLE,
        awaiting=Awaited.MODEL,
    )
    rows = chorus_machine().table[states_of(standing)].rows[event.event]
    reached = next(
        place(standing, event, states)
        for edge, states in rows
        if not edge.false_guards(standing, event)
    )
    if reached.status is not RunStatus.RUNNING:
        return None, last.iteration, query
    if reached.current_step is not StepEnum.ACTION:
        return reached.current_step, last.iteration, query
    assert isinstance(output, UpdateOutput)  # noqa: S101 - nothing else leads to action
    return StepEnum.ACTION, last.iteration + 1, output.next_query or query


def _require_change(
    run: ChorusState, record: StepCompleted, change: Change, models: tuple[str, ...]
) -> None:
    """Raises RequestRefused: invalid_field."""
    match change.kind:
        case ChangeKind.STEP_TEXT:
            before: str | None = record.text
        case ChangeKind.PROMPT:
            before = run.prompt
        case ChangeKind.INSTRUCTIONS:
            before = run.instructions
        case ChangeKind.MODEL:
            before = run.chosen_model
    problem = None
    if change.kind is ChangeKind.MODEL and change.text not in models:
        problem = "is no model that may be chosen"
    elif change.text == before:
        problem = "changes nothing"
    if problem is not None:
        field = f"change.{_FIELD[change.kind]}"
        raise RequestRefused(
            ErrorCode.INVALID_FIELD,
            f"The field {field} {problem}.",
            details={"field": field, "problem": problem},
        )
