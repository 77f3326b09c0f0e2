"""The compiled table: the engine in every reachable state, and loud where it cannot be.

Random values, events and charts are in `tests.properties.test_table`; what the house's own charts may
declare, and that the compiler keeps them to it, in `test_declarations`.
"""

import re
from collections.abc import Callable
from types import new_class
from typing import Any, Final, cast

import pytest
from statemachine import Event, HistoryState, State
from statemachine.transition import Transition

from machines.chart import Chart, Slot
from machines.declarations import UnsupportedDeclaration
from machines.runtime import Accepted, Machine
from machines.table import Configuration, compile_table
from tests.conftest import Tally
from tests.transitions.engine import Compared
from tests.transitions.oracle import configurations
from tests.transitions.spaces import SPACES, searched

every_space = pytest.mark.parametrize("name", SPACES)


@every_space
def test_every_event_in_every_reachable_state_comes_to_the_same_as_in_the_engine(
    name: str, tally: Tally
) -> None:
    space = SPACES[name]()
    compared, fired, accepted = Compared(space.machine), 0, 0
    for state in searched(name).values.values():
        for event in space.events_at(state):
            accepted += isinstance(compared.fire(state, event), Accepted)
            fired += 1
    assert accepted
    tally(f"{name}: {fired} events, {accepted} of them accepted; table and engine agree")


@every_space
def test_a_defect_in_any_guard_or_callback_comes_out_as_it_does_of_the_engine(name: str) -> None:
    space = SPACES[name]()
    compared = Compared(space.machine)
    tried: set[tuple[str, str, str]] = set()
    for state in searched(name).values.values():
        for event in space.events_at(state):
            compared.ear.faulty = None
            compared.fire(state, event)
            for method in dict.fromkeys(compared.ear.calls):
                configuration = " ".join(space.machine.configuration_of(state))
                if (configuration, event.event, method) not in tried:
                    tried.add((configuration, event.event, method))
                    compared.ear.faulty = method
                    assert compared.fire(state, event) == f"RuntimeError: a defect in {method}"
    assert tried


@every_space
def test_a_table_has_every_configuration_that_the_nesting_allows_and_leads_to_no_other(
    name: str,
) -> None:
    machine = SPACES[name]().machine
    table = compile_table(machine.chart)
    assert {frozenset(each) for each in table} == configurations(machine.topology)
    reached = {
        step.reached
        for place in table.values()
        for row in place.rows.values()
        for step in row.steps.values()
    }
    assert reached <= set(table)


class Twins(Chart):
    """Twins: two regions that hear the same event"""

    machine = "twins"

    class house(State.Compound):  # noqa: N801 - a state, as in the charts of the house
        class both(State.Parallel):  # noqa: N801
            class left(State.Compound):  # noqa: N801
                up = State(initial=True)
                down = State()

                rest = up.to(down, cond="is_dark", on="yawn")
                rise = down.to(up)

            class right(State.Compound):  # noqa: N801
                awake = State(initial=True)
                asleep = State()

                rest = awake.to(asleep, on="snore")

        gone = State(final=True)

        rest = both.to(gone, on="leave")

    def is_dark(self) -> bool:
        return bool(self.model.state)

    def yawn(self) -> None:
        self.model.responses.append("yawn")

    def snore(self) -> None:
        self.model.responses.append("snore")

    def leave(self) -> None:
        self.model.responses.append("leave")


AWAKE = ("house", "both", "left", "up", "right", "awake")
ASLEEP = ("house", "both", "left", "down", "right", "asleep")


