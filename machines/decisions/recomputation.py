"""Which guard or action of today gives another answer than the one that a journal recorded. Pure.

The fingerprint of a chart says what it declares, and not what its guards and actions compute. So a
transition that today's chart is given again may end otherwise although the chart is the same: then its code
is another than the one that wrote the entry. An entry is kept with its digest, so it is as it was written.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from machines.decisions.moves import Move
from machines.models.domain import BaseState
from machines.statechart import Edge
from machines.statechart.evaluation import ImpossibleOutcome, asked, values_of
from machines.statechart.machine import Machine

SAME_CHART: Final = "the chart is the same"

AnyMachine = Machine[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """A guard or an action whose code of today does something else than the journal recorded."""

    rule: str
    """What it is, and its name."""
    says: str
    """What it does today, and what was recorded: a clause."""

    def __str__(self) -> str:
        return f"{SAME_CHART}; the code of {self.rule} {self.says}"


def other_answers(
    machine: AnyMachine, move: Move, value: BaseState, fields: Collection[str]
) -> tuple[OtherAnswer, ...]:
    """Why today's chart makes something else of a recorded transition; empty where its guards and actions
    do not tell.

    Args:
        machine: with the declaration that wrote the entry.
        value: as it was before.
        fields: of the value afterwards, and of the transition, those that are other; empty where the
            event led elsewhere.
    """
    row = machine.topology.edges_from(machine.active(value), move.taken.event)
    taken = next((each for each in row if each.id == move.taken.edge), None)
    if taken is None:
        return ()
    guards = tuple(_guards(row, taken, move, value))
    return guards or tuple(_actions(machine, taken, move, value, fields))


def _guards(
    row: tuple[Edge, ...], taken: Edge, move: Move, value: BaseState
) -> Iterator[OtherAnswer]:
    try:
        found = asked(row, taken, move.taken.passed_over)
        recorded = values_of(found)
    except ImpossibleOutcome:
        return
    rules = {guard.name: guard.rule for edge in row for guard in edge.guards}
    for name, was in recorded.items():
        guard = f"the guard {name}"
        try:
            now = bool(rules[name](value, move.fired.event))
        except Exception as error:  # noqa: BLE001 - whatever other code raises
            yield OtherAnswer(guard, f"fails ({type(error).__name__}), where it said {_word(was)}")
        else:
            if now is not was:
                yield OtherAnswer(
                    guard, f"says {_word(now)}, where the journal recorded {_word(was)}"
                )


def _actions(
    machine: AnyMachine, taken: Edge, move: Move, value: BaseState, fields: Collection[str]
) -> Iterator[OtherAnswer]:
    """For each field the last action that writes it; all of the edge's where none does."""
    if not fields:
        return
    event = move.fired.event
    reached = dict(machine.table[machine.states_of(value)].rows[move.taken.event])[taken]
    steps = [
        machine.react(value, event, reached, taken.rules[:count]).state
        for count in range(len(taken.rules) + 1)
    ]
    wrong: dict[str, list[str]] = {}
    for field in fields:
        held = [getattr(each, field, None) for each in steps]
        writers = [
            name
            for name, (before, after) in zip(taken.actions, pairwise(held), strict=True)
            if before != after
        ]
        wrong.setdefault(writers[-1] if writers else ", ".join(taken.actions), []).append(field)
    for action, names in wrong.items():
        yield OtherAnswer(
            f"the action {action}", f"gives another {', '.join(names)} than the journal recorded"
        )


def _word(holds: bool) -> str:
    return "true" if holds else "false"
