"""Judges a whole reachable space: every sequence of steps that its graph has, infinite ones too.

A rule is followed along every path, so that a state of the search is a node with the slices in which
the rule is armed. What breaks a safety rule is found first on a shortest path. A liveness rule is
broken where the system may wait for ever (Baier and Katoen, "Principles of Model Checking", section
5.1.6, of a finite graph):

- at rest: a node in which the rule waits, and in which nothing is bound to happen;
- in a circle: a cycle of nodes in which it waits, that is fair.

Fair is weak fairness ("justice", the same, section 3.5): what stays possible for ever happens in the
end. It is assumed of the moves in `assured` alone, which are told apart by the value that they move: a
timer fires, an effect is answered. A co-author may never vote, and a client never answer.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from machines.properties.assured import is_assured
from machines.properties.form import Rule
from machines.properties.steps import Fields, Step
from machines.statechart.coverage import Reached, Space, explore
from machines.statechart.machine import Accepted

Node = Hashable


@dataclass(frozen=True, slots=True)
class Move:
    """What may happen at a node: one accepted event, or all that one decision does."""

    steps: tuple[Step, ...]
    target: Node
    assured: str | None = None
    """Names what is bound to happen if it stays possible; None where it need not."""


@dataclass(slots=True)
class Graph:
    """A reachable space."""

    initial: list[Node] = field(default_factory=list)
    moves: dict[Node, list[Move]] = field(default_factory=dict)
    """By node, of every node."""
    present: frozenset[str] = frozenset()
    """Ids of the values that are there at the beginning, and have not taken a step."""


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A shortest way to break a rule."""

    rule: Rule
    path: tuple[Move, ...]
    circle: tuple[Move, ...] = ()
    """What may go on for ever behind the path; empty where the last step breaks the rule, or where
    nothing more is bound to happen."""

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for move in (*self.path, *self.circle) for step in move.steps)

    def __str__(self) -> str:
        """The rule, and a line for each step."""
        lines = [f"{self.rule.name}: {self.rule.formula.text}. {self.rule.reason}"]
        lines += _lines(self.path)
        if self.circle:
            lines += ["  and for ever again:", *_lines(self.circle)]
        elif self.rule.formula.is_live:
            lines.append("  and there it may stay.")
        return "\n".join(lines)


def check(rule: Rule, graph: Graph) -> Counterexample | None:
    """A shortest way in which the graph breaks the rule; None where it keeps it."""
    return _Search(rule, graph).run()


def graph_of(space: Space) -> Graph:
    """The reachable space of one machine, with one value in it.

    Raises: as `searched`.
    """
    return searched(space)[0]


def searched(space: Space) -> tuple[Graph, Reached]:
    """As `graph_of`, with what tells how much of the chart was covered.

    Raises: as `explore`, but that it does not hold the table against the engine.
    """
    machine, graph = space.machine.name, Graph(present=frozenset({_IT}))
    first: dict[Node, Any] = {}
    before: dict[Node, Fields] = {}

    def watch(value: Any, event: Any, accepted: Accepted[Any, Any, Any]) -> None:
        key = space.key_of(value)
        if first.setdefault(key, value) is not value:
            return
        if key not in before:
            before[key] = value.model_dump(mode="json", exclude=_TEXTS)
        edge = accepted.edge
        step = Step(
            machine,
            _IT,
            event.event,
            edge.source,
            edge.target,
            edge.id,
            tuple(type(effect).__name__ for effect in accepted.effects),
            event.model_dump(mode="json"),
            accepted.state.model_dump(mode="json", exclude=_TEXTS),
            was=before[key],
        )
        assured = machine if is_assured(step) else None
        graph.moves.setdefault(key, []).append(Move((step,), space.key_of(accepted.state), assured))

    reached = explore(space, watch=watch, engine=False)
    graph.initial = list(dict.fromkeys(map(space.key_of, space.initial)))
    for key in reached.values:
        graph.moves.setdefault(key, [])
    return graph, reached


_IT = "it"
"""Id of the one value of a graph of one machine."""
_TEXTS = {"steps", "messages", "priors"}
"""What runs read and gave; no rule reads it, as no guard does."""

_State = tuple[Node, frozenset[str]]
"""A node, and the slices in which the rule is armed there."""
_Arrow = tuple[Move, _State]