@pytest.mark.parametrize(
    ("configuration", "dark", "said", "reached"),
    [
        pytest.param(AWAKE, True, ["yawn", "snore"], ASLEEP, id="both regions move together"),
        pytest.param(
            AWAKE,
            False,
            ["snore"],
            ("house", "both", "left", "up", "right", "asleep"),
            id="an edge within a region is taken before one around it",
        ),
        pytest.param(ASLEEP, True, ["leave"], ("house", "gone"), id="one edge leaves both regions"),
    ],
)
def test_regions_that_declare_the_same_event(
    configuration: Configuration, dark: bool, said: list[str], reached: Configuration
) -> None:
    slot: Slot[bool, str, Any] = Slot(dark, None)
    bound = Twins.bind(slot)
    step = compile_table(Twins)[configuration].rows["rest"].step(bound)
    assert step is not None
    for action in step.actions:
        action(bound)
    assert (slot.responses, step.reached) == (said, reached)


def test_a_configuration_that_the_chart_does_not_have_is_a_defect() -> None:
    machine: Machine[Any, Any, Any, Any] = Machine(
        Twins, instance_of=str, configuration_of=lambda _: ("house", "nowhere")
    )
    with pytest.raises(AssertionError, match="nowhere"):
        machine.fire(True, object())


def test_a_callback_finds_no_engine_that_it_could_ask() -> None:
    bound = Twins.bind(Slot(True, None))
    with pytest.raises(AttributeError):
        bound.send("rest")
    with pytest.raises(AttributeError):
        _ = bound.configuration


# --- What is refused -----------------------------------------------------------------------------


class Door(Chart):
    """What the doors below have in common: methods that their edges may mention."""

    machine = "door"

    def is_locked(self) -> bool:
        return bool(self.model.state)

    def ring(self) -> None:
        self.model.responses.append("ring")

    def ring_often(self, times: int = 2) -> None:
        self.model.responses.extend(["ring"] * times)

    async def ring_later(self) -> None:
        self.ring()

    def effects(self) -> None:
        self.ring()


def door(state: State | None = None, **edge: Any) -> type[Chart]:
    """A door with one edge, declared with the arguments of `edge`."""

    class Made(Door):
        class house(State.Compound):  # noqa: N801
            shut = state or State(initial=True)
            opened = State(final=True)

            push = shut.to(opened, **edge)

    return Made


def door_with(**attributes: Any) -> type[Chart]:
    """A door that has these attributes or methods too."""
    made = new_class("With", (door(),), {}, lambda body: body.update(attributes))
    return cast("type[Chart]", made)


def door_that_opens_by_itself() -> type[Chart]:
    class Eventless(Door):
        class house(State.Compound):  # noqa: N801
            shut = State(initial=True)
            opened = State(final=True)

            push = shut.to(opened)
            shut.to(opened, cond="is_locked")

    return Eventless


def door_that_opens_later() -> type[Chart]:
    class Delayed(Door):
        class house(State.Compound):  # noqa: N801
            shut = State(initial=True)
            opened = State(final=True)

            push = Event(shut.to(opened), delay=10)

    return Delayed


def door_without_target() -> type[Chart]:
    class Targetless(Door):
        class house(State.Compound):  # noqa: N801
            shut = State(initial=True)
            opened = State(final=True)

            push = shut.to(opened)
            shut.transitions.add_transitions(Transition(shut, event="knock"))

    return Targetless


def door_that_stays_shut() -> type[Chart]:
    class Internal(Door):
        class house(State.Compound):  # noqa: N801
            shut = State(initial=True)
            opened = State(final=True)

            push = shut.to(opened)
            knock = shut.to(shut, internal=True)

    return Internal


def door_that_remembers() -> type[Chart]:
    class Remembering(Door):
        class house(State.Compound):  # noqa: N801
            shut = State(initial=True)
            opened = State(final=True)
            before = HistoryState()

            push = shut.to(opened)

    return Remembering


def door_that_rings_at_first() -> type[Chart]:
    class Entering(Door):
        class house(State.Compound):  # noqa: N801
            class hall(State.Compound):  # noqa: N801
                shut = State(initial=True)

            opened = State(final=True)

            hall.to(hall.shut, initial=True, on="ring")
            push = hall.to(opened)

    return Entering


