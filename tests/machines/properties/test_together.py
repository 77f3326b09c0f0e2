"""The rules that hold of message, run, branch, thread and connection together, in their product."""

from collections.abc import Iterable
from functools import cache
from typing import Final

import pytest

from machines.models.domain import Role
from machines.properties import all_rules, unrecorded
from machines.properties.checking import Graph, check
from machines.properties.form import Rule, takes
from machines.properties.steps import Step
from tests.conftest import Tally
from tests.machines.properties.product import (
    FORKING,
    LEAVING,
    RETURNING,
    REWRITING,
    VOTING,
    World,
    searched,
    standing_answers,
    with_connection,
)

pytestmark = pytest.mark.unmeasured

PRODUCTS: Final = {
    "voting": VOTING,
    "leaving": LEAVING,
    "rewriting": REWRITING,
    "returning": RETURNING,
    "forking": FORKING,
}


@cache
def reached(name: str) -> tuple[Graph, list[World]]:
    return searched(PRODUCTS[name])


def product_of(name: str) -> Graph:
    return reached(name)[0]


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


def test_of_a_branch_nothing_is_read_before_it_is_adopted_and_then_it_is_the_answer() -> None:
    """In every world: by the thread, or by a run of it that is no fork of the same."""
    adopted = 0
    for world in reached("forking")[1]:
        forks = {each.id for each in world.runs if each.branch_id is not None}
        unadopted = forks - world.adopted
        messages = world.messages.values()
        answers = {each.id: each.run_id for each in messages if each.role is Role.CHORUS}
        assert not unadopted & set(answers.values())
        read = {each.id for each in world.facts.recent}
        for run in world.runs:
            read |= {each.message_id for each in run.messages}
        assert read <= world.messages.keys()
        for prompt in messages:
            if prompt.role is Role.USER:
                standing = standing_answers(prompt, world)
                assert len(standing) <= 1
                if forks & world.adopted:
                    assert [each.run_id for each in standing] == [prompt.run_id]
                    adopted += 1
    assert adopted


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