class _Search:
    """One rule over one graph."""

    def __init__(self, rule: Rule, graph: Graph) -> None:
        self._rule = rule
        self._graph = graph
        self._arrows: dict[_State, list[_Arrow]] = {}
        self._before: dict[_State, tuple[_State, Move] | None] = {}

    def run(self) -> Counterexample | None:
        rule = self._rule
        begins_armed = rule.about.is_one_value and rule.formula.arms is None and rule.formula.ends
        armed = self._graph.present if begins_armed else frozenset[str]()
        waiting: deque[_State] = deque()
        for node in self._graph.initial:
            self._meet((node, armed), None, waiting)
        while waiting:
            state = waiting.popleft()
            arrows = self._arrows.setdefault(state, [])
            for move in self._graph.moves[state[0]]:
                after = self._follow(state[1], move)
                if after is None:
                    return Counterexample(rule, (*self._path(state), move))
                arrows.append((move, (move.target, after)))
                self._meet((move.target, after), (state, move), waiting)
        return self._waits_for_ever() if rule.formula.is_live else None

    def _meet(
        self, state: _State, before: tuple[_State, Move] | None, waiting: deque[_State]
    ) -> None:
        if state not in self._before:
            self._before[state] = before
            waiting.append(state)

    def _follow(self, armed: frozenset[str], move: Move) -> frozenset[str] | None:
        """Where the rule is armed after a move; None where the move breaks it."""
        rule = self._rule
        for step in move.steps:
            key_of = rule.about.keys.get(step.machine)
            key = key_of(step) if key_of else None
            if key is None:
                continue
            holds, is_broken = rule.follow(key in armed, step)
            if is_broken:
                return None
            if holds is not (key in armed):
                armed = armed | {key} if holds else armed - {key}
        return armed

    def _path(self, state: _State) -> tuple[Move, ...]:
        moves: list[Move] = []
        while (before := self._before[state]) is not None:
            state, move = before
            moves.append(move)
        return tuple(reversed(moves))

    # Liveness

    def _waits_for_ever(self) -> Counterexample | None:
        for state in self._arrows:  # in the order of their distance
            if state[1] and not self._assured_at(state):
                return Counterexample(self._rule, self._path(state))
        for key in sorted({key for _, armed in self._arrows for key in armed}):
            inside = {
                state: [(move, target) for move, target in arrows if key in target[1]]
                for state, arrows in self._arrows.items()
                if key in state[1]
            }
            for component in _components(inside):
                circle = self._fair_circle(component, inside)
                if circle is not None:
                    return Counterexample(self._rule, self._path(component[0]), circle)
        return None

    def _assured_at(self, state: _State) -> set[str]:
        return {move.assured for move, _ in self._arrows[state] if move.assured}

    def _fair_circle(
        self, component: list[_State], inside: Mapping[_State, list[_Arrow]]
    ) -> tuple[Move, ...] | None:
        """A way round in a strongly connected component that is fair; None where there is none.

        Fair it is if each assured move is taken on it, or impossible somewhere on it. If a component
        has neither for one of them, then no circle in it has.
        """
        members = set(component)
        within = {
            state: [arrow for arrow in inside[state] if arrow[1] in members] for state in component
        }
        taken: dict[str, tuple[_State, _Arrow]] = {}
        for state, arrows in within.items():
            for arrow in arrows:
                if arrow[0].assured:
                    taken.setdefault(arrow[0].assured, (state, arrow))
        visits: list[tuple[_State, _Arrow | None]] = []
        for assured in sorted({each for state in component for each in self._assured_at(state)}):
            without = next((s for s in component if assured not in self._assured_at(s)), None)
            if assured in taken:
                visits.append(taken[assured])
            elif without is not None:
                visits.append((without, None))
            else:
                return None
        start = here = component[0]
        circle: list[Move] = []
        for state, taking in visits:
            circle += _way(within, here, state)
            here = state
            if taking is not None:
                circle.append(taking[0])
                here = taking[1]
        if not circle:
            move, here = within[start][0]
            circle.append(move)
        return (*circle, *_way(within, here, start))


def _way(arrows: Mapping[_State, list[_Arrow]], begin: _State, end: _State) -> list[Move]:
    """A shortest way between two states of a strongly connected component."""
    before: dict[_State, tuple[_State, Move] | None] = {begin: None}
    waiting = deque([begin])
    while end not in before:
        state = waiting.popleft()
        for move, target in arrows[state]:
            if target not in before:
                before[target] = (state, move)
                waiting.append(target)
    way: list[Move] = []
    while (step := before[end]) is not None:
        end, move = step
        way.append(move)
    return way[::-1]


def _components(arrows: Mapping[_State, list[_Arrow]]) -> Iterator[list[_State]]:
    """The strongly connected components that have a cycle, by Kosaraju's two searches; of each the
    states in the order of their distance."""
    finished: list[_State] = []
    seen: set[_State] = set()
    for begin in arrows:
        if begin in seen:
            continue
        seen.add(begin)
        stack = [(begin, iter(arrows[begin]))]
        while stack:
            state, rest = stack[-1]
            for _, target in rest:
                if target not in seen:
                    seen.add(target)
                    stack.append((target, iter(arrows[target])))
                    break
            else:
                finished.append(state)
                stack.pop()
    backwards: dict[_State, list[_State]] = {state: [] for state in arrows}
    for state, leaving in arrows.items():
        for _, target in leaving:
            backwards[target].append(state)
    order = {state: number for number, state in enumerate(arrows)}
    placed: set[_State] = set()
    for begin in reversed(finished):
        if begin in placed:
            continue
        placed.add(begin)
        component, waiting = [begin], [begin]
        while waiting:
            for state in backwards[waiting.pop()]:
                if state not in placed:
                    placed.add(state)
                    component.append(state)
                    waiting.append(state)
        if len(component) > 1 or any(target == begin for _, target in arrows[begin]):
            yield sorted(component, key=order.__getitem__)


def _lines(moves: Iterable[Move]) -> list[str]:
    return [
        f"  {step.machine}: {step.event} ({step.source} -> {step.target})"
        for move in moves
        for step in move.steps
    ]
