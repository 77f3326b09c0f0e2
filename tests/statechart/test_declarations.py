"""What a chart may declare: each thing that a table cannot say is refused with a sentence."""

import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from statemachine import Event, HistoryState, State
from statemachine.transition import Transition

from machines.statechart import AnyChart, Chart, UnsupportedDeclaration
from machines.statechart.compiler import compile_table
from tests.statechart.doors import Door, DoorChart, Pushed, Typed, count_try, on, tries_left


class House(Chart[Any]):
    """What the doors below have in common."""

    machine = "door"


def door(state: State | None = None, **edge: Any) -> AnyChart:
    """A door with one edge, declared with python-statemachine's own arguments."""

    class Made(House):
        shut = state or State(initial=True)
        opened = State(final=True)

        push = shut.to(opened, **edge)

    return Made


def door_ruled(**rules: Any) -> AnyChart:
    """A door with one edge, declared with the arguments of `Edges`."""

    class Ruled(House):
        shut = State(initial=True)
        opened = State(final=True)

        push = on(Pushed, shut.to(opened), **rules)

    return Ruled


def door_of_another_event() -> AnyChart:
    class Confused(House):
        shut = State(initial=True)
        opened = State(final=True)

        push = on(Typed, shut.to(opened), do=[count_try])

    return Confused


def door_that_opens_by_itself() -> AnyChart:
    class Eventless(House):
        shut = State(initial=True)
        opened = State(final=True)

        push = shut.to(opened)
        on(Pushed, shut.to(opened), when=[tries_left])

    return Eventless


def door_that_opens_later() -> AnyChart:
    class Delayed(House):
        shut = State(initial=True)
        opened = State(final=True)

        push = Event(shut.to(opened), delay=10)

    return Delayed


def door_without_target() -> AnyChart:
    class Targetless(House):
        shut = State(initial=True)
        opened = State(final=True)

        push = shut.to(opened)
        shut.transitions.add_transitions(Transition(shut, event="knock"))

    return Targetless


def door_that_stays_shut() -> AnyChart:
    class Internal(House):
        shut = State(initial=True)
        opened = State(final=True)

        push = shut.to(opened)
        knock = shut.to(shut, internal=True)

    return Internal


def door_that_remembers() -> AnyChart:
    class Remembering(House):
        class house(State.Compound):  # noqa: N801 - a state, named as it is drawn
            shut = State(initial=True)
            opened = State(final=True)
            before = HistoryState()

            push = shut.to(opened)

    return Remembering


def door_that_rings_at_first() -> AnyChart:
    class Entering(House):
        class hall(State.Compound):  # noqa: N801
            shut = State(initial=True)

        opened = State(final=True)

        hall.to(hall.shut, initial=True, on=ring)
        push = opened.from_(hall)

    return Entering


def doors_of_one_name() -> AnyChart:
    class Named(House):
        class shut(State.Compound):  # noqa: N801
            opened = State(initial=True)

        opened = State(final=True)

        push = opened.from_(shut)

    return Named


def doors_side_by_side() -> AnyChart:
    class Twins(House):
        class both(State.Parallel):  # noqa: N801
            class left(State.Compound):  # noqa: N801
                up = State(initial=True)
                down = State()

                push = up.to(down)
                pull = down.to(up)

            class right(State.Compound):  # noqa: N801
                awake = State(initial=True)
                asleep = State()

                push = awake.to(asleep)

        gone = State(final=True)

        leave = gone.from_(both)

    return Twins


def door_with(name: str, member: object) -> AnyChart:
    """A door that has this attribute too."""
    made = door()
    setattr(made, name, member)
    return made


def door_unnamed() -> AnyChart:
    return door_with("machine", "front door")


def ring(model: object) -> None:
    """A callback that is not given by `Edges`."""


def ring_often(_: Door, __: object, times: int) -> Door:
    return Door(tries=times)


async def ring_later(door: Door, _: object) -> Door:
    return door


REFUSED: Final[dict[str, tuple[Callable[[], AnyChart], str]]] = {
    "a guard by its name": (lambda: door(cond="is_locked"), "is not given by `Edges`"),
    "a bare function": (lambda: door(on=ring), "is not given by `Edges`"),
    "a rule with more arguments": (
        lambda: door_ruled(do=[ring_often]),
        "ring_often is not a plain function of a value and an event",
    ),
    "a coroutine": (lambda: door_ruled(do=[ring_later]), "ring_later is not a plain function"),
    "a nameless rule": (lambda: door_ruled(when=[lambda _, __: True]), "<lambda> is no name"),
    "another event's rule": (
        door_of_another_event,
        "count_try on push takes a Typed, which is another event",
    ),
    "a validator": (lambda: door(validators=ring), "has validators, which are not drawn"),
    "a before callback": (lambda: door(before=ring), "has before, which are not drawn"),
    "an after callback": (lambda: door(after=ring), "has after, which are not drawn"),
    "an event with dots": (lambda: door(event="push.hard"), "the event push.hard would match"),
    "an event for all": (lambda: door(event="*"), "the event * would match others"),
    "an event called done": (lambda: door(event="done"), "the event done would match others"),
    "an enter callback": (
        lambda: door(State(initial=True, enter=ring)),
        "shut has enter callbacks",
    ),
    "an exit callback": (lambda: door(State(initial=True, exit=ring)), "shut has exit callbacks"),
    "something invoked": (
        lambda: door(State(initial=True, invoke=ring)),
        "shut has invoke callbacks",
    ),
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
    "two states of one name": (doors_of_one_name, "several states are called opened"),
    "two regions moved by one event": (
        doors_side_by_side,
        "push moves two regions of both, from up and from awake",
    ),
    "leniency": (
        lambda: door_with("catch_errors_as_events", True),
        "catch_errors_as_events is not False",
    ),
    "listeners": (lambda: door_with("listeners", [House]), "it has listeners"),
    "a name with a space": (door_unnamed, "its `machine` is no name"),
    "a hook of all events": (
        lambda: door_with("prepare_event", ring),
        "prepare_event is a method",
    ),
    "a hook of an edge": (lambda: door_with("before_push", ring), "before_push is a method"),
    "a hook of a state": (
        lambda: door_with("on_enter_opened", ring),
        "on_enter_opened is a method",
    ),
}


@pytest.mark.parametrize(("declared", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_a_table_cannot_say_is_refused_with_a_sentence(
    declared: Callable[[], AnyChart], sentence: str
) -> None:
    with pytest.raises(UnsupportedDeclaration, match=re.escape(sentence)):
        compile_table(declared())


def test_a_chart_with_several_faults_gets_a_sentence_for_each() -> None:
    with pytest.raises(UnsupportedDeclaration) as refused:
        compile_table(door(before=ring, after=ring))
    assert str(refused.value).count(";") >= 3, refused.value


def test_a_plain_door_is_compiled() -> None:
    assert set(compile_table(DoorChart)) == {("shut",), ("opened",), ("walled",)}
