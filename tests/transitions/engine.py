"""A chart as python-statemachine's engine runs it: the definition that compiled tables are held against.

The house declares its charts for the engine and runs them from a table, so this is the only place where
an engine is built. It keeps what a comparison needs: the edges that were taken, in their order, and
the calls of guards and callbacks, one by one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from types import new_class
from typing import Any, cast

from statemachine.exceptions import TransitionNotAllowed
from statemachine.orderedset import OrderedSet
from statemachine.transition import Transition

from machines.chart import Chart, Slot
from machines.runtime import Accepted, Machine, Refusal
from machines.table import Configuration
from machines.topology import Edge, topology, transitions_of
from tests.transitions.catalogue import AnyMachine


class EngineSlot(Slot[Any, Any, Any]):
    """A slot that also holds what the engine keeps in its model."""

    configuration: OrderedSet[str] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What the engine made of one event."""

    slot: Slot[Any, Any, Any]
    edges: tuple[Edge, ...]
    reached: frozenset[str]


class Engine:
    """One instance of a chart, loaded with a value for one event."""

    def __init__(self, chart: type[Chart]) -> None:
        self._slot = EngineSlot(None, None)
        self._taken: list[Transition] = []
        self._chart = chart(self._slot, state_field="configuration", listeners=[self])
        declared = [(id(each), event.id) for each in transitions_of(chart) for event in each.events]
        self._edges = dict(zip(declared, topology(chart).edges, strict=True))

    def before_transition(self, transition: Transition) -> None:
        """Note which edges are taken. The engine calls its listeners by this name."""
        self._taken.append(transition)

    def take(self, configuration: Configuration, state: Any, event: Any) -> Moved | None:
        """Send one event in a configuration; None where the engine allows no transition."""
        self._slot.configuration = OrderedSet(configuration)
        self._slot.state, self._slot.event = state, event
        self._slot.responses, self._slot.effects = [], []
        self._taken.clear()
        try:
            self._chart.send(event.event)
        except TransitionNotAllowed:
            return None
        return Moved(
            self._slot,
            tuple(self._edges[id(each), event.event] for each in self._taken),
            frozenset(self._slot.configuration),
        )

    def is_true(self, state: Any, event: Any, guard: str) -> bool:
        """Whether a guard holds."""
        self._slot.state, self._slot.event = state, event
        return bool(getattr(self._chart, guard)())


class EngineMachine:
    """What `Machine.fire` must give, worked out with the engine and the topology."""

    def __init__(self, machine: AnyMachine) -> None:
        self._machine = machine
        self._engine = Engine(machine.chart)

    def fire(self, state: Any, event: Any) -> Accepted[Any, Any, Any] | Refusal:
        """As `Machine.fire`."""
        machine = self._machine
        moved = self._engine.take(machine.configuration_of(state), state, event)
        if moved is None:
            return self._refusal(state, event)
        settled = machine.settle(moved.slot.state, event)
        if machine.active(settled) != moved.reached:
            raise AssertionError(
                f"{machine.name}: the callbacks of {event.event} left "
                f"{sorted(machine.active(settled))} where the chart is in {sorted(moved.reached)}"
            )
        return Accepted(
            settled,
            tuple(moved.slot.responses),
            tuple(moved.slot.effects),
            machine.name,
            machine.instance_of(settled),
            moved.edges,
        )

    def _refusal(self, state: Any, event: Any) -> Refusal:
        chart, active = self._machine.topology, self._machine.active(state)
        false = [
            [
                guard.label
                for guard in edge.guards
                if self._engine.is_true(state, event, guard.name) is not guard.expected
            ]
            for edge in chart.edges_from(active, event.event)
        ]
        nearest = min(map(len, false), default=0)
        parents = {node.parent for node in chart.nodes if node.name in active}
        return Refusal(
            machine=self._machine.name,
            state=" ".join(
                name for name in self._machine.configuration_of(state) if name not in parents
            ),
            event=event.event,
            guards=tuple(
                dict.fromkeys(name for names in false if len(names) == nearest for name in names)
            ),
            allowed=chart.allowed(active),
        )


@dataclass(slots=True)
class Ear:
    """Hears every guard and callback of a chart, and may give one of them a defect."""

    calls: list[str] = field(default_factory=list)
    faulty: str | None = None

    def hear(self, name: str) -> None:
        """Note a call; RuntimeError where it is the faulty one."""
        self.calls.append(name)
        if name == self.faulty:
            raise RuntimeError(f"a defect in {name}")


def heard(chart: type[Chart], ear: Ear) -> type[Chart]:
    """The same chart, of whose guards and callbacks the ear hears."""

    def noting(name: str, method: Callable[[Chart], object]) -> Callable[[Chart], object]:
        @wraps(method)
        def noted(self: Chart) -> object:
            ear.hear(name)
            return method(self)

        return noted

    mentioned = {
        name
        for edge in topology(chart).edges
        for name in (*edge.actions, *(guard.name for guard in edge.guards))
    }
    methods = {name: noting(name, getattr(chart, name)) for name in sorted(mentioned)}
    made = new_class(chart.__name__, (chart,), {}, lambda body: body.update(methods))
    return cast("type[Chart]", made)


Outcome = Accepted[Any, Any, Any] | Refusal | str
"""What came of an event, or the exception that was raised."""


class Compared:
    """A machine and its engine, side by side."""

    def __init__(self, machine: AnyMachine) -> None:
        self.ear = Ear()
        self._machine: AnyMachine = Machine(
            heard(machine.chart, self.ear),
            instance_of=machine.instance_of,
            configuration_of=machine.configuration_of,
            settle=machine.settle,
        )
        self._engine = EngineMachine(self._machine)

    def fire(self, state: Any, event: Any) -> Outcome:
        """The outcome of both; AssertionError where they differ in it, or in what they call."""
        table, asked_by_table = self._heard(self._machine.fire, state, event)
        engine, asked_by_engine = self._heard(self._engine.fire, state, event)
        assert table == engine, f"{event} at {state}: the table gives {table}, the engine {engine}"
        assert asked_by_table == asked_by_engine, (
            f"{event} at {state}: the table calls {asked_by_table}, the engine {asked_by_engine}"
        )
        return table

    def _heard(
        self, fire: Callable[[Any, Any], Outcome], state: Any, event: Any
    ) -> tuple[Outcome, list[str]]:
        self.ear.calls = []
        try:
            return fire(state, event), self.ear.calls
        except Exception as error:  # noqa: BLE001 - whatever it is, both must raise it
            return f"{type(error).__name__}: {error}", self.ear.calls
