"""One runtime for every chart: look up what an event leads to, call it, read the outcome back.

A machine fires one event at one frozen state and keeps nothing of it: the table of its chart
(`machines.table`) is shared and never changes, and each event has a slot of its own. So any thread may
fire at any time, and an event that fails half-way has changed nothing.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from machines.chart import Chart, Slot
from machines.models.errors import InvalidTransition
from machines.models.journal import MachineTransition
from machines.table import Configuration, Place, Row, Table, compile_table
from machines.topology import Edge, Topology, topology


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
    machine: str
    instance: str
    """The id of the value."""
    edges: tuple[Edge, ...]
    """Those that were taken, in the order of their callbacks."""

    @property
    def transitions(self) -> tuple[MachineTransition, ...]:
        """What an entry of the journal says of it; made when it is asked for, since a connection's
        events come and go without an entry."""
        effects = tuple([type(effect).__name__ for effect in self.effects])
        return tuple(
            [
                MachineTransition(
                    machine=self.machine,
                    instance=self.instance,
                    event=edge.event,
                    source=edge.source,
                    target=edge.target,
                    edge=edge.id,
                    effects=effects,
                )
                for edge in self.edges
            ]
        )


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
    """A chart with the functions that fit it to its frozen state."""

    def __init__(
        self,
        chart: type[Chart],
        *,
        instance_of: Callable[[S], str],
        configuration_of: Callable[[S], Configuration],
        settle: Callable[[S, E], S] = lambda state, _: state,
    ) -> None:
        self.chart = chart
        self.instance_of = instance_of
        """The id of the value, for its transitions."""
        self.configuration_of = configuration_of
        """Names of all active states, in the order of the chart's declaration."""
        self.settle = settle
        """Called once after an accepted event, to stamp the new value."""

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
        return frozenset(self.configuration_of(state))

    def fire(self, state: S, event: E) -> Accepted[S, R, F] | Refusal:
        """Fire one event at a frozen state.

        Raises whatever a callback raises: that is a defect, and nothing has changed.
        """
        place = self._place(state)
        row = place.rows.get(event.event)
        if row is None:
            return self._refusal(place, event, ())
        slot: Slot[S, R, F] = Slot(state, event)
        chart = self.chart.bind(slot)
        step = row.step(chart)
        if step is None:
            return self._refusal(place, event, _false_guards(row, chart))
        for action in step.actions:
            action(chart)
        settled = self.settle(slot.state, event)
        if self.configuration_of(settled) != step.reached:
            raise AssertionError(
                f"{self.name}: the callbacks of {event.event} left {sorted(self.active(settled))}"
                f" where the chart is in {sorted(step.reached)}"
            )
        return Accepted(
            settled,
            tuple(slot.responses),
            tuple(slot.effects),
            self.name,
            self.instance_of(settled),
            step.edges,
        )

    def holds(self, state: S, event: E, guard: str) -> bool:
        """Whether a guard is true of a state and an event."""
        return bool(getattr(self.chart.bind(Slot(state, event)), guard)())

    def _place(self, state: S) -> Place:
        configuration = self.configuration_of(state)
        place = self._table.get(configuration)
        if place is None:
            raise AssertionError(f"{self.name}: {configuration} is no configuration of the chart")
        return place

    def _refusal(self, place: Place, event: E, guards: tuple[str, ...]) -> Refusal:
        return Refusal(
            machine=self.name,
            state=" ".join(place.innermost),
            event=event.event,
            guards=guards,
            allowed=place.allowed,
        )

    @cached_property
    def _table(self) -> Table:
        return compile_table(self.chart)


def _false_guards(row: Row, chart: Chart) -> tuple[str, ...]:
    false = [candidate.false_guards(chart) for candidate in row.candidates]
    # Of several edges the nearest says why: who is no elector is not told of deadlines.
    nearest = min(map(len, false))
    return tuple(dict.fromkeys(name for names in false if len(names) == nearest for name in names))
