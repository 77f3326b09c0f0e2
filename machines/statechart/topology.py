"""A chart's states, edges and guards as plain values, read from the class metadata.

Everything that is derived from a declaration is derived from these values: the compiled table, the
drawings, the refusals, the coverage tests and the search over the state space. Nothing here runs a
machine. `problems_of` names what a chart may not declare: python-statemachine's engine can do much
more than a table can say (enter and exit callbacks, history, delays, edges without an event), and a
table that passed over one would quietly be another machine than the one that was declared.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from hashlib import sha256
from inspect import iscoroutinefunction, isfunction, signature
from itertools import combinations
from typing import Final, Literal, get_args, get_origin, get_type_hints

from statemachine import State
from statemachine.callbacks import CallbackSpec
from statemachine.transition import Transition

from machines.statechart.chart import ActionRule, AnyChart, Callback, Chart, EdgeKind, GuardRule

_STRICT = {
    "allow_event_without_transition": False,
    "catch_errors_as_events": False,
    "atomic_configuration_update": True,
}
_PREFIXES_OF_THE_ENGINE = frozenset({"done", "error"})
"""An event of that name would also take the engine's own `done.state.x` and `error.execution`."""


Configuration = tuple[str, ...]
"""The innermost active states, one for each region, in the order of declaration."""


class NodeKind(StrEnum):
    """What a state holds."""

    ATOMIC = "atomic"
    COMPOUND = "compound"
    PARALLEL = "parallel"


NOT: Final = "not "
"""Before the name of a guard that must be false; no name has a space in it."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One atom of an edge's condition: `name` must be `expected`."""

    name: str
    expected: bool
    rule: GuardRule = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """As the drawing and the refusals spell it."""
        return self.name if self.expected else f"{NOT}{self.name}"

    @property
    def sentence(self) -> str:
        """What it means, as `sentence_of` gives it."""
        return sentence_of(self.rule)


@dataclass(frozen=True, slots=True)
class Node:
    """A state."""

    id: str
    """`state_{machine}_{state}`, the literal id in the drawing."""
    name: str
    parent: str | None
    """Name of the state around it; None where there is none."""
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
    """Actions in the order of their calls."""
    kind: EdgeKind
    rules: tuple[ActionRule, ...] = field(repr=False, compare=False)
    """The functions of `actions`."""

    def false_guards(self, value: object, event: object) -> tuple[str, ...]:
        """Labels of all guards that do not hold."""
        return tuple(
            guard.label for guard in self.guards if guard.rule(value, event) is not guard.expected
        )


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
    def fingerprint(self) -> str:
        """Changes whenever the states, edges, guards or actions do."""
        declared = repr((self.nodes, self.edges))
        return f"{self.machine}:{sha256(declared.encode()).hexdigest()[:12]}"

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

    def within(self, name: str | None) -> tuple[Node, ...]:
        """The states directly within `name`; the outermost ones for None."""
        return tuple(node for node in self.nodes if node.parent == name)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """The states around `name`, innermost first."""
        parent = self.node(name).parent
        return () if parent is None else (parent, *self.ancestors(parent))

    def edges_from(self, active: frozenset[str], event: str) -> tuple[Edge, ...]:
        """The edges that `event` may take while the states of `active` hold, inner ones first."""
        candidates = [edge for edge in self.edges if edge.event == event and edge.source in active]
        return tuple(sorted(candidates, key=lambda edge: -len(self.ancestors(edge.source))))

    def innermost(self, active: frozenset[str]) -> Configuration:
        """Those of `active` that have none of the others within them."""
        around = {node.parent for node in self.nodes if node.name in active}
        names = (node.name for node in self.nodes if node.name in active)
        return tuple(name for name in names if name not in around)

    def allowed(self, active: frozenset[str]) -> tuple[str, ...]:
        """The events that some edge declares for `active`, sorted."""
        return tuple(sorted({edge.event for edge in self.edges if edge.source in active}))


@cache
def topology(chart: AnyChart) -> Topology:
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
        for state in _states_of(chart)
    )
    edges: list[Edge] = []
    taken: Counter[str] = Counter()
    for transition in transitions_of(chart):
        for event in transition.events:
            source, target = transition.source.id, str(transition.target and transition.target.id)
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
                        Guard(str(spec.attr_name), bool(spec.expected_value), _rule(spec))
                        for spec in _written(transition.cond)
                    ),
                    actions=tuple(str(spec.attr_name) for spec in _written(transition.on)),
                    kind=chart.edge_kinds.get(event.id, EdgeKind.NORMAL),
                    rules=tuple(_rule(spec) for spec in _written(transition.on)),
                )
            )
    title = (chart.__doc__ or chart.machine).strip().splitlines()[0]
    return Topology(chart.machine, title, nodes, tuple(edges))


def sentence_of(rule: ActionRule) -> str:
    """The docstring of a guard or an action, in one line; empty where it has none."""
    return " ".join((rule.__doc__ or "").split())


def transitions_of(chart: AnyChart) -> Iterator[Transition]:
    """What the chart declares, without the engine's own transitions into initial states.

    In the order of `Topology.edges`, which has one edge for each event of a transition.
    """
    for state in _states_of(chart):
        yield from (each for each in state.transitions if not each.initial)


