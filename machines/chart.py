"""What every chart has in common: strictness, and the slot through which it sees one value.

A chart is a class with states, events and guards; there is one bound instance of it
(`machines.runtime`), loaded with a frozen state for one event. Its callbacks do no IO: they change
the slot's value and append frozen effects. Guards and callbacks take no arguments; they read
`self.model.state` and `self.model.event`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from statemachine import StateChart
from statemachine.orderedset import OrderedSet
from statemachine.transition import Transition

S = TypeVar("S")
"""A frozen state."""
E = TypeVar("E")
"""The union of a chart's events."""
R = TypeVar("R")
"""What a chart answers."""
F = TypeVar("F")
"""The effects that a chart emits."""


class EdgeKind(StrEnum):
    """Why an edge exists; each has its own style on the drawing."""

    NORMAL = "normal"
    FAILURE = "failure"
    RETRY = "retry"
    CANCEL = "cancel"


class Slot(Generic[S, E, R, F]):
    """The model that a bound chart works on: one value, for the length of one event."""

    def __init__(self) -> None:
        self.configuration: OrderedSet[str] | None = None
        """Names of all active states; the engine reads and writes this."""
        self.taken: list[Transition] = []
        self.responses: list[R] = []
        self.effects: list[F] = []
        self._state: S | None = None
        self._event: E | None = None

    def load(self, state: S, event: E, configuration: OrderedSet[str]) -> None:
        """Make ready for one event."""
        self.configuration = configuration
        self._state, self._event = state, event
        self.taken, self.responses, self.effects = [], [], []

    @property
    def state(self) -> S:
        """The value as the callbacks left it so far."""
        assert self._state is not None, "a slot is loaded before it is read"  # noqa: S101
        return self._state

    @state.setter
    def state(self, value: S) -> None:
        self._state = value

    @property
    def event(self) -> Any:
        """The event that is being taken; guards narrow it by the edge that they stand on."""
        return self._event


class Chart(StateChart[Slot[Any, Any, Any, Any]]):
    """Base of the charts: strict where python-statemachine's `StateChart` is lenient."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    machine: ClassVar[str] = ""
    """The machine's name on the wire and in its drawing's file name."""
    edge_kinds: ClassVar[Mapping[str, EdgeKind]] = {}
    """Events whose edges are no ordinary ones."""

    def before_transition(self, transition: Transition) -> None:
        """Note which edges are taken. The engine calls this once for each."""
        self.model.taken.append(transition)
