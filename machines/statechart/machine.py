"""One runtime for every chart: look up what an event leads to, place the value there, and act.

A machine fires one event at one frozen value and keeps nothing of it: the table of its chart is
shared and never changes. So any thread may fire at any time, and an event that fails half-way has
changed nothing.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from machines.statechart.chart import ActionRule, Chart, Reaction
from machines.statechart.compiler import Place, Table, compile_table
from machines.statechart.topology import NOT, Configuration, Edge, Guard, Topology, topology


class Event(Protocol):
    """Anything that names an event of a chart."""

    @property
    def event(self) -> str: ...


V = TypeVar("V")
E = TypeVar("E", bound=Event)
R = TypeVar("R")
F = TypeVar("F")
V_co = TypeVar("V_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
F_co = TypeVar("F_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Accepted(Generic[V_co, R_co, F_co]):
    """The event was taken."""

    state: V_co
    """The value afterwards."""
    responses: tuple[R_co, ...]
    effects: tuple[F_co, ...]
    edge: Edge
    """The edge that was taken."""
    passed_over: tuple[Guard, ...] = ()
    """Of each edge that was tried before it: the first guard that did not hold."""


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

    def __str__(self) -> str:
        """One sentence for a person. A guard that must be false, and is true, is named as what it
        is: to say that its opposite does not hold would be a double negative."""
        needed = [each for each in self.guards if not each.startswith(NOT)]
        against = [each.removeprefix(NOT) for each in self.guards if each.startswith(NOT)]
        reasons = [
            *([f"needed: {', '.join(needed)}"] if needed else []),
            *([f"against it: {', '.join(against)}"] if against else []),
        ]
        reason = "; ".join(reasons) or f"it is {self.state}"
        return f"The {self.machine} refuses to {self.event}; {reason}.".replace("_", " ")


def _status(value: Any) -> Configuration:
    return (value.status,)


def _with_status(value: Any, _: object, states: Configuration) -> Any:
    return dataclasses.replace(value, status=type(value.status)(states[0]))


class Machine(Generic[V, E, R, F]):
    """A chart with the two functions that fit it to its frozen value.

    Without them the value is a frozen dataclass whose field `status`, a string or a `StrEnum`, holds
    the name of its state.
    """

    def __init__(
        self,
        chart: type[Chart[V]],
        *,
        states_of: Callable[[V], Configuration] = _status,
        place: Callable[[V, E, Configuration], V] = _with_status,
    ) -> None:
        self.chart = chart
        self.states_of = states_of
        """The innermost states that a value is in, one for each region, in the chart's order."""
        self.place = place
        """The value as it stands in the states that an event leads to; may stamp it as well."""

    @property
    def name(self) -> str:
        return self.chart.machine

    @cached_property
    def topology(self) -> Topology:
        return topology(self.chart)

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever the declaration does."""
        return self.topology.fingerprint

    @cached_property
    def table(self) -> Table:
        """The compiled chart. Raises UnsupportedDeclaration where it cannot be compiled."""
        return compile_table(self.chart)

    def active(self, value: V) -> frozenset[str]:
        """Names of all states that hold, with those around them."""
        return self._standing(value).active

    def fire(self, value: V, event: E) -> Accepted[V, R, F] | Refusal:
        """Fire one event at a frozen value.

        Raises whatever a guard or an action raises: that is a defect, and nothing has changed.
        """
        passed_over: tuple[Guard, ...] = ()
        for edge, reached in self._standing(value).rows.get(event.event, ()):
            for guard in edge.guards:
                if guard.rule(value, event) is not guard.expected:
                    passed_over += (guard,)
                    break
            else:
                return Accepted(*self.react(value, event, reached, edge.rules), edge, passed_over)
        return self.refusal(value, event)

    def refusal(self, value: V, event: E) -> Refusal:
        """Why no edge is taken. Of several edges the nearest says it: who is no elector is not told
        of deadlines.
        """
        standing = self._standing(value)
        row = standing.rows.get(event.event, ())
        false = [edge.false_guards(value, event) for edge, _ in row]
        nearest = min(map(len, false), default=0)
        names = (name for each in false if len(each) == nearest for name in each)
        return Refusal(
            machine=self.name,
            state=" ".join(self.states_of(value)),
            event=event.event,
            guards=tuple(dict.fromkeys(names)),
            allowed=standing.allowed,
        )

    def react(
        self, value: V, event: E, reached: Configuration, actions: tuple[ActionRule, ...]
    ) -> Reaction[V, R, F]:
        """Place the value in the states that are reached, and perform the actions in their order."""
        value = self.place(value, event, reached)
        responses: tuple[R, ...] = ()
        effects: tuple[F, ...] = ()
        for action in actions:
            made = action(value, event)
            if isinstance(made, Reaction):
                value, response, emitted = made
                responses += response
                effects += emitted
            else:
                value = made
        return Reaction(value, responses, effects)

    def _standing(self, value: V) -> Place:
        states = self.states_of(value)
        standing = self.table.get(states)
        if standing is None:
            raise AssertionError(f"{self.name}: {states} is no configuration of the chart")
        return standing
