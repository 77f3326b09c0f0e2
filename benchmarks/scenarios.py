"""One scenario of each chart: how a value comes from its beginning to its end, and what it refuses.

What libraries of machines are held against each other with. Events, guards, actions and the frozen
values that they make and stamp are Chorus' own for every contestant; what finds out which of them to call
is the contestant's. Nothing but the machines is needed, so that it runs in either environment.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from benchmarks.measure import tell
from machines.breaker import breaker_machine
from machines.chorus import chorus_machine, transform_state
from machines.connection import connection_machine
from machines.message import message_machine
from machines.models.breaker import EndpointDropped
from machines.models.chorus import Awaited, ChorusEvent, RunStatus
from machines.statechart import Accepted, Configuration, Machine, Refusal, Topology
from machines.statechart.chart import ActionRule, GuardRule
from machines.thread import thread_machine
from tests.machines.transitions import breaker_scenarios as breaker
from tests.machines.transitions import chorus_scenarios as run
from tests.machines.transitions import connection_scenarios as link
from tests.machines.transitions import message_scenarios as message
from tests.machines.transitions import thread_scenarios as thread
from tests.machines.transitions.values import ALICE, BOB, CAROL, OTHER_THREAD

SECONDS: Final = 0.1
"""Of processor time that each case is repeated for."""

REPEATS: Final = 50
"""Of a refusal between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A value's way through its chart."""

    machine: Machine[Any, Any, Any, Any]
    values: tuple[Any, ...]
    """Before the first event, and after each."""
    events: tuple[Any, ...]
    """All of them are accepted."""
    refused_at: int
    """How many events come before the refused one."""
    refused: Any

    @property
    def topology(self) -> Topology:
        return self.machine.topology


class Desk:
    """What the guards and actions of a chart work on: one value that lives, and its event."""

    def __init__(self, scenario: Scenario) -> None:
        self._react = scenario.machine.react
        self.configuration: Any = None
        """Where python-statemachine keeps the active states."""
        self.value = scenario.values[0]
        self.event: Any = None
        self.chosen: list[Any] = []
        """Actions that are due, in their order."""

    def begin(self, event: Any) -> None:
        """Make ready for an event."""
        self.event = event
        self.chosen = []

    def land(self, reached: Configuration) -> None:
        """Place the value where the contestant has moved, and perform the actions."""
        self.value = self._react(self.value, self.event, reached, tuple(self.chosen)).state


class Living(Protocol):
    """A machine of some library that was built for one value, and keeps it."""

    def take(self, event: Any) -> bool:
        """Fire an event; whether it was accepted."""
        ...

    @property
    def value(self) -> Any:
        """The frozen value as it is now."""
        ...


def body_of(scenario: Scenario, desk: Desk) -> Any:
    """The chart's own guards and actions on a desk, as the methods of a plain object."""
    edges = scenario.topology.edges
    guards = {guard.name: guard.rule for edge in edges for guard in edge.guards}
    actions = {
        name: rule for edge in edges for name, rule in zip(edge.actions, edge.rules, strict=True)
    }

    def asks(rule: GuardRule) -> Callable[[Any], bool]:
        return lambda _: rule(desk.value, desk.event)

    def does(rule: ActionRule) -> Callable[[Any], None]:
        return lambda _: desk.chosen.append(rule)

    methods = {name: asks(rule) for name, rule in guards.items()}
    return type("Body", (), methods | {name: does(rule) for name, rule in actions.items()})()


# --- The scenarios -------------------------------------------------------------------------------


def scenarios() -> Mapping[str, Scenario]:
    """Every chart's, by its name. Each is walked once by Chorus' machine, which says what is right."""
    told = (_run(), _message(), _connection(), _thread(), _breaker())
    return {each.machine.name: each for each in told}


def _run() -> Scenario:
    """A run of one iteration, and an answer to an attempt before the current one."""
    events: list[ChorusEvent] = [run.started()]
    value = transform_state(run.queued(), events[0]).state
    late = run.answered(value, attempt=value.attempt - 1)
    while value.status is RunStatus.RUNNING:
        recalls = value.awaiting is Awaited.PRIORS
        events.append(run.recalled(value) if recalls else run.answered(value))
        value = transform_state(value, events[-1]).state
    return _scenario(chorus_machine(), run.queued(), events, 1, late)


def _message() -> Scenario:
    """A message from outside that both electors approve, and a vote of a user who is none."""
    events = [message.submit(), message.vote("approve", ALICE), message.vote("approve", BOB)]
    foreign = message.vote("approve", CAROL)
    return _scenario(message_machine(), message.submitted(), events, 2, foreign)


