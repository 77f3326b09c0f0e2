"""python-statemachine: the house's own chart classes, an instance for each value.

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


class _Plain:
    """An instance that lives as long as its value."""

    def __init__(self, story: Story) -> None:
        self._desk = Desk(story.values[0])
        self._chart = _built(story, self._desk)
        self._send = self._chart.send
        self._stamp = story.machine.settle

    @property
    def value(self) -> Any:
        return self._desk.state

    def take(self, event: Any) -> bool:
        desk = self._desk
        desk.begin(event)
        try:
            self._send(event.event)
        except TransitionNotAllowed:
            return False
        desk.state = self._stamp(desk.state, event)
        return True


class _Loaded:
    """A value, and the instance of all such values."""

    def __init__(self, story: Story, chart: Any, desk: Desk) -> None:
        self._chart, self._desk = chart, desk
        self._stamp = story.machine.settle
        self._active = story.machine.configuration_of
        self.value = story.values[0]

    def take(self, event: Any) -> bool:
        desk = self._desk
        desk.begin(event)
        desk.state = self.value
        desk.configuration = OrderedSet(self._active(self.value))
        try:
            self._chart.send(event.event)
        except TransitionNotAllowed:
            return False
        self.value = self._stamp(desk.state, event)
        return True


def _built(story: Story, desk: Desk) -> Any:
    return story.machine.chart(desk, state_field="configuration")  # type: ignore[arg-type]


def living(story: Story) -> Callable[[], Living]:
    return lambda: _Plain(story)


def loaded(story: Story) -> Callable[[], Living]:
    desk = Desk(story.values[0])
    chart = _built(story, desk)
    return lambda: _Loaded(story, chart, desk)


WAYS = {"living": living, "loaded": loaded}

if __name__ == "__main__":
    compete(WAYS[sys.argv[1]])
