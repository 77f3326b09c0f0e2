"""The rules hold in the whole reachable space of each machine; what would break one is shown as a way."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import diagrams
from diagrams.paths import lit
from machines.properties import all_rules
from machines.properties.checking import Counterexample, Graph, check, graph_of
from machines.properties.form import Rule, each, leads_to, never, takes
from machines.properties.steps import life_of
from tests.conftest import Tally
from tests.machines.transitions.spaces import SPACES


@cache
def space_of(name: str) -> Graph:
    return graph_of(SPACES[name]())


def rules_of(name: str) -> list[Rule]:
    """Those that speak of this machine, and of no other beside it."""
    return [
        rule
        for rule in all_rules()
        if rule.about.keys.keys() == {name} or (rule.about.is_one_value and name in rule.about.keys)
    ]


def drawn(found: Counterexample, folder: Path) -> list[Path]:
    """A drawing of the way for each machine on it."""
    written = []
    for machine in dict.fromkeys(step.machine for step in found.steps):
        drawing = Path(diagrams.__file__).parent / f"{machine}.svg"
        way = [(step.edge, step.event) for step in found.steps if step.machine == machine]
        path = folder / f"{found.rule.name}_{machine}.svg"
        path.write_text(lit(drawing.read_text(encoding="utf-8"), way), encoding="utf-8")
        written.append(path)
    return written


@pytest.mark.parametrize("name", SPACES)
def test_every_rule_of_a_machine_holds_in_its_whole_space(
    name: str, tmp_path: Path, tally: Tally
) -> None:
    space = space_of(name)
    for rule in rules_of(name):
        found = check(rule, space)
        assert found is None, f"{found}\ndrawn in {[str(each) for each in drawn(found, tmp_path)]}"
    tally(f"{name}: {len(rules_of(name))} rules hold in {len(space.moves)} states")


def test_there_are_rules_of_every_machine_and_each_has_a_name_and_a_reason() -> None:
    rules = all_rules()
    assert len({rule.name for rule in rules}) == len(rules) >= 25
    assert all(rule.reason.endswith(".") and rule.name.isidentifier() for rule in rules)
    for name in SPACES:
        assert len(rules_of(name)) > 1, f"add rules of {name}"


def test_every_source_of_a_rule_is_a_document() -> None:
    root = Path(diagrams.__file__).parent.parent
    assert not [rule for rule in all_rules() if rule.source and not (root / rule.source).is_file()]


def test_a_rule_from_the_first_step_is_about_a_machine_that_begins_once() -> None:
    """Else it would begin anew each time."""
    for rule in all_rules():
        formula = rule.formula
        if formula.arms is None and formula.ends is not None:
            (machine,) = rule.about.keys
            entered = {
                step.target
                for moves in space_of(machine).moves.values()
                for move in moves
                for step in move.steps
                if step.source != step.target
            }
            assert machine == "connection" or not life_of(machine).initial & entered, rule.name


def test_a_broken_rule_is_drawn_on_the_machine(tmp_path: Path) -> None:
    wrong = Rule(
        "nothing_is_withdrawn", never(takes("message", "withdraw")), each("message"), "It is."
    )
    found = check(wrong, space_of("message"))
    assert found is not None
    assert [step.event for step in found.steps] == ["submit", "withdraw"]
    (path,) = drawn(found, tmp_path)
    picture = path.read_text(encoding="utf-8")
    for edge in (
        "edge_message_submit_submitted_pending",
        "edge_message_withdraw_pending_withdrawn",
    ):
        assert f"#{edge} .head" in picture
    assert "1. submit" in picture
    assert "2. withdraw" in picture


def test_without_its_deadline_a_vote_may_last_for_ever() -> None:
    space = space_of("message")
    without = Graph(
        space.initial,
        {
            node: [replace(move, assured=None) for move in moves]
            for node, moves in space.moves.items()
        },
        space.present,
    )
    (rule,) = (each for each in all_rules() if each.name == "a_pending_message_is_decided")
    found = check(rule, without)
    assert found is not None
    assert [step.event for step in found.steps] == ["submit"]
    assert check(rule, space) is None


def test_what_a_client_may_never_do_is_not_assumed() -> None:
    wrong = Rule(
        "every_connection_signs_in",
        leads_to(takes("connection", "connect"), takes("connection", "request")),
        each("connection"),
        "It may say nothing.",
    )
    assert check(wrong, space_of("connection")) is not None
