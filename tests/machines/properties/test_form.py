"""What each form says of a finite sequence of steps."""

import pytest

from machines.properties.form import (
    Formula,
    Rule,
    Slice,
    always,
    each,
    enters,
    eventually,
    leads_to,
    never,
    no,
    until,
)
from machines.properties.monitor import Monitor
from machines.properties.steps import Step
from tests.machines.properties.sequences import broken_by, letter, letters, says

A, B, R = says("a"), says("b"), says("r")


def rule(formula: Formula, about: Slice | None = None) -> Rule:
    return Rule("a_rule", formula, about or each("message"), "For the test.")


@pytest.mark.parametrize(
    ("formula", "kept", "broken"),
    [
        (always(A), "aaa", "aab"),
        (never(B), "aaa", "aab"),
        (never(B, after=R), "baar", "rab"),
        (always(A, after=R), "bbr", "bbrb"),
        (until(no(A), B, after=R), "arcb", "rca"),
        (until(no(A), B, after=R), "rba", "rbra"),
    ],
    ids=lambda each: each.text if isinstance(each, Formula) else "",
)
def test_a_safety_rule_is_broken_by_the_step_that_nothing_can_mend(
    formula: Formula, kept: str, broken: str
) -> None:
    assert not broken_by(rule(formula), letters(kept))
    *before, last = letters(broken)
    assert not broken_by(rule(formula), before)
    (found,) = broken_by(rule(formula), letters(broken))
    assert found.step == last


def test_until_without_after_holds_from_the_first_step_of_a_value() -> None:
    first = letter("x", source="submitted", target="pending")
    held = rule(until(no(A), B))
    assert broken_by(held, [first, letter("a")])
    assert not broken_by(held, [first, letter("b"), letter("a")])
    assert not broken_by(held, [letter("a")]), "the value did not begin here"


def test_a_rule_holds_in_each_slice_by_itself() -> None:
    held = rule(never(A, after=R))
    assert not broken_by(held, [letter("r", "one"), letter("a", "other")])
    assert broken_by(held, [letter("r", "one"), letter("x", "other"), letter("a", "one")])


def test_what_is_awaited_at_the_end_of_a_journal_is_no_violation() -> None:
    monitor = Monitor([rule(leads_to(A, B))])
    assert not [broken for step in letters("aba") for broken in monitor.see(step)]
    monitor.end_stream()
    assert monitor.waiting == {"a_rule": 1}
    assert monitor.held == 0


def test_a_value_that_ends_without_what_is_awaited_breaks_the_rule() -> None:
    ends = letter("x", source="pending", target="rejected")
    assert broken_by(rule(leads_to(A, B)), [letter("a"), ends])
    assert not broken_by(rule(leads_to(A, B)), [letter("a"), letter("b"), ends])
    first = letter("x", source="submitted", target="pending")
    assert broken_by(rule(eventually(B)), [first, ends])
    assert not broken_by(rule(eventually(B)), [first, letter("b"), ends])


def test_what_leads_to_itself_waits_for_nothing() -> None:
    monitor = Monitor([rule(leads_to(says("a"), says("a", "b")))])
    assert not list(monitor.see(letter("a")))
    assert monitor.held == 0


def test_a_monitor_forgets_a_value_that_has_ended() -> None:
    monitor = Monitor([rule(never(A, after=R)), rule(leads_to(R, enters("message", "rejected")))])
    assert not list(monitor.see(letter("r")))
    assert monitor.held > 0
    assert not list(monitor.see(letter("x", source="pending", target="rejected")))
    assert monitor.held == 0


def test_a_step_that_lacks_what_a_rule_reads_is_counted_and_not_judged() -> None:
    def has_a_role(step: Step) -> bool:
        return bool(step.value["role"])

    monitor = Monitor([rule(always(has_a_role))])
    assert not list(monitor.see(letter("a")))
    assert (monitor.blind["a_rule"], monitor.judged["a_rule"]) == (1, 0)


def test_a_rule_reads_like_a_sentence() -> None:
    assert until(no(A), B, after=R).text == "no a until b, after r"
    assert leads_to(A, B).text == "a leads to b"
    assert never(enters("message", "pending")).text == "never message enters pending"