def _connection() -> Scenario:
    """A person signs in, follows a thread, asks and leaves; a check that was not asked for."""
    events = [
        link.connect(),
        link.challenge(),
        link.authenticate(),
        link.checked(),
        link.opened(),
        link.access(),
        link.request(),
        link.leave(),
    ]
    machine = connection_machine()
    return _scenario(machine, link.connecting(), events, 6, link.access(OTHER_THREAD))


def _thread() -> Scenario:
    """Messages, a newcomer, a name and tokens, to the archive; a name by another user."""
    events = [
        thread.add_message(),
        thread.join(CAROL),
        thread.rename(),
        thread.credit(3),
        thread.debit(2),
        thread.leave(BOB),
        thread.archive(),
    ]
    machine, stranger = thread_machine(), thread.rename(CAROL)
    return _scenario(machine, thread.thread(), events, 1, stranger)


def _breaker() -> Scenario:
    """Opened by two failures, probed, closed and dropped; a report that is not the probe's."""
    events = [
        breaker.asked(),
        breaker.failed(breaker.OTHER),
        breaker.failed(breaker.OTHER),
        breaker.asked(),
        breaker.asked(breaker.PROBE_AT),
        breaker.answered(),
        EndpointDropped(),
    ]
    machine, foreign = breaker_machine(), breaker.failed(breaker.OTHER)
    return _scenario(machine, breaker.closed(), events, 5, foreign)


def _scenario(
    machine: Machine[Any, Any, Any, Any],
    begin: Any,
    events: Sequence[Any],
    refused_at: int,
    refused: Any,
) -> Scenario:
    values = [begin]
    for event in events:
        match machine.fire(values[-1], event):
            case Accepted(state=value):
                values.append(value)
            case Refusal() as refusal:
                raise AssertionError(f"a scenario cannot be walked: {refusal}")
    return Scenario(machine, tuple(values), tuple(events), refused_at, refused)


# --- Measuring -----------------------------------------------------------------------------------


def compete(build: Callable[[Scenario], Callable[[], Living]]) -> None:
    """Measure a contestant and tell: microseconds of CPU for each chart, accepted and refused.

    `build` prepares a scenario's chart once, and gives what makes a living machine at the scenario's
    beginning. Only events are measured, never the making of a machine; the collector is off, as in
    `timeit`.
    """
    figures: dict[str, float] = {}
    for name, scenario in scenarios().items():
        make = build(scenario)
        _check(scenario, make)
        figures[f"{name}_accepted"] = _accepted(scenario, make)
        figures[f"{name}_refused"] = _refused(scenario, make)
    tell(**figures)


def _check(scenario: Scenario, make: Callable[[], Living]) -> None:
    living = make()
    for place, event in enumerate(scenario.events):
        if place == scenario.refused_at and living.take(scenario.refused):
            raise AssertionError(f"{scenario.machine.name}: {scenario.refused} was accepted")
        if living.value != scenario.values[place]:
            raise AssertionError(f"{scenario.machine.name}: {living.value} before {event}")
        if not living.take(event):
            raise AssertionError(f"{scenario.machine.name}: {event} was refused")
    if living.value != scenario.values[-1]:
        raise AssertionError(f"{scenario.machine.name}: {living.value} at the end")


def _accepted(scenario: Scenario, make: Callable[[], Living]) -> float:
    """Microseconds for each event of a scenario, many times walked by a new machine."""

    def told(living: Living) -> None:
        for event in scenario.events:
            living.take(event)

    return _microseconds(make, told) / len(scenario.events)


def _refused(scenario: Scenario, make: Callable[[], Living]) -> float:
    """Microseconds for a refusal, many of them by one machine."""
    living = make()
    for event in scenario.events[: scenario.refused_at]:
        living.take(event)

    def repeated(living: Living) -> None:
        for _ in range(REPEATS):
            living.take(scenario.refused)

    return _microseconds(lambda: living, repeated) / REPEATS


def _microseconds(make: Callable[[], Living], work: Callable[[Living], None]) -> float:
    for _ in range(3):
        work(make())
    spent, times = 0.0, 0
    gc.collect()
    gc.disable()
    try:
        while spent < SECONDS:
            living = make()
            before = time.process_time()
            work(living)
            spent += time.process_time() - before
            times += 1
    finally:
        gc.enable()
    return 1e6 * spent / times
