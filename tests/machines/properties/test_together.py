"""The rules that hold of message, run, thread and connection together, in their product."""

from collections.abc import Iterable
from functools import cache
from typing import Final

import pytest

from machines.properties import all_rules, unrecorded
from machines.properties.checking import Graph, check
from machines.properties.form import Rule, takes
from machines.properties.steps import Step
from tests.conftest import Tally
from tests.machines.properties.product import (
    LEAVING,
    RETURNING,
    REWRITING,
    VOTING,
    threads_of,
    with_connection,
)

pytestmark = pytest.mark.unmeasured

PRODUCTS: Final = {
    "voting": VOTING,
    "leaving": LEAVING,
    "rewriting": REWRITING,
    "returning": RETURNING,
}


@cache
def product_of(name: str) -> Graph:
    return threads_of(PRODUCTS[name])


@cache
def connected(name: str) -> Graph:
    return with_connection(product_of(name))


def judged() -> list[Rule]:
    """Rules of several machines, and liveness rules: what follows from no machine alone."""
    return [
        rule
        for rule in all_rules()
        if not unrecorded(rule) and (not rule.about.is_one_value or rule.formula.is_live)
    ]


def steps_in(spaces: Iterable[Graph]) -> list[Step]:
    return [
        step
        for space in spaces
        for moves in space.moves.values()
        for move in moves
        for step in move.steps
    ]


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_rules_hold_of_a_thread_with_its_messages_and_runs(name: str, tally: Tally) -> None:
    space = product_of(name)
    for rule in judged():
        found = check(rule, space)
        assert found is None, str(found)
    decisions = sum(map(len, space.moves.values()))
    tally(f"{name}: {len(judged())} rules hold in {len(space.moves)} worlds, {decisions} decisions")


@pytest.mark.parametrize("name", ["leaving", "returning"])
def test_the_rules_hold_with_a_connection_that_follows_the_thread(name: str, tally: Tally) -> None:
    space = connected(name)
    rules = [rule for rule in all_rules() if not rule.about.is_one_value]
    for rule in rules:
        found = check(rule, space)
        assert found is None, str(found)
    tally(f"{name}: {len(rules)} rules hold in {len(space.moves)} worlds with a connection")


def test_the_products_reach_what_the_rules_speak_of() -> None:
    """A rule whose steps never occur would hold of anything."""
    recorded = steps_in(map(product_of, PRODUCTS))
    followed = steps_in([connected("returning")])
    for rule in all_rules():
        if rule.about.is_one_value:
            continue
        steps = [
            step
            for step in (recorded if not unrecorded(rule) else followed)
            if step.machine in rule.about.keys
        ]
        for test in (rule.formula.arms, rule.formula.ends):
            assert test is None or any(map(test, steps)), f"{rule.name}: nothing {test.__name__}"


def test_the_search_meets_runs_that_might_have_run_side_by_side() -> None:
    starts = takes("chorus", "start")
    starting = {step.instance for step in steps_in([product_of("voting")]) if starts(step)}
    assert len(starting) > 1
