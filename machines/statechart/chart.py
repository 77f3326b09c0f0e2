"""How a machine is declared: a chart class of python-statemachine, with typed guards and actions.

States and edges are python-statemachine's own. What stands on an edge is given to `Edges`, which ties
it to the class of the event: a guard is a pure function `(value, event) -> bool`, an action a pure
function `(value, event)` that gives the next value, or a `Reaction` where it also answers or emits
effects. The value is frozen. The runtime places it in the states that the edge reaches before the
first action sees it, so an action adds only what those states carry.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from statemachine import StateChart
from statemachine.callbacks import CallbackPriority
from statemachine.transition_list import TransitionList

V = TypeVar("V")
"""A frozen value that a machine is about."""
E = TypeVar("E")
"""An event."""
R = TypeVar("R")
"""What a machine answers."""
F = TypeVar("F")
"""The effects that a machine emits."""

GuardRule = Callable[[Any, Any], bool]
"""A guard once it stands on an edge: `Edges` has checked its types."""
ActionRule = Callable[[Any, Any], Any]
"""An action, likewise."""


class EdgeKind(StrEnum):
    """Why an edge exists; each has its own style on the drawing."""

    NORMAL = "normal"
    FAILURE = "failure"
    RETRY = "retry"
    CANCEL = "cancel"


class Reaction(NamedTuple, Generic[V, R, F]):
    """What an action makes of a value and an event."""

    state: V
    response: tuple[R, ...] = ()
    effects: tuple[F, ...] = ()


@dataclass(slots=True)
class Slot:
    """The model of a chart that python-statemachine's engine runs: one value and one event."""

    value: Any
    event: Any
    configuration: Any = None
    """Where the engine keeps the active states."""
    chosen: "list[ActionCallback]" = field(default_factory=list)
    """Actions in the order in which the engine calls them."""


class Callback(ABC):
    """A guard or an action of an edge, in the form in which python-statemachine's engine calls it."""

    def __init__(self, rule: Callable[[Any, Any], Any], event: type) -> None:
        self.rule = rule
        self.event = event
        """The class of the event that its edge was declared for."""
        self.__name__ = rule.__name__
        # The engine keeps signatures by these two, as plain functions have them.
        self.__qualname__ = type(self).__qualname__
        self.__code__ = type(self).__call__.__code__

    @abstractmethod
    def __call__(self, model: Slot) -> object:
        """What the engine calls, with the one argument that it finds by its name."""


class GuardCallback(Callback):
    """Asks its rule about the value and the event of the slot."""

    def __call__(self, model: Slot) -> bool:
        return bool(self.rule(model.value, model.event))


class ActionCallback(Callback):
    """Says only that it is due: an engine chooses, and `Machine.react` performs."""

    def __call__(self, model: Slot) -> None:
        model.chosen.append(self)


class Edges(Generic[V, R, F]):
    """Puts guards and actions on edges: one for each chart, of the types that it works with.

        on = Edges[Door, str, Ring]()

        class DoorChart(Chart[Door]):
            closed = State(initial=True)
            opened = State()
            push = on(Pushed, closed.to(opened), when=[is_unlocked], do=[count, ring])

    A guard or an action that takes another value or another event is a type error.
    """

    def __call__(
        self,
        event: type[E],
        edges: TransitionList,
        *,
        when: Sequence[Callable[[V, E], bool]] = (),
        unless: Sequence[Callable[[V, E], bool]] = (),
        do: Sequence[Callable[[V, E], V | Reaction[V, R, F]]] = (),
    ) -> TransitionList:
        """Edges that `event` takes when all of `when` hold and none of `unless`, and what it does.

        Of several edges for one event the innermost state's come first, then the order of
        declaration decides. `do` is performed in its order.
        """
        inline = CallbackPriority.INLINE
        for edge in edges:
            for rules, expected in ((when, True), (unless, False)):
                guards = [GuardCallback(rule, event) for rule in rules]
                edge.cond.add(guards, priority=inline, expected_value=expected)
            edge.on.add([ActionCallback(rule, event) for rule in do], priority=inline)
        return edges


class Chart(StateChart[Slot], Generic[V]):
    """Base of the charts, of the value that they are about: `Chart[Door]`.

    Strict where python-statemachine's `StateChart` is lenient.
    """

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    machine: ClassVar[str] = ""
    """The machine's name: in refusals, in the ids of its drawing and as its file name."""
    edge_kinds: ClassVar[Mapping[str, EdgeKind]] = {}
    """Events whose edges are no ordinary ones."""


AnyChart = type[Chart[Any]]
"""A chart class that is handled without looking at its value."""
