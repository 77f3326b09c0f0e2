"""Explicit-state search: every state of a chart that can be reached, and every event in each.

A `Space` says how a frozen value is abstracted to a key that is small enough to enumerate, and what
may happen. `explore` fires every event at every key and holds the machine against the oracle on the
way. That the abstraction is sound is checked too: two values of one key must behave alike.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Final

from machines.models import effects
from machines.models.domain import Valid
from machines.models.journal import ApprovalTimer, RetryTimer, SessionTimer
from machines.runtime import Accepted, Refusal
from machines.topology import Edge, Guard
from tests.transitions.catalogue import AnyMachine
from tests.transitions.oracle import after, first_enabled

Key = Hashable

MOST_KEYS: Final = 2_000
"""More than any chart has by far: a counter without a bound is found by it."""

_NOTHING: Final[frozenset[str]] = frozenset()
_FROM_THE_MODEL: Final = frozenset(
    {"step_completed", "ai_failed", "network_failed", "attempt_delayed", "state_lost"}
)
ANSWERS: Final[Mapping[type, frozenset[str]]] = {
    effects.AICall: _FROM_THE_MODEL,
    effects.RecallPriors: frozenset({"priors_retrieved", "network_failed", "state_lost"}),
    effects.StopAttempt: _NOTHING,
    effects.DBOperation: _NOTHING,
    effects.CancelTimer: _NOTHING,
    effects.WebSocketEvent: _NOTHING,
    effects.IssueChallenge: frozenset({"challenge_issued"}),
    effects.VerifySignature: frozenset({"signature_checked"}),
    effects.LookUpSession: frozenset({"session_looked_up"}),
    effects.CheckAccess: frozenset({"access_checked"}),
    effects.Welcome: _NOTHING,
    effects.FollowThread: _NOTHING,
    effects.UnfollowThread: _NOTHING,
    effects.PerformRequest: _NOTHING,
    effects.EndSession: _NOTHING,
    effects.CloseConnection: _NOTHING,
}


def answers_to(effect: effects.Effect) -> frozenset[str]:
    """The events that an effect may bring back. KeyError: say it for the new effect above."""
    if isinstance(effect, effects.ScheduleTimer):
        match effect.timer:
            case RetryTimer():
                return frozenset({"retry_due"})
            case ApprovalTimer():
                return frozenset({"expire"})
            case SessionTimer():
                return frozenset({"session_expired"})
    return ANSWERS[type(effect)]


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched."""

    machine: AnyMachine
    initial: tuple[Any, ...]
    key_of: Callable[[Any], Key]
    """Everything of a value that a guard reads, and no more."""
    events_at: Callable[[Any], Iterable[Any]]
    """All that may happen, with every outcome of every guard; as many in each state of a key."""


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


def explore(space: Space) -> Reached:
    """Fire every event at every reachable key; AssertionError where machine and oracle differ."""
    reached = Reached()
    seen_twice: set[Key] = set()
    profiles: dict[Key, list[tuple[str, Key] | None]] = {}
    waiting = list(space.initial)
    while waiting:
        value = waiting.pop()
        key = space.key_of(value)
        if key in seen_twice or reached.values.get(key) == value:
            continue
        assert len(reached.values) < MOST_KEYS, f"the space has no end: {value}"
        if key in reached.values:
            seen_twice.add(key)
        else:
            reached.values[key] = value
        assert value.validate_state() == Valid(), f"{key}: {value.validate_state()}"
        profile: list[tuple[str, Key] | None] = []
        for event in space.events_at(value):
            outcome = _checked(space.machine, value, event, reached)
            if outcome is None:
                profile.append(None)
                continue
            target = space.key_of(outcome.state)
            (transition,) = outcome.transitions
            answers = _NOTHING.union(*map(answers_to, outcome.effects))
            reached.steps.add(Step(key, event.event, transition.edge, target, answers))
            profile.append((transition.edge, target))
            waiting.append(outcome.state)
        assert profiles.setdefault(key, profile) == profile, (
            f"two values of {key} behave differently: `key_of` leaves out what a guard reads"
        )
    return reached


def _checked(
    machine: AnyMachine, value: Any, event: Any, reached: Reached
) -> Accepted[Any, Any, Any] | None:
    """Fire, and hold the outcome against the oracle; None where it is refused."""
    chart, active = machine.topology, machine.active(value)
    met = {
        guard.name
        for edge in chart.edges
        if edge.event == event.event and edge.source in active
        for guard in edge.guards
    }
    truth = {name: machine.holds(value, event, name) for name in met}
    reached.outcomes |= set(truth.items())
    reached.fired += 1

    def is_true(guard: Guard) -> bool:
        return truth[guard.name] is guard.expected

    expected: Edge | None = first_enabled(chart, active, event.event, is_true)
    before = value.model_dump()
    outcome = machine.fire(value, event)
    assert value.model_dump() == before, f"{event} changed the frozen state that it was fired at"
    match outcome:
        case Refusal():
            assert expected is None, f"{expected} must be taken: {outcome}"
            return None
        case Accepted(transitions=transitions, state=state):
            assert expected is not None, f"{event} must be refused, and {transitions} was taken"
            assert [taken.edge for taken in transitions] == [expected.id]
            assert machine.active(state) == after(chart, active, expected), expected.id
            return outcome


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
