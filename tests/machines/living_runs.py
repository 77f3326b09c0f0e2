"""Runs that live while their chart changes: random changes of the chart, and what becomes of each run.

    python -m tests.machines.living_runs             # 50 changes, a run in every reachable state
    python -m tests.machines.living_runs 7 200       # another seed, and how many

A run is continued, migrated or ended; then the changed chart leads it to an end, with answers that are
good and bad at random.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, Final

import pytest

from machines.chorus import chorus_machine
from machines.decisions.succession import take_over
from machines.declarations import declaration_of
from machines.loop.runs import place as place_today
from machines.loop.runs import states_of
from machines.migrations import Migration, Succession
from machines.models.chorus import (
    Awaited,
    ChartOutcome,
    ChorusEvent,
    ChorusState,
    Health,
    LoopMode,
    RunStatus,
)
from machines.models.effects import AICall, RecallPriors, ScheduleTimer
from machines.models.errors import ErrorCode, StateError
from machines.models.outputs import StepEnum
from machines.statechart import Accepted, Configuration, Edge, Machine, Node, NodeKind, Topology
from machines.statechart.compiler import table_of
from machines.statechart.coverage import explore
from tests.machines.transitions import chorus_scenarios as events
from tests.machines.transitions.spaces import SPACES
from tests.machines.transitions.values import NOW

SEED: Final = 2026
HOW_MANY: Final = 50
MOST_EVENTS: Final = 400
"""Every bound of a run together is far below it."""

EXTRA: Final = "reflection"
"""The name of a state that is added, and the new one of a state that is renamed."""


@dataclass(frozen=True)
class Change:
    """The chorus chart as it may be tomorrow."""

    says: str
    shape: Topology
    renamed: tuple[str, str] = ("", "")
    """(today's name, tomorrow's) of a state."""
    migrations: tuple[Migration, ...] = ()
    touches: frozenset[str] = frozenset()
    """Events whose edges are others."""


class ChangedMachine(Machine[Any, Any, Any, Any]):
    """The chorus machine of tomorrow: today's code under the changed chart."""

    def __init__(self, change: Change) -> None:
        original = chorus_machine()
        was, now = change.renamed

        def stands(run: ChorusState) -> Configuration:
            if run.current_step == EXTRA and run.status is RunStatus.RUNNING:
                return (EXTRA, run.health.value)
            return tuple(now if name == was else name for name in states_of(run))

        def place(run: ChorusState, event: ChorusEvent, states: Configuration) -> ChorusState:
            if EXTRA in states and not was:
                health = Health(states[1])
                running = {"status": RunStatus.RUNNING, "health": health, "current_step": EXTRA}
                return run.transition_to(event.at, **running)
            known = tuple(was if name == now else name for name in states)
            return place_today(run, event, known)

        super().__init__(original.chart, states_of=stands, place=place)
        self.topology = change.shape
        self.table = table_of(change.shape)
        self.fingerprint = change.shape.fingerprint


@contextmanager
def served_by(change: Change) -> Iterator[None]:
    """Let the chorus machine of this process be that of tomorrow."""
    machine, changed = chorus_machine(), ChangedMachine(change)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("topology", "table", "fingerprint", "states_of", "place"):
            patch.setattr(machine, name, getattr(changed, name))
        yield


# --- Changes -------------------------------------------------------------------------------------


def changes(seed: int = SEED, how_many: int = HOW_MANY) -> list[Change]:
    """Random changes, of each kind in turn."""
    random = Random(seed)
    kinds = (
        _state_added,
        _state_removed,
        _state_renamed,
        _edge_removed,
        _edge_led_elsewhere,
        _guard_changed,
        _effect_dropped,
        _effect_added,
        _event_renamed,
    )
    return [kinds[place % len(kinds)](random) for place in range(how_many)]


def _steps() -> list[Node]:
    return [node for node in _shape().nodes if node.parent == "step"]


def _shape() -> Topology:
    return chorus_machine().topology


def _with(edge: Edge, changed: Edge | None) -> Topology:
    edges = tuple(
        changed if each is edge else each
        for each in _shape().edges
        if each is not edge or changed is not None
    )
    return replace(_shape(), edges=tuple(each for each in edges if each is not None))


def _changed(says: str, edge: Edge, changed: Edge | None) -> Change:
    return Change(f"{edge.id} {says}", _with(edge, changed), touches=frozenset({edge.event}))


def _state_added(random: Random) -> Change:
    """A step between two others, whose code the test's world does not have."""
    shape = _shape()
    before = random.choice([each for each in shape.edges if each.event == "step_completed"])
    node = Node(f"state_chorus_{EXTRA}", EXTRA, "step", NodeKind.ATOMIC, False, False)
    into = replace(before, id=f"{before.id}_in", target=EXTRA)
    onward = replace(before, id=f"{before.id}_on", source=EXTRA)
    edges = tuple(each for each in shape.edges if each is not before)
    changed = replace(shape, nodes=(*shape.nodes, node), edges=(*edges, into, onward))
    return Change(f"{EXTRA} is added on the way of {before.id}", changed)


