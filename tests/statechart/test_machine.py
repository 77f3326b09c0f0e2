"""The runtime: one machine for each chart, that no event and no thread leaves in a bad state."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Barrier

import pytest

from machines.statechart import Accepted, Machine, Refusal
from tests.statechart.doors import (
    Door,
    DoorChart,
    Pushed,
    Rung,
    Typed,
    Walled,
    door_machine,
)


def test_an_accepted_event_gives_the_value_the_answers_the_effects_and_the_edge() -> None:
    outcome = door_machine().fire(Door(tries=1), Typed("1234"))
    assert isinstance(outcome, Accepted)
    assert outcome.state == Door(tries=0, status="opened")
    assert (outcome.responses, outcome.effects) == (("welcome",), (Rung(1),))
    assert (outcome.edge.source, outcome.edge.target) == ("shut", "opened")


def test_an_action_sees_the_value_where_the_edge_leads() -> None:
    """`forget_tries` copies `status`, so it would bring the door back if it saw the old one."""
    outcome = door_machine().fire(Door(), Typed("1234"))
    assert isinstance(outcome, Accepted)
    assert outcome.state.status == "opened"


def test_a_refusal_names_the_guards_of_the_edge_that_came_nearest() -> None:
    assert door_machine().fire(Door(tries=2), Typed("0000")) == Refusal(
        machine="door",
        state="shut",
        event="type_code",
        guards=("code_is_right", "tries_left"),
        allowed=("type_code", "wall_up"),
    )


def test_a_refusal_is_a_sentence() -> None:
    guarded = door_machine().fire(Door(tries=2), Typed("0000"))
    assert str(guarded) == "The door refuses to type code; needed: code is right, tries left."
    undeclared = door_machine().fire(Door(), Pushed())
    assert str(undeclared) == "The door refuses to push; it is shut."


def test_what_stands_against_an_event_is_named_as_what_it_is() -> None:
    refusal = Refusal("door", "shut", "open", ("not wall_is_up", "tries_left"), ())
    assert str(refusal) == "The door refuses to open; needed: tries left; against it: wall is up."


def test_an_event_that_no_chart_knows_is_refused() -> None:
    @dataclass(frozen=True)
    class Unheard:
        event: str = "unheard_of"

    machine: Machine[Door, Unheard, str, Rung] = Machine(DoorChart)
    outcome = machine.fire(Door(), Unheard())
    assert isinstance(outcome, Refusal)
    assert (outcome.event, outcome.guards) == ("unheard_of", ())


def test_a_defect_in_a_guard_propagates_and_the_machine_goes_on() -> None:
    machine = door_machine()
    with pytest.raises(AttributeError, match="tries"):
        machine.fire(_Torn(), Typed("0000"))  # type: ignore[arg-type]
    assert isinstance(machine.fire(Door(), Typed("1234")), Accepted)


class _Torn:
    """A value that a guard fails on."""

    status = "shut"
    code = "1234"


def test_a_value_that_stands_nowhere_in_the_chart_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="ajar"):
        door_machine().fire(Door(status="ajar"), Pushed())


def test_a_final_state_of_one_value_does_not_stop_the_machine_for_others() -> None:
    machine = door_machine()
    assert isinstance(machine.fire(Door(), Walled()), Accepted)
    assert isinstance(machine.fire(Door(), Typed("1234")), Accepted)


def test_threads_that_fire_at_once_get_each_their_own_outcome() -> None:
    machine, together = door_machine(), Barrier(8)

    def fire(count: int) -> int:
        if count < together.parties:
            together.wait(timeout=30)  # the table is compiled while others want it
        outcome = machine.fire(Door(tries=count % 2), Typed("4321"))
        assert isinstance(outcome, Accepted)
        return outcome.state.tries

    with ThreadPoolExecutor(together.parties) as pool:
        assert list(pool.map(fire, range(200))) == [1, 2] * 100


def test_a_fingerprint_is_the_declaration_and_nothing_else() -> None:
    assert door_machine().fingerprint == door_machine().fingerprint

    class Renamed(DoorChart):
        machine = "gate"

    other: Machine[Door, Typed, str, Rung] = Machine(Renamed)
    assert other.fingerprint.split(":")[1] != door_machine().fingerprint.split(":")[1]


def test_a_machine_places_its_value_by_the_functions_that_it_is_given() -> None:
    machine: Machine[Door, Pushed, str, Rung] = Machine(
        DoorChart,
        states_of=lambda door: (door.status.removeprefix("is "),),
        place=lambda door, _, states: replace(door, status=f"is {states[0]}"),
    )
    outcome = machine.fire(Door(status="is opened"), Pushed())
    assert isinstance(outcome, Accepted)
    assert outcome.state.status == "is shut"