def door_without_house() -> type[Chart]:
    class Bare(Door):
        shut = State(initial=True)
        opened = State(final=True)

        push = shut.to(opened)

    return Bare


def doors_of_one_name() -> type[Chart]:
    class Named(Door):
        class house(State.Compound):  # noqa: N801
            class shut(State.Compound):  # noqa: N801
                opened = State(initial=True)

            opened = State(final=True)

            push = shut.to(opened)

    return Named


def method(self: Door) -> None:
    self.ring()


REFUSED: Final[dict[str, tuple[Callable[[], type[Chart]], str]]] = {
    "a boolean expression": (
        lambda: door(cond="is_locked and is_locked"),
        "is no name of a method",
    ),
    "a negated name": (lambda: door(cond="!is_locked"), "is no name of a method"),
    "a function": (lambda: door(on=lambda: None), "is no name of a method"),
    "a method that is missing": (lambda: door(on="knock"), "knock is no method of it"),
    "an event as a callback": (lambda: door(on="push"), "push is no method of it"),
    "a method with arguments": (lambda: door(on="ring_often"), "ring_often is not a plain method"),
    "a coroutine": (lambda: door(on="ring_later"), "ring_later is not a plain method"),
    "a name of the slot": (lambda: door(on="effects"), "effects is also found on the slot"),
    "a validator": (lambda: door(validators="ring"), "has a validator; use a guard"),
    "a before callback": (lambda: door(before="ring"), "has a `before` callback"),
    "an after callback": (lambda: door(after="ring"), "has an `after` callback"),
    "an event with dots": (lambda: door(event="push.hard"), "the event push.hard would match"),
    "an event for all": (lambda: door(event="*"), "the event * would match others"),
    "an event called done": (lambda: door(event="done"), "the event done would match others"),
    "an enter callback": (
        lambda: door(State(initial=True, enter="ring")),
        "shut has an enter callback",
    ),
    "an exit callback": (
        lambda: door(State(initial=True, exit="ring")),
        "shut has an exit callback",
    ),
    "something invoked": (lambda: door(State(initial=True, invoke="ring")), "shut invokes"),
    "a value": (lambda: door(State(initial=True, value=7)), "shut has a value of its own"),
    "an edge without event": (door_that_opens_by_itself, "takes place without an event"),
    "a delay": (door_that_opens_later, "push is delayed"),
    "an edge without target": (door_without_target, "has 0 targets"),
    "an internal edge": (door_that_stays_shut, "is internal"),
    "history": (door_that_remembers, "house has history"),
    "callbacks for an initial state": (
        door_that_rings_at_first,
        "hall has callbacks for its initial state",
    ),
    "states without one around them": (door_without_house, "one compound state around all others"),
    "two states of one name": (doors_of_one_name, "several states are called opened"),
    "leniency": (
        lambda: door_with(catch_errors_as_events=True),
        "catch_errors_as_events is not False",
    ),
    "listeners": (lambda: door_with(listeners=[Door]), "it has listeners"),
    "a hook of all events": (
        lambda: door_with(prepare_event=method),
        "prepare_event would be called",
    ),
    "a hook of an edge": (lambda: door_with(before_push=method), "before_push would be called"),
    "a hook of all edges": (
        lambda: door_with(after_transition=method),
        "after_transition would be called",
    ),
    "a hook of a state": (
        lambda: door_with(on_enter_opened=method),
        "on_enter_opened would be called",
    ),
}


@pytest.mark.parametrize(("declared", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_a_table_cannot_say_is_refused_with_a_sentence(
    declared: Callable[[], type[Chart]], sentence: str
) -> None:
    with pytest.raises(UnsupportedDeclaration, match=re.escape(sentence)):
        compile_table(declared())


def test_a_plain_door_is_compiled() -> None:
    assert set(compile_table(door(cond="is_locked", on="ring"))) == {
        ("house", "shut"),
        ("house", "opened"),
    }
