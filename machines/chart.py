"""What every chart has in common: strictness, and the slot through which it sees one value.

A chart is a class with states, events and guards. It is declared for python-statemachine, whose
engine is the definition of what it means, and run from the table that `machines.table` compiles of
it. Its callbacks do no IO: they change the slot's value and append frozen effects. Guards and
callbacks take no arguments; they read `self.model.state` and `self.model.event`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, Self, TypeVar

from statemachine import StateChart

S = TypeVar("S")
"""A frozen state."""
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


@dataclass(slots=True)
class Slot(Generic[S, R, F]):
    """The model that a chart works on: one value, for the length of one event."""

    state: S
    """The value as the callbacks left it so far."""
    event: Any
    """The event that is being taken; guards narrow it by the edge that they stand on."""
    responses: list[R] = field(default_factory=list)
    effects: list[F] = field(default_factory=list)


class Chart(StateChart[Slot[Any, Any, Any]]):
    """Base of the charts: strict where python-statemachine's `StateChart` is lenient."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    machine: ClassVar[str] = ""
    """The machine's name on the wire and in its drawing's file name."""
    edge_kinds: ClassVar[Mapping[str, EdgeKind]] = {}
    """Events whose edges are no ordinary ones."""

    @classmethod
    def bind(cls, slot: Slot[Any, Any, Any]) -> Self:
        """The chart's guards and callbacks on a slot, for one event.

        The constructor is left out on purpose: it builds an engine, which takes as long as several
        events and would stand in a state that means nothing. What a callback asks of an engine
        (`send`, `configuration`) is an AttributeError here.
        """
        chart = cls.__new__(cls)
        # An assignment would ask whether `model` is one of the chart's states, at each event again.
        vars(chart)["model"] = slot
        return chart
