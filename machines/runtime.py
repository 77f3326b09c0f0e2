"""One runtime for every chart: load a frozen state, fire one event, read the outcome back.

Building a chart instance costs as much as several events and 11-106 KiB, so there is one bound
instance per chart and a slot that is loaded for one event. Building is not thread-safe in
python-statemachine (guards are parsed each time), and the slot holds one value at a time: both
happen under a lock.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from statemachine.exceptions import TransitionNotAllowed
from statemachine.orderedset import OrderedSet

from machines.chart import Chart, Slot
from machines.models.errors import InvalidTransition
from machines.models.journal import MachineTransition
from machines.topology import Edge, Topology, edges_by_transition, topology


class Event(Protocol):
    """Anything that names an event of a chart."""

    @property
    def event(self) -> str: ...


S = TypeVar("S")
E = TypeVar("E", bound=Event)
R = TypeVar("R")
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Accepted(Generic[S, R, F]):
    """The event was taken."""

    state: S
    responses: tuple[R, ...]
    effects: tuple[F, ...]
    transitions: tuple[MachineTransition, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The event was not taken, and nothing changed."""

    machine: str
    state: str
    """The innermost active states, joined by a space where there are two regions."""
    event: str
    guards: tuple[str, ...]
    """Guards that were false, of the edges that came nearest; empty where none is declared."""
    allowed: tuple[str, ...]
    """Events that the state declares."""

    def as_error(self) -> InvalidTransition:
        """The refusal as an error of the tree."""
        event = self.event.replace("_", " ")
        reason = (
            f"not true: {', '.join(guard.replace('_', ' ') for guard in self.guards)}"
            if self.guards
            else f"it is {self.state.replace('_', ' ')}"
        )
        return InvalidTransition(
            f"The {self.machine} refuses to {event}; {reason}.",
            machine=self.machine,
            state=self.state,
            event=self.event,
            guards=self.guards,
            allowed=self.allowed,
        )


class Machine(Generic[S, E, R, F]):
    """A chart with the functions that fit it to its frozen state.

    `configuration_of` gives the names of all active states (outer ones first); `settle` is called
    once after an accepted event, to stamp the new value.
    """

    def __init__(
        self,
        chart: type[Chart],
        *,
        instance_of: Callable[[S], str],
        configuration_of: Callable[[S], tuple[str, ...]],
        settle: Callable[[S, E], S] = lambda state, _: state,
    ) -> None:
        self.chart = chart
        self._instance_of = instance_of
        self._configuration_of = configuration_of
        self._settle = settle
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.chart.machine

    @cached_property
    def topology(self) -> Topology:
        return topology(self.chart)

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever the declaration does: kept with every journal entry."""
        declared = repr((self.topology.nodes, self.topology.edges))
        return f"{self.name}:{hashlib.sha256(declared.encode()).hexdigest()[:12]}"

    def active(self, state: S) -> frozenset[str]:
        """Names of all states that hold."""
        return frozenset(self._configuration_of(state))

    def fire(self, state: S, event: E) -> Accepted[S, R, F] | Refusal:
        """Fire one event at a frozen state.

        Raises whatever a callback raises: that is a defect, and nothing has changed.
        """
        with self._lock:
            chart, edges = self._bound
            slot: Slot[S, E, R, F] = chart.model
            slot.load(state, event, OrderedSet(self._configuration_of(state)))
            try:
                chart.send(event.event)
            except TransitionNotAllowed:
                slot.load(state, event, OrderedSet(self._configuration_of(state)))
                return self._refusal(chart, state, event)
            settled = self._settle(slot.state, event)
            reached = frozenset(slot.configuration or ())
            if reached != self.active(settled):
                raise AssertionError(
                    f"{self.name}: the callbacks of {event.event} left {sorted(self.active(settled))}"
                    f" where the chart is in {sorted(reached)}"
                )
            names = tuple(type(effect).__name__ for effect in slot.effects)
            taken = dict.fromkeys(edges[id(each), event.event] for each in slot.taken)
            return Accepted(
                settled,
                tuple(slot.responses),
                tuple(slot.effects),
                tuple(
                    MachineTransition(
                        machine=self.name,
                        instance=self._instance_of(settled),
                        event=edge.event,
                        source=edge.source,
                        target=edge.target,
                        edge=edge.id,
                        effects=names,
                    )
                    for edge in taken
                ),
            )

    def holds(self, state: S, event: E, guard: str) -> bool:
        """Whether a guard is true of a state and an event; for refusals, tests and drawings."""
        with self._lock:
            chart, _ = self._bound
            chart.model.load(state, event, OrderedSet(self._configuration_of(state)))
            return bool(getattr(chart, guard)())

    def _refusal(self, chart: Chart, state: S, event: E) -> Refusal:
        active = self.active(state)
        false = [
            tuple(
                guard.label
                for guard in edge.guards
                if bool(getattr(chart, guard.name)()) is not guard.expected
            )
            for edge in self.topology.edges_from(active, event.event)
        ]
        # Of several edges the nearest says why: who is no elector is not told of deadlines.
        nearest = min(map(len, false), default=0)
        named = dict.fromkeys(name for names in false if len(names) == nearest for name in names)
        parents = {node.parent for node in self.topology.nodes if node.name in active}
        innermost = [name for name in self._configuration_of(state) if name not in parents]
        return Refusal(
            machine=self.name,
            state=" ".join(innermost),
            event=event.event,
            guards=tuple(named),
            allowed=self.topology.allowed(active),
        )

    @cached_property
    def _bound(self) -> tuple[Chart, dict[tuple[int, str], Edge]]:
        slot: Slot[S, E, R, F] = Slot()
        return self.chart(slot, state_field="configuration"), edges_by_transition(self.chart)
