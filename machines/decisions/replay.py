"""Replay: what a value became, by its journal entries alone, through the chart. Pure.

`replay_run` gives the state of a run. `replay` goes transition by transition, over any value of a thread,
and says where the journal holds something else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from machines.charts import journaled_machines
from machines.chorus import chorus_machine, known_fingerprints, reconstruct_state
from machines.conformance import Conformance
from machines.decisions.moves import Move, moves_of
from machines.decisions.recomputation import AnyMachine, OtherAnswer, other_answers
from machines.declarations import Declaration
from machines.models.branch import Branch
from machines.models.chorus import ChorusEvent, ChorusState, RunProgress
from machines.models.domain import BaseState, Created, Deleted, StateTransition
from machines.models.errors import StateError
from machines.models.ids import RunId
from machines.models.invitation import Invitation
from machines.models.invite_link import InviteLink
from machines.models.journal import ChorusFired, JournalEntry
from machines.models.message import Message
from machines.models.removal import Removal
from machines.models.thread import Thread
from machines.outcomes import recorded
from machines.statechart import Accepted, Refusal

_VALUES: Final[Mapping[str, type[BaseState]]] = {
    "run": ChorusState,
    "message": Message,
    "thread": Thread,
    "invitation": Invitation,
    "invite_link": InviteLink,
    "removal": Removal,
    "branch": Branch,
}
"""What entries hold of a thread, by the kind of its changes."""


V = TypeVar("V", bound=BaseState)


class Held(StrEnum):
    """How a transition was held against today's machines."""

    EXECUTED = "executed"
    """Today's chart was given the event again."""
    RECORDED = "recorded"
    """It follows from the declaration that wrote it and from what the entry records of the guards; their
    code, and that of the actions, is not run again."""
    DECLARED = "declared"
    """It follows from the declaration that wrote it; what the guards before it said is not recorded."""
    UNKNOWN = "unknown"
    """Its declaration is not known."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which the journal and the replay differ."""

    field: str
    journal: object
    replay: object

    def __str__(self) -> str:
        return f"{self.field} is {self.journal} in the journal and {self.replay} by replay"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One transition, replayed."""

    move: Move
    held: Held
    passed_over: tuple[str, ...] = ()
    """As `MachineTransition` has it: what the replay found, where it executed the transition."""
    differences: tuple[Difference, ...] = ()
    """Empty where journal and replay agree."""
    because: tuple[OtherAnswer, ...] = ()
    """Where they do not although the chart is the same: the guards and actions whose code is another."""


def replay(
    instance: str, entries: Iterable[JournalEntry], declared: Mapping[str, Declaration]
) -> Iterator[Replayed]:
    """The transitions of a value in their order, each held against today's chart as far as that can be.

    Ends behind the first one with differences.

    Args:
        instance: id of a run, message, thread, invitation, link, removal or branch.
        entries: those of its thread that are about it, in their order.
        declared: declarations by fingerprint.

    Raises:
        StateError: an entry holds a value that no value of today is made of.
    """
    check = Conformance(declared)
    value: BaseState | None = None
    for entry in entries:
        moves = [each for each in moves_of(entry) if each.taken.instance == instance]
        told = {id(each.change) for each in moves}
        for change in entry.changes:
            if change.id != instance or id(change) in told:
                continue
            # What changes a value without a transition of its own is taken as it is.
            value = _overlaid(value, change)
        for move in moves:
            are_recorded = check.moved(move.taken, entry.fingerprint)
            found, value = _replayed(move, value, check, are_recorded=are_recorded)
            yield found
            if found.differences:
                return


def replay_run(run_id: RunId, entries: Iterable[JournalEntry]) -> ChorusState:
    """The state that a run reached by `entries`, the journal's entries about it in their order.

    Raises:
        StateError: the entries do not hold how the run began.
        InvalidTransition: an entry does not follow from the ones before it.
    """
    initial: ChorusState | None = None
    events: list[ChorusEvent] = []
    for entry in entries:
        for change in entry.changes:
            if isinstance(change, Created) and change.kind == "run" and change.id == run_id:
                initial = ChorusState.model_validate(change.value)
        events.extend(
            fired.event
            for fired in entry.fired
            if isinstance(fired, ChorusFired) and fired.instance == run_id
        )
    if initial is None:
        raise StateError("The journal does not hold how this run began.")
    return reconstruct_state(initial, events)


def stands_as_recorded(value: BaseState, entries: Iterable[JournalEntry]) -> bool:
    """Whether the newest that entries hold of each field of a value is what the value has."""
    left: dict[str, Any] = {}
    for entry in entries:
        for change in entry.changes:
            if change.id == value.id:
                left |= _fields_left(change, value)
    return all(getattr(value, name) == each for name, each in left.items())


def written_by_this_chart(entries: Iterable[JournalEntry]) -> bool:
    """Whether every entry was accepted by the Chorus chart as it is declared now, or by its equal."""
    known = known_fingerprints()
    return all(
        known & set(entry.fingerprint.split())
        for entry in entries
        if any(isinstance(fired, ChorusFired) for fired in entry.fired)
    )


def _replayed(
    move: Move, value: BaseState | None, check: Conformance, *, are_recorded: bool
) -> tuple[Replayed, BaseState | None]:
    """The transition, and the value that it leaves; None where that is not known any more."""
    if check.violations:
        problem = Difference("the transition", check.violations[0].sentence, "not declared")
        return Replayed(move, Held.DECLARED, differences=(problem,)), None
    machine = _machine(move.taken.machine)
    if value is None or not _is_todays(move, machine):
        held = Held.RECORDED if are_recorded else Held.DECLARED
        held = Held.UNKNOWN if check.unknown else held
        # A run's change does not hold all of it; that of every other value does.
        is_whole = not isinstance(value, ChorusState) and move.change is not None
        return Replayed(move, held), _overlaid(None, move.change) if is_whole else None
    try:
        outcome = machine.fire(value, move.fired.event)
    except Exception as error:  # noqa: BLE001 - code of today may raise anything where other code did not
        said = f"a defect of today's code ({type(error).__name__})"
        failed = Difference("the event", "accepted", said)
        return _executed(machine, move, value, (), (failed,)), None
    match outcome:
        case Refusal() as refusal:
            refused = Difference("the event", "accepted", f"refused: {refusal}")
            return _executed(machine, move, value, (), (refused,)), None
        case Accepted() as accepted:
            passed_over = recorded(accepted, value.id).passed_over
            differences = tuple(_differences(move, machine, value, accepted))
            return _executed(machine, move, value, passed_over, differences), accepted.state


def _executed(
    machine: AnyMachine,
    move: Move,
    value: BaseState,
    passed_over: tuple[str, ...],
    differences: tuple[Difference, ...],
) -> Replayed:
    because: tuple[OtherAnswer, ...] = ()
    if differences and move.fingerprint == machine.fingerprint:
        names = [each.field for each in differences]
        fields = [] if {"the event", "edge"} & set(names) else names
        because = other_answers(machine, move, value, fields)
    return Replayed(move, Held.EXECUTED, passed_over, differences, because)


def _is_todays(move: Move, machine: AnyMachine) -> bool:
    """Whether today's chart may be given the event of a transition."""
    known = known_fingerprints() if machine is chorus_machine() else {machine.fingerprint}
    return move.fingerprint in known


