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

from benchmarks.stories import Desk, Living, Story, compete
from machines.statechart import Configuration


class _Plain:
    """An instance that lives as long as its value."""

    def __init__(self, story: Story) -> None:
        self._desk = Desk(story)
        self._chart = _built(story, self._desk)
        self._send = self._chart.send
        self._leaves = _leaves(story)

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

    def __init__(self, story: Story, make: Callable[[Desk], Any], desk: Desk) -> None:
        self._make, self._desk = make, desk
        self._chart = make(desk)
        self._active = {states: place.active for states, place in story.machine.table.items()}
        self._states_of = story.machine.states_of
        self._leaves = _leaves(story)
        self.value = story.values[0]

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


def _leaves(story: Story) -> dict[Any, Configuration]:
    """The innermost states, by what the engine keeps of the active ones."""
    table = story.machine.table
    several: dict[Any, Configuration] = {place.active: at for at, place in table.items()}
    return several | {at[0]: at for at in table if len(at) == 1}


def _built(story: Story, desk: Desk) -> Any:
    return story.machine.chart(desk, state_field="configuration")  # type: ignore[arg-type]


def living(story: Story) -> Callable[[], Living]:
    return lambda: _Plain(story)


def loaded(story: Story) -> Callable[[], Living]:
    desk = Desk(story)
    return lambda: _Loaded(story, lambda desk: _built(story, desk), desk)


WAYS = {"living": living, "loaded": loaded}

if __name__ == "__main__":
    compete(WAYS[sys.argv[1]])