def problems_of(chart: AnyChart) -> Iterator[str]:
    """A sentence for each thing that the chart declares and a table cannot say."""
    yield from _of_the_class(chart)
    for state in _states_of(chart):
        yield from _of_a_state(state)
    for each in transitions_of(chart):
        yield from _of_an_edge(each)
    yield from _of_regions(topology(chart))


def _of_the_class(chart: AnyChart) -> Iterator[str]:
    for name, value in _STRICT.items():
        if getattr(chart, name) is not value:
            yield f"{name} is not {value}, so that its engine would not be strict"
    if not chart.machine.isidentifier():
        yield "its `machine` is no name; the ids of its drawing begin with it"
    if getattr(chart, "listeners", None):
        yield "it has listeners, which the table does not call"
    for base in chart.__mro__[: chart.__mro__.index(Chart)]:
        for name in (name for name, member in vars(base).items() if isfunction(member)):
            yield f"{name} is a method, which the engine could call by its name; write a function"
    names = Counter(state.id for state in _states_of(chart))
    for name in (name for name, count in names.items() if count > 1):
        yield f"several states are called {name}, which the engine takes for one"


def _of_a_state(state: State) -> Iterator[str]:
    for called in ("enter", "exit", "invoke"):
        if _written(getattr(state, called)):
            yield f"{state.id} has {called} callbacks; put them on the edges"
    if state.history:
        yield f"{state.id} has history, which lives on the instance; keep it in the value"
    if state.value != state.id:
        yield f"{state.id} has a value of its own; a configuration holds names"
    if state.is_compound:
        initial = [child for child in state.states if child.initial]
        entering = [each for each in state.transitions if each.initial]
        if len(initial) != 1 or [each.targets for each in entering] != [initial]:
            yield f"{state.id} has not one initial state directly within it"
        if any(_written(each.on) for each in entering):
            yield f"{state.id} has callbacks for its initial state; put them on the edges"


def _of_an_edge(edge: Transition) -> Iterator[str]:
    if len(edge.targets) != 1:
        yield f"{edge} has {len(edge.targets)} targets; an edge has one"
    if edge.internal:
        yield f"{edge} is internal; without enter and exit callbacks an ordinary one does the same"
    if edge.is_eventless:
        yield f"{edge} takes place without an event; emit an effect that brings one"
    for event in edge.events:
        if not event.id.isidentifier() or event.id in _PREFIXES_OF_THE_ENGINE:
            yield f"the event {event.id} would match others too; give it another name"
        if event.delay:
            yield f"{event.id} is delayed, which blocks the caller; emit an effect that sets a timer"
    for called in ("validators", "before", "after"):
        if _written(getattr(edge, called)):
            yield f"{edge} has {called}, which are not drawn; use a guard or `do`"
    for spec in (*_written(edge.cond), *_written(edge.on)):
        yield from _of_a_rule(spec, [event.id for event in edge.events])


def _of_a_rule(spec: CallbackSpec, events: list[str]) -> Iterator[str]:
    if not isinstance(spec.func, Callback):
        yield f"{spec} is not given by `Edges`, so that its types are not checked"
        return
    name, rule = spec.func.__name__, spec.func.rule
    if not name.isidentifier():
        yield f"{name} is no name; write a function for it"
    elif iscoroutinefunction(rule) or len(signature(rule).parameters) != 2:
        yield f"{name} is not a plain function of a value and an event"
    names = get_type_hints(spec.func.event).get("event")
    for event in events:
        if get_origin(names) is Literal and event not in get_args(names):
            yield f"{name} on {event} takes a {spec.func.event.__name__}, which is another event"


def _of_regions(shape: Topology) -> Iterator[str]:
    """One event moves one region: no two of its edges may be enabled side by side."""
    for event in shape.events:
        sources = dict.fromkeys(edge.source for edge in shape.edges if edge.event == event)
        for one, other in combinations(sources, 2):
            around = [name for name in _lineage(shape, one) if name in _lineage(shape, other)]
            if not around or around[0] in (one, other):
                continue
            if shape.node(around[0]).kind is NodeKind.PARALLEL:
                yield (
                    f"{event} moves two regions of {around[0]}, from {one} and from {other}; "
                    "give each an event of its own"
                )


def _lineage(shape: Topology, name: str) -> tuple[str, ...]:
    return (name, *shape.ancestors(name))


def _written(specs: Iterable[CallbackSpec]) -> list[CallbackSpec]:
    """What the declaration mentions, without what the engine looks for by itself."""
    return [spec for spec in specs if not spec.is_convention]


def _rule(spec: CallbackSpec) -> ActionRule:
    rule: ActionRule = getattr(spec.func, "rule", spec.func)
    return rule


def _states_of(chart: AnyChart) -> Iterator[State]:
    """Every state of a chart class, outer ones before those within them."""

    def below(states: Iterable[State]) -> Iterator[State]:
        for state in states:
            yield state
            yield from below(state.states)

    yield from below(chart.states)


def _kind_of(state: State) -> NodeKind:
    if state.parallel:
        return NodeKind.PARALLEL
    return NodeKind.COMPOUND if len(state.states) else NodeKind.ATOMIC
