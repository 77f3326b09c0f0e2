"""A chart's states, edges and guards as plain values, read from the class metadata.

Everything that is derived from a declaration is derived from these values: the drawings, the ids on
the wire, the refusals, the coverage tests and the search over the state space. Nothing here runs
a machine.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from statemachine import State
from statemachine.transition import Transition

from machines.chart import Chart, EdgeKind


class NodeKind(StrEnum):
    """What a state holds."""

    ATOMIC = "atomic"
    COMPOUND = "compound"
    PARALLEL = "parallel"


@dataclass(frozen=True, slots=True)
class Guard:
    """One atom of an edge's condition: `name` must be `expected`."""

    name: str
    expected: bool

    @property
    def label(self) -> str:
        """As the drawing and the refusals spell it."""
        return self.name if self.expected else f"not {self.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """A state."""

    id: str
    """`state_{machine}_{state}`, the literal id in the drawing."""
    name: str
    parent: str | None
    """Name of the state around it."""
    kind: NodeKind
    initial: bool
    final: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition."""

    id: str
    """`edge_{machine}_{event}_{source}_{target}` and a number where that is not unique."""
    machine: str
    event: str
    source: str
    target: str
    guards: tuple[Guard, ...]
    """All must hold; of the edges of one state and event the first whose guards hold is taken."""
    actions: tuple[str, ...]
    """Callbacks in the order of their calls."""
    kind: EdgeKind


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole chart."""

    machine: str
    title: str
    """The first line of the chart's docstring."""
    nodes: tuple[Node, ...]
    """Outer states before the states within them, in the order of declaration."""
    edges: tuple[Edge, ...]
    """In the order of declaration, inner states last."""

    @property
    def events(self) -> tuple[str, ...]:
        """Every event that the chart declares, sorted."""
        return tuple(sorted({edge.event for edge in self.edges}))

    def node(self, name: str) -> Node:
        """The state of that name; KeyError where there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def ancestors(self, name: str) -> Iterator[str]:
        """The states around `name`, innermost first."""
        parent = self.node(name).parent
        while parent is not None:
            yield parent
            parent = self.node(parent).parent

    def edges_from(self, active: frozenset[str], event: str) -> tuple[Edge, ...]:
        """The edges that `event` may take while the states of `active` hold, inner ones first."""
        candidates = [edge for edge in self.edges if edge.event == event and edge.source in active]
        return tuple(
            sorted(candidates, key=lambda edge: -sum(1 for _ in self.ancestors(edge.source)))
        )

    def allowed(self, active: frozenset[str]) -> tuple[str, ...]:
        """The events that some edge declares for `active`, sorted."""
        return tuple(sorted({edge.event for edge in self.edges if edge.source in active}))


@cache
def topology(chart: type[Chart]) -> Topology:
    """The plain values of a chart class."""
    nodes = tuple(
        Node(
            id=f"state_{chart.machine}_{state.id}",
            name=state.id,
            parent=state.parent.id if state.parent else None,
            kind=_kind_of(state),
            initial=bool(state.initial),
            final=bool(state.final),
        )
        for state in states_of(chart)
    )
    edges: list[Edge] = []
    taken: Counter[str] = Counter()
    for transition in transitions_of(chart):
        assert transition.target is not None, f"{transition} has no target"  # noqa: S101 - no chart may
        source, target = transition.source.id, transition.target.id
        for event in transition.events:
            base = f"edge_{chart.machine}_{event.id}_{source}_{target}"
            taken[base] += 1
            edges.append(
                Edge(
                    id=base if taken[base] == 1 else f"{base}_{taken[base]}",
                    machine=chart.machine,
                    event=event.id,
                    source=source,
                    target=target,
                    guards=tuple(
                        Guard(str(spec.func), bool(spec.expected_value)) for spec in transition.cond
                    ),
                    actions=tuple(
                        str(spec.func) for spec in transition.on if not spec.is_convention
                    ),
                    kind=chart.edge_kinds.get(event.id, EdgeKind.NORMAL),
                )
            )
    title = (chart.__doc__ or chart.machine).strip().splitlines()[0]
    return Topology(chart.machine, title, nodes, tuple(edges))


def states_of(chart: type[Chart]) -> Iterator[State]:
    """Every state of a chart class, outer ones before those within them."""

    def below(state: State) -> Iterator[State]:
        yield state
        for child in state.states:
            yield from below(child)

    for state in chart.states:
        yield from below(state)


def transitions_of(chart: type[Chart]) -> Iterator[Transition]:
    """What somebody wrote, without the engine's own transitions into initial states.

    In the order of `Topology.edges`, which has one edge for each event of a transition.
    """
    for state in states_of(chart):
        yield from (each for each in state.transitions if not each.initial)


def _kind_of(state: State) -> NodeKind:
    if state.parallel:
        return NodeKind.PARALLEL
    return NodeKind.COMPOUND if len(state.states) else NodeKind.ATOMIC
