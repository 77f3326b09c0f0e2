"""What the search says of a machine that it does not cover, or that breaks its word."""

from dataclasses import dataclass, replace
from graphlib import CycleError
from typing import Any

import pytest
from statemachine import State

from machines.statechart import Chart, Edges, Machine, Reaction
from machines.statechart.coverage import (
    Space,
    assert_covered,
    cycle_free,
    explore,
    uncovered,
    unprompted_cycle_free,
)
from tests.statechart.doors import Door, Pushed, Typed, door_space


def missing(*without: Any) -> list[str]:
    space = door_space()
    events = tuple(event for event in space.events_at(Door()) if event not in without)
    fewer = replace(space, events_at=lambda _: events)
    return uncovered(fewer, explore(fewer))


def test_a_space_that_shows_everything_is_covered() -> None:
    reached = assert_covered(door_space())
    assert {door.status for door in reached.values.values()} == {"shut", "opened", "walled"}
    assert reached.fired == 4 * len(reached.values)


def test_an_edge_that_no_event_takes_is_named() -> None:
    assert missing(Pushed()) == [
        "no event takes edge_door_push_opened_shut: add one to `events_at`, or a value to `initial`"
    ]


def test_a_guard_seen_one_way_only_is_named() -> None:
    assert "no event finds code_is_right false: add one to `events_at`" in missing(Typed("4321"))


def test_a_state_that_is_never_reached_is_named() -> None:
    assert "no value stands in opened: add an event that leads there" in missing(Typed("1234"))


@dataclass(frozen=True)
class Trap:
    status: str = "free"


@dataclass(frozen=True)
class Named:
    event: str


on = Edges[Trap, str, str]()


class TrapChart(Chart[Trap]):
    machine = "trap"
    validate_trap_states = False
    validate_final_reachability = False

    free = State(initial=True)
    caught = State()
    gone = State(final=True)

    leave = on(Named, free.to(gone))
    step = on(Named, free.to(caught))
    turn = on(Named, caught.to(caught))


def test_a_live_state_without_a_way_out_is_named() -> None:
    events = tuple(Named(name) for name in ("leave", "step", "turn"))
    trap: Machine[Trap, Named, str, str] = Machine(TrapChart)
    space = Space(trap, (Trap(),), lambda _: events)
    (problem,) = uncovered(space, explore(space))
    assert problem == "no way leads out of caught: Trap(status='caught')"


def test_an_action_that_moves_the_value_elsewhere_is_a_defect() -> None:
    class Straying(Chart[Trap]):
        machine = "straying"
        free = State(initial=True)
        gone = State(final=True)
        leave = on(Named, free.to(gone), do=[stray])

    def run() -> None:
        explore(Space(Machine(Straying), (Trap(),), lambda _: (Named("leave"),)))

    with pytest.raises(
        AssertionError, match="leads to gone, and an action moves the value to free"
    ):
        run()


def stray(trap: Trap, _: Named) -> Trap:
    return replace(trap, status="free")


def test_a_key_that_leaves_out_what_a_guard_reads_is_found() -> None:
    begin = (Door(), Door(tries=2))
    space = replace(door_space(), initial=begin, key_of=lambda door: door.status)
    with pytest.raises(AssertionError, match="`key_of` leaves out what a guard reads"):
        explore(space)


def test_a_space_without_an_end_is_found() -> None:
    class Counting(Chart[Counter]):
        machine = "counting"
        validate_final_reachability = False
        free = State(initial=True)
        gone = State(final=True)
        count = on_counter(Named, free.to(free), do=[one_more])
        leave = on_counter(Named, free.to(gone))

    space = Space(Machine(Counting), (Counter(),), lambda _: (Named("count"),))
    with pytest.raises(AssertionError, match="the space has no end"):
        explore(space)


@dataclass(frozen=True)
class Counter:
    count: int = 0
    status: str = "free"


def one_more(counter: Counter, _: Named) -> Counter:
    return replace(counter, count=counter.count + 1)


on_counter = Edges[Counter, str, str]()


def test_a_value_that_breaks_its_own_rules_is_found() -> None:
    def check(door: Door) -> None:
        assert door.tries < 2, f"{door} was tried too often"

    with pytest.raises(AssertionError, match="was tried too often"):
        explore(replace(door_space(), check=check))


def test_effects_whose_answers_go_round_in_a_circle_are_found() -> None:
    space = Space(bell_machine(), (Bell(),), lambda _: (Named("ring"),), answers_to=ring_again)
    reached = explore(space)
    with pytest.raises(CycleError):
        unprompted_cycle_free(reached.steps)
    unprompted_cycle_free(explore(replace(space, answers_to=lambda _: frozenset())).steps)


@dataclass(frozen=True)
class Bell:
    status: str = "still"


def ring(bell: Bell, _: Named) -> Reaction[Bell, str, str]:
    return Reaction(bell, effects=("echo",))


def ring_again(_: str) -> frozenset[str]:
    return frozenset({"ring"})


on_bell = Edges[Bell, str, str]()


class BellChart(Chart[Bell]):
    machine = "bell"
    validate_final_reachability = False
    still = State(initial=True)
    broken = State(final=True)
    ring = on_bell(Named, still.to(still), do=[ring])
    fall = on_bell(Named, still.to(broken))


def bell_machine() -> Machine[Bell, Named, str, str]:
    return Machine(BellChart)


def test_events_that_lead_back_to_where_they_began_are_found() -> None:
    with pytest.raises(CycleError):
        cycle_free(explore(door_space()).steps)
