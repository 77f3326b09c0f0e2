"""python-statemachine: Chorus' own chart classes, an instance for each value.

living    used plainly: the instance is built for its value, keeps its states between events, and
          is sent one event after the other; the building is not measured
loaded    one instance for all values, whose states are set before each event and read behind it
"""

import sys
from collections.abc import Callable
from typing import Any

from statemachine.exceptions import TransitionNotAllowed
from statemachine.orderedset import OrderedSet

from benchmarks.scenarios import Desk, Living, Scenario, compete
from machines.statechart import Configuration


class _Plain:
    """An instance that lives as long as its value."""

    def __init__(self, scenario: Scenario) -> None:
        self._desk = Desk(scenario)
        self._chart = _built(scenario, self._desk)
        self._send = self._chart.send
        self._leaves = _leaves(scenario)

    @property
    def value(self) -> Any:
        return self._desk.value

    def take(self, event: Any) -> bool:
        desk = self._desk
        desk.begin(event)
        try:
            self._send(event.event)
        except TransitionNotAllowed:
            return False
        _land(desk, self._leaves)
        return True


class _Loaded:
    """A value, and the instance of all such values."""

    def __init__(self, scenario: Scenario, make: Callable[[Desk], Any], desk: Desk) -> None:
        self._make, self._desk = make, desk
        self._chart = make(desk)
        self._active = {states: place.active for states, place in scenario.machine.table.items()}
        self._states_of = scenario.machine.states_of
        self._leaves = _leaves(scenario)
        self.value = scenario.values[0]

    def take(self, event: Any) -> bool:
        desk = self._desk
        desk.begin(event)
        desk.value = self.value
        if self._chart.is_terminated:
            self._chart = self._make(desk)
        desk.configuration = OrderedSet(self._active[self._states_of(self.value)])
        try:
            self._chart.send(event.event)
        except TransitionNotAllowed:
            return False
        _land(desk, self._leaves)
        self.value = desk.value
        return True


def _land(desk: Desk, leaves: dict[Any, Configuration]) -> None:
    desk.chosen = [action.rule for action in desk.chosen]
    at = desk.configuration
    desk.land(leaves[at if isinstance(at, str) else frozenset(at)])


def _leaves(scenario: Scenario) -> dict[Any, Configuration]:
    """The innermost states, by what the engine keeps of the active ones."""
    table = scenario.machine.table
    several: dict[Any, Configuration] = {place.active: at for at, place in table.items()}
    return several | {at[0]: at for at in table if len(at) == 1}


def _built(scenario: Scenario, desk: Desk) -> Any:
    return scenario.machine.chart(desk, state_field="configuration")  # type: ignore[arg-type]


def living(scenario: Scenario) -> Callable[[], Living]:
    return lambda: _Plain(scenario)


def loaded(scenario: Scenario) -> Callable[[], Living]:
    desk = Desk(scenario)
    return lambda: _Loaded(scenario, lambda desk: _built(scenario, desk), desk)


WAYS = {"living": living, "loaded": loaded}

if __name__ == "__main__":
    compete(WAYS[sys.argv[1]])
