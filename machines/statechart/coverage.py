"""Explicit-state search for any project's tests: every reachable state, every event in each.

    def test_the_door() -> None:
        assert_covered(Space(door, initial=(Door(),), events_at=lambda _: EVENTS))

A `Space` says where values begin and what may happen to them. `explore` fires every event at every
value that can be reached, and holds the compiled table against python-statemachine's engine on the
way. `assert_covered` demands that this takes every edge, meets every guard true and false, reaches
every state, and leaves no live state without a way to a final one.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Final

from machines.statechart.engine import AnyMachine, EngineMachine, compare
from machines.statechart.machine import Accepted
from machines.statechart.topology import Configuration

Key = Hashable

MOST_KEYS: Final = 2_000
"""A counter without a bound is found by it."""


def _itself(value: Any) -> Key:
    key: Key = value
    return key


def _brings_nothing(_: object) -> frozenset[str]:
    return frozenset()


def _accepts(_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched."""

    machine: AnyMachine
    initial: tuple[Any, ...]
    """Values to begin with."""
    events_at: Callable[[Any], Iterable[Any]]
    """All that may happen to a value, with every outcome of every guard; as many for each of a key."""
    key_of: Callable[[Any], Key] = _itself
    """Everything of a value that a guard reads, and no more; by default the value itself."""
    answers_to: Callable[[Any], frozenset[str]] = _brings_nothing
    """The events that an effect may bring back."""
    check: Callable[[Any], None] = _accepts
    """Raises AssertionError for a value that breaks a rule of its own."""


@dataclass(frozen=True, slots=True)
class Step:
    """One accepted event between two keys."""

    source: Key
    event: str
    edge: str
    target: Key
    answers: frozenset[str]
    """Events that its effects may bring back."""


@dataclass(slots=True)
class Reached:
    """Everything that a search found."""

    values: dict[Key, Any] = field(default_factory=dict)
    steps: set[Step] = field(default_factory=set)
    outcomes: set[tuple[str, bool]] = field(default_factory=set)
    """(guard, whether it was true), of the guards that an event met."""
    fired: int = 0

    def live(self, machine: AnyMachine) -> set[Key]:
        """Keys that are in no final state."""
        finals = {node.name for node in machine.topology.nodes if node.final}
        return {key for key, value in self.values.items() if not machine.active(value) & finals}

    def leading_to(self, goal: set[Key], steps: Iterable[Step]) -> set[Key]:
        """Keys from which some path of `steps` leads to `goal`."""
        before: dict[Key, set[Key]] = {}
        for step in steps:
            before.setdefault(step.target, set()).add(step.source)
        reaching, waiting = set(goal), list(goal)
        while waiting:
            fresh = before.get(waiting.pop(), set()) - reaching
            reaching |= fresh
            waiting.extend(fresh)
        return reaching


Watch = Callable[[Any, Any, Accepted[Any, Any, Any]], None]
"""Told of each accepted event: the value before it, the event, and what came of it."""


def explore(space: Space, *, watch: Watch | None = None, engine: bool = True) -> Reached:
    """Fire every event at every reachable key.

    Args:
        engine: Hold the table against python-statemachine's engine, which takes most of the time.

    Raises:
        AssertionError: table and engine differ, a value breaks its rules or is changed in place, two
            values of one key behave differently, or the space has no end.
    """
    reached = Reached()
    beside = EngineMachine(space.machine) if engine else None
    seen_twice: set[Key] = set()
    profiles: dict[Key, list[tuple[str, Key] | None]] = {}
    waiting = list(space.initial)
    while waiting:
        value = waiting.pop()
        key = space.key_of(value)
        if key in seen_twice or reached.values.get(key) == value:
            continue
        _demand(len(reached.values) < MOST_KEYS, f"the space has no end: {value}")
        if key in reached.values:
            seen_twice.add(key)
        else:
            reached.values[key] = value
        space.check(value)
        before = repr(value)
        profile: list[tuple[str, Key] | None] = []
        for event in space.events_at(value):
            accepted = _fired(space.machine, beside, value, event, reached)
            if accepted is None:
                profile.append(None)
                continue
            if watch is not None:
                watch(value, event, accepted)
            target = space.key_of(accepted.state)
            answers = frozenset[str]().union(*map(space.answers_to, accepted.effects))
            reached.steps.add(Step(key, event.event, accepted.edge.id, target, answers))
            profile.append((accepted.edge.id, target))
            waiting.append(accepted.state)
        _demand(repr(value) == before, f"an event changed the value that it was fired at: {before}")
        _demand(
            profiles.setdefault(key, profile) == profile,
            f"two values of {key} behave differently: `key_of` leaves out what a guard reads",
        )
    return reached


