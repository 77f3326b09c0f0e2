"""A door: the machine that the tests of the kernel are written with."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from statemachine import State

from machines.statechart import Chart, EdgeKind, Edges, Machine, Reaction
from machines.statechart.coverage import Space


@dataclass(frozen=True)
class Door:
    code: str = "1234"
    tries: int = 0
    status: str = "shut"


@dataclass(frozen=True)
class Pushed:
    event: Literal["push"] = "push"


@dataclass(frozen=True)
class Typed:
    code: str
    event: Literal["type_code"] = "type_code"


@dataclass(frozen=True)
class Walled:
    event: Literal["wall_up"] = "wall_up"


@dataclass(frozen=True)
class Rung:
    """An effect."""

    times: int


def code_is_right(door: Door, event: Typed) -> bool:
    return event.code == door.code


def tries_left(door: Door, _: object) -> bool:
    return door.tries < 2


def count_try(door: Door, _: object) -> Door:
    return Door(door.code, door.tries + 1, door.status)


def forget_tries(door: Door, _: object) -> Reaction[Door, str, Rung]:
    return Reaction(Door(door.code, 0, door.status), ("welcome",), (Rung(door.tries),))


on = Edges[Door, str, Rung]()


class DoorChart(Chart[Door]):
    """Door: shut until the code is typed"""

    machine = "door"
    edge_kinds: ClassVar = {"wall_up": EdgeKind.CANCEL}

    shut = State(initial=True)
    opened = State()
    walled = State(final=True)

    type_code = on(Typed, shut.to(opened), when=[code_is_right], do=[forget_tries]) | on(
        Typed, shut.to(shut), when=[tries_left], unless=[code_is_right], do=[count_try]
    )
    push = on(Pushed, opened.to(shut))
    wall_up = on(Walled, walled.from_(shut, opened))


def door_machine() -> Machine[Door, Typed | Pushed | Walled, str, Rung]:
    return Machine(DoorChart)


def door_space() -> Space:
    events = (Pushed(), Typed("1234"), Typed("4321"), Walled())
    return Space(door_machine(), (Door(),), lambda _: events)
