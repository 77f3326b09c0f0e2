"""What is told of the guards that were asked is what the kernel asked: each one, its value, in order."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.charts import journaled_machines
from machines.statechart import (
    Accepted,
    Edge,
    Guard,
    ImpossibleOutcome,
    Machine,
    Verdict,
    asked,
)
from machines.statechart.chart import GuardRule
from machines.statechart.coverage import Space
from machines.statechart.engine import AnyMachine
from tests.machines.transitions import chorus_scenarios as run
from tests.machines.transitions.spaces import (
    branches,
    invitations,
    invite_links,
    likely_run_events,
    messages,
    removals,
    run_events,
    threads,
)
from tests.machines.transitions.walks import Walk, walks

Said = list[tuple[str, str, bool]]
"""Edge, guard and value, in the order in which they were asked."""

SPACES: Final[dict[str, Callable[[], Space]]] = {
    "message": messages,
    "thread": threads,
    "invitation": invitations,
    "invite_link": invite_links,
    "removal": removals,
    "branch": branches,
}


def listening(machine: AnyMachine, heard: Said) -> AnyMachine:
    """The machine with guards that tell what they are asked, and what they say."""

    def telling(edge: Edge, guard: Guard) -> GuardRule:
        def rule(value: Any, event: Any) -> bool:
            said = guard.rule(value, event)
            heard.append((edge.id, guard.name, said))
            return said

        return rule

    def told(edge: Edge) -> Edge:
        guards = (dataclasses.replace(each, rule=telling(edge, each)) for each in edge.guards)
        return dataclasses.replace(edge, guards=tuple(guards))

    copy: AnyMachine = Machine(machine.chart, states_of=machine.states_of, place=machine.place)
    copy.__dict__["table"] = {
        states: dataclasses.replace(
            place,
            rows={
                event: tuple((told(edge), reached) for edge, reached in row)
                for event, row in place.rows.items()
            },
        )
        for states, place in machine.table.items()
    }
    return copy


def walks_of(machine: AnyMachine) -> st.SearchStrategy[Walk]:
    if machine.name == "chorus":
        return walks(machine, run.queued(max_attempts=4), run_events, likely_at=likely_run_events)
    space = SPACES[machine.name]()
    return st.sampled_from(list(space.initial)).flatmap(
        lambda initial: walks(machine, initial, space.events_at, length=15)
    )


@pytest.mark.parametrize("machine", journaled_machines(), ids=lambda each: each.name)
@settings(max_examples=40)
@given(data=st.data())
def test_the_guards_that_are_told_are_those_that_the_kernel_asked(
    machine: AnyMachine, data: st.DataObject
) -> None:
    walk = data.draw(walks_of(machine))
    heard: Said = []
    listener = listening(machine, heard)
    for each in walk.accepted:
        heard.clear()
        taken = listener.fire(each.before, each.event)
        assert isinstance(taken, Accepted)
        row = machine.topology.edges_from(machine.active(each.before), each.event.event)
        told = asked(row, taken.edge, [guard.label for guard in taken.passed_over])
        assert [
            (one.edge.id, guard.name, value)
            for one in told
            for guard, value in zip(one.edge.guards, one.values, strict=True)
            if value is not None
        ] == heard
        assert [one.edge.id for one in told] == [edge.id for edge in row]


# --- By hand -------------------------------------------------------------------------------------


def guard(label: str) -> Guard:
    name = label.removeprefix("not ")
    return Guard(name, name == label, lambda _value, _event: True)


def edge(number: int, *labels: str) -> Edge:
    template = next(iter(journaled_machines()[0].topology.edges))
    guards = tuple(map(guard, labels))
    return dataclasses.replace(template, id=f"edge_{number}", guards=guards, rules=())


ROW: Final = (edge(1, "a", "not b", "c"), edge(2, "a", "b"), edge(3))


def test_guards_behind_the_one_that_did_not_hold_were_not_asked() -> None:
    first, second, third = asked(ROW, ROW[1], ["not b"])
    assert (first.verdict, first.values) == (Verdict.PASSED_OVER, (True, True, None))
    assert (second.verdict, second.values) == (Verdict.TAKEN, (True, True))
    assert (third.verdict, third.values) == (Verdict.NOT_TRIED, ())


def test_what_was_not_recorded_is_told_as_such() -> None:
    first, second, _ = asked(ROW, ROW[1], [])
    assert (first.verdict, first.values) == (Verdict.NOT_RECORDED, (None, None, None))
    assert second.verdict is Verdict.TAKEN


@pytest.mark.parametrize(
    ("taken", "passed_over", "sentence"),
    [
        (ROW[1], ["a"], "found a both true and false"),
        (ROW[1], ["c"], "found b both true and false"),
        (ROW[1], ["d"], "passed over edge_1 for d, which it does not ask"),
        (ROW[1], ["b"], "passed over edge_1 for b, which it does not ask"),
        (ROW[1], ["c", "a"], "passed over 2 edges, not 1"),
        (ROW[0], ["a"], "passed over 1 edges, not 0"),
        (edge(4), [], "was not to be tried"),
    ],
)
def test_what_no_values_of_the_guards_lead_to(
    taken: Edge, passed_over: list[str], sentence: str
) -> None:
    with pytest.raises(ImpossibleOutcome) as refused:
        asked(ROW, taken, passed_over)
    assert str(refused.value) == sentence
