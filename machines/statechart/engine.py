"""A chart as python-statemachine's engine runs it: the definition that compiled tables are held against.

Production never builds an engine: it takes as long as several events. The tests do, and compare: the
edge, the actions in their order, the states that are reached, and the guards that a refusal names.
"""

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from statemachine.exceptions import TransitionNotAllowed
from statemachine.orderedset import OrderedSet
from statemachine.transition import Transition

from machines.statechart.chart import ActionRule, AnyChart, Slot
from machines.statechart.machine import Accepted, Machine, Refusal
from machines.statechart.topology import Edge, Guard, topology, transitions_of

AnyMachine = Machine[Any, Any, Any, Any]
"""A machine whose values and events are handled without looking inside."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What the engine made of one event."""

    edge: Edge
    actions: tuple[ActionRule, ...]
    reached: frozenset[str]


class Engine:
    """A chart under python-statemachine, loaded with one value and one event at a time."""

    def __init__(self, chart: AnyChart) -> None:
        declared = [(id(each), event.id) for each in transitions_of(chart) for event in each.events]
        self._edges = dict(zip(declared, topology(chart).edges, strict=True))
        self._states = tuple(node.name for node in topology(chart).nodes)
        self._taken: list[Transition] = []
        self._slot = Slot(None, None)
        self._chart = chart(self._slot, state_field="configuration", listeners=[self])

    def before_transition(self, transition: Transition) -> None:
        """Note which edge is taken. The engine calls its listeners by this name."""
        self._taken.append(transition)

    def take(self, active: frozenset[str], value: object, event: Any) -> Moved | None:
        """Send one event where the states of `active` hold; None where no edge may be taken."""
        # A final state at the top ends an engine for good, and to build another takes as long as
        # thirty events do. Nothing else of it is kept: configuration, value and event are set here.
        self._chart._engine.running = True
        self._slot.configuration = OrderedSet(name for name in self._states if name in active)
        self._slot.value, self._slot.event = value, event
        self._slot.chosen = []
        self._taken.clear()
        try:
            self._chart.send(event.event)
        except TransitionNotAllowed:
            return None
        (taken,) = self._taken
        return Moved(
            self._edges[id(taken), event.event],
            tuple(action.rule for action in self._slot.chosen),
            frozenset(state.id for state in self._chart.configuration),
        )


class EngineMachine:
    """What `Machine.fire` must give, worked out by the engine."""

    def __init__(self, machine: AnyMachine) -> None:
        self._machine = machine
        self._engine = Engine(machine.chart)

    def fire(self, value: Any, event: Any) -> Accepted[Any, Any, Any] | Refusal:
        """As `Machine.fire`."""
        machine = self._machine
        active = machine.active(value)
        moved = self._engine.take(active, value, event)
        if moved is None:
            return machine.refusal(value, event)
        reached = machine.topology.innermost(moved.reached)
        row = machine.topology.edges_from(active, event.event)
        before = takewhile(lambda edge: edge is not moved.edge, row)
        passed_over = tuple(_first_false(edge, value, event) for edge in before)
        return Accepted(
            *machine.react(value, event, reached, moved.actions), moved.edge, passed_over
        )


def _first_false(edge: Edge, value: object, event: object) -> Guard:
    """The guard that kept the engine from an edge."""
    return next(each for each in edge.guards if each.rule(value, event) is not each.expected)


def compare(machine: AnyMachine, engine: EngineMachine, value: Any, event: Any) -> Any:
    """The outcome of the table, or the exception's text where a guard or an action fails.

    Raises:
        AssertionError: the engine gives another one.
    """
    by_table, by_engine = (_outcome(each, value, event) for each in (machine, engine))
    if by_table != by_engine:
        raise AssertionError(
            f"{event} at {value}: the table gives {by_table}, the engine {by_engine}"
        )
    return by_table


def _outcome(machine: AnyMachine | EngineMachine, value: Any, event: Any) -> Any:
    try:
        return machine.fire(value, event)
    except Exception as error:  # noqa: BLE001 - whatever it is, both must raise it
        return f"{type(error).__name__}: {error}"
