"""What the search finds in small graphs: shortest ways, rests and circles, and what fairness excludes."""

import pytest

from machines.properties.checking import check
from machines.properties.form import Formula, Rule, each, eventually, leads_to, never, no, until
from tests.machines.properties.sequences import graph, says

A, B, R = says("a"), says("b"), says("r")


def rule(formula: Formula) -> Rule:
    return Rule("a_rule", formula, each("message"), "For the test.")


def way(formula: Formula, arrows: dict[int, str]) -> tuple[str, str] | None:
    """The letters of a counterexample's path and circle."""
    found = check(rule(formula), graph(arrows))
    if found is None:
        return None
    path, circle = (
        "".join(step.event for move in moves for step in move.steps)
        for moves in (found.path, found.circle)
    )
    return path, circle


def test_the_shortest_way_is_found() -> None:
    arrows = {0: "x1 y2", 1: "x2", 2: "a3", 3: "a0"}
    assert way(never(A), arrows) == ("ya", "")
    assert way(never(A, after=A), arrows) == ("yaa", "")


def test_a_way_may_pass_a_node_twice() -> None:
    assert way(never(A, after=R), {0: "a1 r0", 1: "x0"}) == ("ra", "")


@pytest.mark.parametrize(("arrows", "found"), [({0: "a1", 1: "b0"}, ("a", "")), ({0: "b1"}, None)])
def test_until_asks_for_no_arrival(arrows: dict[int, str], found: tuple[str, str] | None) -> None:
    assert way(until(no(A), B), arrows) == found


def test_a_rest_without_anything_that_is_bound_to_happen_breaks_a_liveness_rule() -> None:
    assert way(leads_to(A, B), {0: "a1", 1: "b0"}) == ("a", "")
    assert way(leads_to(A, B), {0: "a1", 1: "b0!"}) is None
    assert way(leads_to(A, B), {0: "a1"}) == ("a", "")
    assert way(eventually(B), {0: "b1!"}) is None
    assert way(eventually(B), {0: "b1"}) == ("", "")


def test_a_fair_circle_breaks_a_liveness_rule_and_an_unfair_one_does_not() -> None:
    # The circle of x may be left at each of its nodes by what is bound to happen: it is left.
    assert way(leads_to(A, B), {0: "a1", 1: "x2 b0!", 2: "x1 b0!"}) is None
    # Here it takes what is bound to happen, and is still a circle.
    assert way(leads_to(A, B), {0: "a1", 1: "x2! b0!", 2: "x1! b0!"}) == ("a", "xx")
    # Here what is bound to happen is taken on a way round that the shortest one does not take.
    assert way(leads_to(A, B), {0: "a1", 1: "x1 y2! b0!", 2: "z1!"}) == ("a", "yz")


def test_a_circle_in_which_the_goal_is_met_is_none() -> None:
    assert way(leads_to(A, B), {0: "a1!", 1: "b0!"}) is None


def test_a_counterexample_says_the_rule_and_each_step() -> None:
    found = check(rule(leads_to(A, B)), graph({0: "a1", 1: "x1!"}))
    assert str(found).splitlines() == [
        "a_rule: a leads to b. For the test.",
        "  message: a (open -> open)",
        "  and for ever again:",
        "  message: x (open -> open)",
    ]
    resting = check(rule(eventually(B)), graph({0: "x1"}))
    assert str(resting).splitlines()[-1] == "  and there it may stay."