def uncovered(space: Space, reached: Reached) -> list[str]:
    """What a search left open: one sentence for each, with what to add. Empty is good."""
    machine, chart = space.machine, space.machine.topology
    taken = {step.edge for step in reached.steps}
    stood_in = {machine.states_of(value) for value in reached.values.values()}
    final = set(reached.values) - reached.live(machine)
    trapped = set(reached.values) - reached.leading_to(final, reached.steps)
    guards = sorted({guard.name for edge in chart.edges for guard in edge.guards})
    return [
        *(
            f"no event takes {edge.id}: add one to `events_at`, or a value to `initial`"
            for edge in chart.edges
            if edge.id not in taken
        ),
        *(
            f"no event finds {guard} {str(truth).lower()}: add one to `events_at`"
            for guard in guards
            for truth in (True, False)
            if (guard, truth) not in reached.outcomes
        ),
        *(
            f"no value stands in {_named(states)}: add an event that leads there"
            for states in machine.table
            if states not in stood_in
        ),
        *(
            f"no way leads out of {_named(machine.states_of(reached.values[key]))}: {key}"
            for key in trapped
            if final
        ),
        *(
            f"{step.event} leads out of a final state: {step.source}"
            for step in reached.steps
            if step.source in final
        ),
    ]


def assert_covered(space: Space) -> Reached:
    """Search the space. Raises AssertionError with a sentence for each thing that it leaves open."""
    reached = explore(space)
    problems = uncovered(space, reached)
    _demand(not problems, f"{space.machine.name}:\n" + "\n".join(problems))
    return reached


def unprompted_cycle_free(steps: Iterable[Step]) -> None:
    """CycleError where effects and their answers alone could lead a machine round in a circle."""
    graph: TopologicalSorter[Step] = TopologicalSorter()
    every = tuple(steps)
    starting: dict[Key, list[Step]] = {}
    for step in every:
        starting.setdefault(step.source, []).append(step)
    for step in every:
        following = starting.get(step.target, ())
        graph.add(step, *(each for each in following if each.event in step.answers))
    graph.prepare()


def cycle_free(steps: Iterable[Step]) -> None:
    """CycleError where any accepted events at all lead back to a key."""
    graph: TopologicalSorter[Key] = TopologicalSorter()
    for step in steps:
        graph.add(step.source, step.target)
    graph.prepare()


def _fired(
    machine: AnyMachine, engine: EngineMachine | None, value: Any, event: Any, reached: Reached
) -> Accepted[Any, Any, Any] | None:
    """Fire, held against the engine where there is one; None where it is refused."""
    reached.outcomes |= set(_met(machine, value, event))
    reached.fired += 1
    outcome = compare(machine, engine, value, event) if engine else machine.fire(value, event)
    if isinstance(outcome, str):
        _demand(False, f"{event} at {value} fails: {outcome}")
    if not isinstance(outcome, Accepted):
        return None
    row = machine.table[machine.states_of(value)].rows[event.event]
    reaches, stands = dict(row)[outcome.edge], machine.states_of(outcome.state)
    _demand(
        stands == reaches,
        f"{outcome.edge.id} leads to {_named(reaches)}, and an action moves the value "
        f"to {_named(stands)}",
    )
    return outcome


def _met(machine: AnyMachine, value: Any, event: Any) -> Iterator[tuple[str, bool]]:
    """The guards that an event meets at a value, and whether each is true."""
    for edge in machine.topology.edges_from(machine.active(value), event.event):
        for guard in edge.guards:
            yield guard.name, guard.rule(value, event)


def _named(states: Configuration) -> str:
    return " + ".join(states)


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