def _machine(name: str) -> AnyMachine:
    return next(each for each in journaled_machines() if each.name == name)


def _differences(
    move: Move,
    machine: AnyMachine,
    before: BaseState,
    accepted: Accepted[Any, Any, Any],
) -> Iterator[Difference]:
    """In what the journal holds something else than the replay: the transition first, then the value."""
    kept, found = move.taken, recorded(accepted, before.id)
    if move.fingerprint == machine.fingerprint:  # an equal one may name an edge otherwise
        for name in type(kept).model_fields:
            if name == "passed_over" and not kept.passed_over:
                continue  # an earlier version did not record it
            one, other = getattr(kept, name), getattr(found, name)
            if one != other:
                yield Difference(name, one, other)
    after: BaseState = accepted.state
    for name, one in _fields_left(move.change, before).items():
        if one != (other := getattr(after, name)):
            yield Difference(name, one, other)


def _fields_left(change: StateTransition | None, before: BaseState) -> dict[str, Any]:
    """The fields of the value that a change leaves, as far as it holds them."""
    if change is None or isinstance(change, Deleted):
        return {}
    if not isinstance(before, ChorusState):
        return vars(_read(type(before), change.value))
    # The texts of a run are in its events.
    progress = {key: each for key, each in change.value.items() if key in RunProgress.model_fields}
    left = vars(_read(RunProgress, progress)).copy()
    if "query" in change.value:
        left["query"] = change.value["query"]
    return left


def _overlaid(value: BaseState | None, change: StateTransition | None) -> BaseState | None:
    """The value as a change leaves it; None where neither holds all of it."""
    if change is None or isinstance(change, Deleted):
        return None
    if isinstance(value, ChorusState):
        return value.changed(**_fields_left(change, value))
    model = _VALUES[change.kind]
    if model is ChorusState and not isinstance(change, Created):
        return None
    return _read(model, change.value)


def _read(model: type[V], fields: Mapping[str, object]) -> V:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise StateError("The journal holds a value that this version cannot read.") from error