def _state_removed(random: Random) -> Change:
    return state_removed(random.choice([*(node.name for node in _steps()), "queued", "recovering"]))


def state_removed(name: str) -> Change:
    """With all edges that lead there, or away."""
    shape = _shape()
    removed = shape.node(name)
    beside = next(each for each in shape.within(removed.parent) if each is not removed)
    nodes = tuple(
        replace(node, initial=node.initial or (node is beside and removed.initial))
        for node in shape.nodes
        if node is not removed
    )
    edges = tuple(edge for edge in shape.edges if name not in (edge.source, edge.target))
    return Change(f"{name} is removed", replace(shape, nodes=nodes, edges=edges))


def _state_renamed(random: Random) -> Change:
    return state_renamed(random.choice(_steps()).name, declared=random.random() < 0.5)


def state_renamed(name: str, *, declared: bool) -> Change:
    """With a declared migration, or without."""
    shape = _shape()

    def now(each: str) -> str:
        return EXTRA if each == name else each

    nodes = tuple(replace(node, name=now(node.name)) for node in shape.nodes)
    edges = tuple(
        replace(edge, source=now(edge.source), target=now(edge.target)) for edge in shape.edges
    )
    migration = Migration(shape.fingerprint, {name: EXTRA})
    return Change(
        f"{name} is renamed, {'with a' if declared else 'without'} migration",
        replace(shape, nodes=nodes, edges=edges),
        (name, EXTRA),
        (migration,) if declared else (),
    )


def _edge_removed(random: Random) -> Change:
    return edge_removed(random.choice(_shape().edges).id)


def edge_removed(id_: str) -> Change:
    edge = next(each for each in _shape().edges if each.id == id_)
    return _changed("is removed", edge, None)


def _edge_led_elsewhere(random: Random) -> Change:
    edge = random.choice([each for each in _shape().edges if each.target != "running"])
    parent = _shape().node(edge.target).parent
    beside = [each.name for each in _shape().within(parent) if each.kind is NodeKind.ATOMIC]
    target = random.choice([each for each in beside if each != edge.target])
    return _changed(f"leads to {target}", edge, replace(edge, target=target))


def _guard_changed(random: Random) -> Change:
    edge = random.choice([each for each in _shape().edges if each.guards])
    guard = random.choice(edge.guards)
    rest = tuple(each for each in edge.guards if each is not guard)
    if random.random() < 0.5:
        return _changed(f"drops {guard.label}", edge, replace(edge, guards=rest))
    turned = replace(guard, expected=not guard.expected)
    return _changed(f"negates {guard.label}", edge, replace(edge, guards=(*rest, turned)))


def _effect_dropped(random: Random) -> Change:
    edge = random.choice([each for each in _shape().edges if each.actions])
    place = random.randrange(len(edge.actions))
    return _changed(f"drops {edge.actions[place]}", edge, _without_action(edge, place))


def _without_action(edge: Edge, place: int) -> Edge:
    return replace(
        edge,
        actions=edge.actions[:place] + edge.actions[place + 1 :],
        rules=edge.rules[:place] + edge.rules[place + 1 :],
    )


def _effect_added(random: Random) -> Change:
    """An action of another edge of the same event."""
    edge = random.choice([each for each in _shape().edges if each.actions])
    donors = [each for each in _shape().edges if each.event == edge.event and each.actions]
    donor = random.choice(donors)
    place = random.randrange(len(donor.actions))
    added = replace(
        edge,
        actions=(*edge.actions, donor.actions[place]),
        rules=(*edge.rules, donor.rules[place]),
    )
    return _changed(f"adds {donor.actions[place]}", edge, added)


def _event_renamed(random: Random) -> Change:
    shape = _shape()
    name = random.choice(shape.events)
    edges = tuple(
        replace(edge, event=f"{name}_now") if edge.event == name else edge for edge in shape.edges
    )
    return Change(f"{name} is renamed", replace(shape, edges=edges), touches=frozenset({name}))


# --- Runs ----------------------------------------------------------------------------------------


@cache
def caught() -> tuple[ChorusState, ...]:
    """A run in every reachable state that is not final."""
    space = SPACES["chorus"]()
    reached = explore(space, engine=False)
    live = reached.live(space.machine)
    return tuple(run for key, run in reached.values.items() if key in live)


