"""A chart compiled into a table: for each configuration and event, what may be taken, and to where.

The rules are those of python-statemachine's engine, worked out once for each chart instead of once
for each event: an event takes 10 to 50 us with all its callbacks, and 150 to 270 us through the
engine. The engine stays the definition: the tests run both over the whole reachable space of every
chart, and over charts that they make up.

1. Each innermost active state looks for an edge by itself: its own in the order of declaration, then
   those of the states around it. The first whose guards hold is taken.
2. Where two of these would leave the same state, the inner one is taken, else the first.
3. All that is left is taken together: the callbacks in that order, then one new configuration.

An event is known by its whole name; the engine's matching by dotted prefixes has nothing to match.
A table holds no value and no instance, so it is shared by whoever fires. What it does not
understand of a declaration is refused by `machines.declarations`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product, takewhile
from typing import assert_never

from machines.chart import Chart
from machines.declarations import check
from machines.topology import Edge, NodeKind, topology

Configuration = tuple[str, ...]
"""Names of all active states, in the order of declaration: outer ones before those within them."""
Method = Callable[[Chart], object]
"""A guard or a callback of a chart class, to be called with the chart that is bound to a slot."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An edge that an event may take, and what is called for it."""

    edge: Edge
    guards: tuple[tuple[Method, bool], ...]
    """As `edge.guards`: the method and what it must give."""
    actions: tuple[Method, ...]

    def is_enabled(self, chart: Chart) -> bool:
        """Whether all guards hold; the first that does not is the last that is asked."""
        for guard, expected in self.guards:  # noqa: SIM110 - a generator costs more than the guards
            if bool(guard(chart)) is not expected:
                return False
        return True

    def false_guards(self, chart: Chart) -> tuple[str, ...]:
        """Labels of all guards that do not hold."""
        asked = zip(self.edge.guards, self.guards, strict=True)
        return tuple(
            label.label for label, (guard, expected) in asked if bool(guard(chart)) is not expected
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What happens when edges are taken together."""

    edges: tuple[Edge, ...]
    actions: tuple[Method, ...]
    """Callbacks in the order of their calls."""
    reached: Configuration


@dataclass(frozen=True, slots=True)
class Row:
    """One event in one configuration, where some edge declares it."""

    regions: tuple[tuple[Candidate, ...], ...]
    """What each innermost active state may take, in the order in which it is tried."""
    steps: Mapping[tuple[Candidate | None, ...], Step]
    """What follows from the choice of each of `regions`; nothing where none chose. As many as the
    product of all choices, so a chart has few regions."""
    candidates: tuple[Candidate, ...]
    """Each once, those of inner states first; for refusals."""

    def step(self, chart: Chart) -> Step | None:
        """What the event leads to; None where guards forbid every edge."""
        return self.steps.get(tuple([_first_enabled(region, chart) for region in self.regions]))


@dataclass(frozen=True, slots=True)
class Place:
    """One configuration."""

    innermost: Configuration
    """The active states without states within them, one for each region."""
    allowed: tuple[str, ...]
    """Events that some edge declares here, sorted."""
    rows: Mapping[str, Row]
    """By the event, for each of `allowed`."""


Table = Mapping[Configuration, Place]


def compile_table(chart: type[Chart]) -> Table:
    """The table of a chart class, of every configuration that its nesting allows.

    Raises:
        UnsupportedDeclaration: the chart declares something that a table cannot say.
    """
    check(chart)
    return _Compiler(chart).table()


def _first_enabled(candidates: tuple[Candidate, ...], chart: Chart) -> Candidate | None:
    for candidate in candidates:
        if candidate.is_enabled(chart):
            return candidate
    return None


class _Compiler:
    """The statechart rules over the plain values of one chart."""

    def __init__(self, chart: type[Chart]) -> None:
        self._shape = shape = topology(chart)
        self._kinds = {node.name: node.kind for node in shape.nodes}
        self._around = {node.name: tuple(shape.ancestors(node.name)) for node in shape.nodes}
        self._within = {
            name: tuple(node for node in shape.nodes if node.parent == name) for name in self._kinds
        }
        self._candidates = {
            edge: Candidate(
                edge,
                tuple((getattr(chart, guard.name), guard.expected) for guard in edge.guards),
                tuple(getattr(chart, action) for action in edge.actions),
            )
            for edge in shape.edges
        }

    def table(self) -> Table:
        roots = (node.name for node in self._shape.nodes if node.parent is None)
        return {each: self._place(each) for root in roots for each in self._configurations(root)}

    def _configurations(self, name: str) -> Iterator[Configuration]:
        """Every combination of `name` and states within it."""
        inner = [list(self._configurations(child.name)) for child in self._within[name]]
        kind = self._kinds[name]
        match kind:
            case NodeKind.ATOMIC:
                yield (name,)
            case NodeKind.COMPOUND:
                yield from ((name, *each) for each in chain(*inner))
            case NodeKind.PARALLEL:
                yield from ((name, *chain(*each)) for each in product(*inner))
            case _:
                assert_never(kind)

    def _place(self, configuration: Configuration) -> Place:
        allowed = self._shape.allowed(frozenset(configuration))
        return Place(
            tuple(name for name in configuration if not self._within[name]),
            allowed,
            {event: self._row(configuration, event) for event in allowed},
        )

    def _row(self, configuration: Configuration, event: str) -> Row:
        innermost = (name for name in configuration if not self._within[name])
        regions = [self._from((name, *self._around[name]), event) for name in innermost]
        choosing = tuple(region for region in regions if region)
        steps = {
            chosen: self._step(configuration, self._compatible(configuration, taken))
            for chosen in product(*((None, *region) for region in choosing))
            if (taken := tuple(each for each in chosen if each is not None))
        }
        return Row(choosing, steps, self._from(configuration, event))

    def _from(self, active: Configuration, event: str) -> tuple[Candidate, ...]:
        """What the event may take of these states, inner ones first."""
        edges = self._shape.edges_from(frozenset(active), event)
        return tuple(self._candidates[edge] for edge in edges)

    def _compatible(
        self, configuration: Configuration, chosen: Iterable[Candidate]
    ) -> tuple[Candidate, ...]:
        """Those that can be taken together: no two leave the same state."""
        kept: list[Candidate] = []
        for each in dict.fromkeys(chosen):
            left = self._left(configuration, each.edge)
            rivals = [rival for rival in kept if left & self._left(configuration, rival.edge)]
            if all(rival.edge.source in self._around[each.edge.source] for rival in rivals):
                kept = [other for other in kept if other not in rivals] + [each]
        return tuple(kept)

    def _step(self, configuration: Configuration, taken: tuple[Candidate, ...]) -> Step:
        left = frozenset().union(*(self._left(configuration, each.edge) for each in taken))
        entered: set[str] = set()
        for each in taken:
            self._enter_by(each.edge, entered)
        holding = (set(configuration) - left) | entered
        return Step(
            tuple(each.edge for each in taken),
            tuple(action for each in taken for action in each.actions),
            tuple(node.name for node in self._shape.nodes if node.name in holding),
        )

    def _domain(self, edge: Edge) -> str | None:
        """The innermost compound state around both ends: an edge moves within it, regions as well.

        None where an end is the root.
        """
        for name in self._around[edge.source]:
            if self._kinds[name] is NodeKind.COMPOUND and name in self._around[edge.target]:
                return name
        return None

    def _left(self, configuration: Configuration, edge: Edge) -> frozenset[str]:
        domain = self._domain(edge)
        return frozenset(
            name for name in configuration if domain is None or domain in self._around[name]
        )

    def _enter_by(self, edge: Edge, entered: set[str]) -> None:
        """Add what an edge enters: its target, what is within, and what is around up to its domain."""
        self._enter(edge.target, entered)
        domain = self._domain(edge)
        for name in takewhile(lambda name: name != domain, self._around[edge.target]):
            entered.add(name)
            self._enter_regions(name, entered)

    def _enter(self, name: str, entered: set[str]) -> None:
        entered.add(name)
        self._enter_regions(name, entered)
        if self._kinds[name] is NodeKind.COMPOUND:
            for child in self._within[name]:
                if child.initial:
                    self._enter(child.name, entered)

    def _enter_regions(self, name: str, entered: set[str]) -> None:
        """Of a parallel state each region, but those that are entered further within."""
        if self._kinds[name] is NodeKind.PARALLEL:
            for region in self._within[name]:
                if not any(region.name in self._around[inner] for inner in entered):
                    self._enter(region.name, entered)
