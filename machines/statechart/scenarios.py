"""Examples of a machine by name: an edge with a state and an event that takes it, and a refusal.

Where `machines.statechart.coverage` searches, a `Catalogue` shows: its scenarios are read as much as they
are run. `complaints` measures them against the chart, so that a new edge, guard or state without a
scenario fails, and says where to add one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from machines.statechart.engine import AnyMachine
from machines.statechart.topology import Edge, Guard


@dataclass(frozen=True, slots=True)
class Taken:
    """In this state the event takes this edge."""

    edge: str
    state: Any
    event: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """In this state edges are declared for the event, and a guard forbids each of them."""

    guards: tuple[str, ...]
    """Every guard that is false, as the refusal spells them, the innermost states' first."""
    state: Any
    event: Any


Scenario = Taken | Refused


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The scenarios of one machine."""

    machine: AnyMachine
    taken: tuple[Taken, ...]
    refused: tuple[Refused, ...]
    standing: tuple[Any, ...]
    """A value for each configuration of the chart, final ones too."""
    events_at: Callable[[Any], Iterable[Any]]
    """An event of each kind, as it would come in a state, were it declared there."""

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        return (*self.taken, *self.refused)

    def event_at(self, state: Any) -> Mapping[str, Any]:
        """The events of `events_at` by their names."""
        return {event.event: event for event in self.events_at(state)}

    def undeclared(self) -> Iterator[tuple[Any, Any]]:
        """Every (state, event) for which the chart declares no edge at all."""
        for state in self.standing:
            active = self.machine.active(state)
            for name, event in self.event_at(state).items():
                if not self.machine.topology.edges_from(active, name):
                    yield state, event


@dataclass(frozen=True, slots=True)
class Atom:
    """One guard on one edge."""

    edge: Edge
    guard: Guard

    def __str__(self) -> str:
        return f"{self.guard.label} on {self.edge.id}"


def atoms(machine: AnyMachine) -> tuple[Atom, ...]:
    """Every guard of every edge."""
    return tuple(Atom(edge, guard) for edge in machine.topology.edges for guard in edge.guards)


def seen(catalogue: Catalogue, *, satisfied: bool) -> frozenset[Atom]:
    """Atoms that some scenario finds satisfied, or not, where their edge could be taken."""
    machine = catalogue.machine
    return frozenset(
        atom
        for scenario in catalogue.scenarios
        for atom in atoms(machine)
        if atom.edge.event == scenario.event.event
        and atom.edge.source in machine.active(scenario.state)
        and (atom.guard.rule(scenario.state, scenario.event) is atom.guard.expected) is satisfied
    )


def complaints(catalogue: Catalogue) -> list[str]:
    """What the catalogue leaves uncovered: one sentence for each, with what to add. Empty is good."""
    machine, chart = catalogue.machine, catalogue.machine.topology
    fired = {scenario.edge for scenario in catalogue.taken}
    true, false = (seen(catalogue, satisfied=wanted) for wanted in (True, False))
    standing = {machine.states_of(state) for state in catalogue.standing}
    samples = catalogue.event_at(catalogue.standing[0])
    return [
        *(
            f'no scenario takes {edge.id}: add Taken("{edge.id}", state, event) to `taken`'
            for edge in chart.edges
            if edge.id not in fired
        ),
        *(
            f'the chart has no edge {edge}: remove Taken("{edge}", ...) from `taken`'
            for edge in sorted(fired - {edge.id for edge in chart.edges})
        ),
        *(
            f"no scenario finds {atom} satisfied: add a Taken to `taken`"
            for atom in atoms(machine)
            if atom not in true
        ),
        *(
            f'no scenario finds {atom} unsatisfied: add Refused(("{atom.guard.label}", ...), state, '
            "event) to `refused`, or a Taken of another edge of that event"
            for atom in atoms(machine)
            if atom not in false
        ),
        *(
            f"no value stands for {' + '.join(states)}: add one to `standing`"
            for states in machine.table
            if states not in standing
        ),
        *(
            f"there is no sample of the event {event}: add one to `events_at`"
            for event in chart.events
            if event not in samples
        ),
    ]