@cache
def some_caught() -> tuple[ChorusState, ...]:
    """One for each place of the chart, and for each thing that is awaited there."""
    priors, short = Awaited.PRIORS, LoopMode.SHORT
    return (
        events.queued(),
        *map(events.running, StepEnum),
        *map(events.recovering, StepEnum),
        events.running(StepEnum.EXPERIENCE, awaiting=priors),
        events.running(StepEnum.YIELD, awaiting=priors, loop=short),
        events.running(StepEnum.YIELD, loop=short),
    )


@dataclass(frozen=True)
class Fate:
    """What became of one run under one change."""

    outcome: str
    """`refused` where such a chart is not served; `stuck` where a run did not come to an end."""
    says: str
    events: int = 0
    """That it took to the end."""


@dataclass
class World:
    """Today's runs under one change."""

    change: Change
    seed: int
    machine: ChangedMachine = field(init=False)
    succession: Succession = field(init=False)

    def __post_init__(self) -> None:
        self.machine = ChangedMachine(self.change)
        old, new = declaration_of(_shape()), declaration_of(self.change.shape)
        self.succession = Succession(old, new, self.change.migrations)

    def fate_of(self, run: ChorusState) -> Fate:
        outcome = self.succession.outcome(states_of(run))
        at = NOW + timedelta(days=1)
        declared = _shape().fingerprint
        try:
            command = take_over(self.machine, run, outcome, declared=declared, at=at)
        except StateError as error:
            return Fate("refused", error.message)
        if command is None:
            return self._driven("waits", "", run, events.started())
        event = command.event
        assert event.message
        assert event.stands == self.machine.states_of(command.run)
        if event.outcome is not ChartOutcome.ENDED:
            return self._driven(event.outcome.value, event.message, command.run, event)
        ended = self.machine.fire(command.run, event)
        assert isinstance(ended, Accepted)
        assert ended.state.status is RunStatus.FAILED
        assert ended.state.error_state.code is ErrorCode.CHART_CHANGED
        assert ended.state.error_state.message == event.message
        return Fate("ended", event.message)

    def _driven(self, outcome: str, says: str, run: ChorusState, event: ChorusEvent) -> Fate:
        """Lead a run to its end, as the shell does."""
        random = Random(f"{self.seed} {self.change.says} {run.id} {states_of(run)}")
        for count in range(1, MOST_EVENTS):
            fired = self.machine.fire(run, event)
            if not isinstance(fired, Accepted):
                return Fate("stuck", f"{outcome}, then {event.event} is refused: {fired}", count)
            run = fired.state
            if run.status.final:
                return Fate(outcome, says, count)
            asked = [
                each
                for each in fired.effects
                if isinstance(each, AICall | RecallPriors | ScheduleTimer)
            ]
            if not asked:
                return Fate("stuck", f"{outcome}, then nothing is under way", count)
            event = random.choice(list(_answers(run, asked[0])))
        return Fate("stuck", f"{outcome}, and goes round", MOST_EVENTS)


def _answers(run: ChorusState, asked: AICall | RecallPriors | ScheduleTimer) -> Iterator[Any]:
    if isinstance(asked, ScheduleTimer):
        yield events.retry_due(run)
        return
    if isinstance(asked, RecallPriors):
        yield events.recalled(run)
    else:
        yield events.answered(run)
        yield events.answered(run, loop=True)
        yield events.answered(run, enough=run.current_step is StepEnum.ACTION)
        yield events.ai_failed(run)
        if not run.has_waited:
            yield events.delayed(run)
    yield events.network_failed(run)
    yield events.state_lost(run)
    yield events.carrier_lost(run)


def fates(
    seed: int, how_many: int, runs: Callable[[], Sequence[ChorusState]]
) -> Iterator[tuple[Change, ChorusState, Fate]]:
    """What becomes of each run under each change."""
    for change in changes(seed, how_many):
        world = World(change, seed)
        for run in runs():
            yield change, run, world.fate_of(run)


def problem_of(change: Change, run: ChorusState, fate: Fate) -> str | None:
    """A sentence where a run is stuck, or refused although only other edges changed."""
    broken = fate.outcome == "stuck" or (
        fate.outcome == "refused" and "chart_changed" not in change.touches
    )
    where = " ".join(states_of(run))
    return f"{change.says}: a run in {where} is {fate.outcome}: {fate.says}" if broken else None


def main(arguments: list[str]) -> int:
    """Print what becomes of runs in every reachable state; gives 1 where one is stuck."""
    seed, how_many = (*map(int, arguments), *(SEED, HOW_MANY)[len(arguments) :])
    counted: Counter[str] = Counter()
    failed = 0
    for change, run, fate in fates(seed, how_many, caught):
        counted[fate.outcome] += 1
        if problem := problem_of(change, run, fate):
            failed += 1
            print(problem, flush=True)
    total = sum(counted.values())
    print(
        f"{how_many} changes, {len(caught())} runs each, {total} in all, seed {seed}: {dict(counted)}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
