"""What holds of every lease, by which a server that shares its store may go on. No journal records it."""

from typing import Final

from machines.properties.form import (
    READS_BEFORE,
    Rule,
    always,
    each,
    enters,
    leads_to,
    no,
    takes,
    until,
)
from machines.properties.steps import Step

_SUSPECT_PART: Final = 0.6
"""Of a lease's length, without a renewal, after which its server stops itself."""


def overdue_alone_is_suspect(step: Step) -> bool:
    if step.event != "checked":
        return True
    silence = step.said["at"] - step.was["renewed_at"]
    return bool(silence >= _SUSPECT_PART * step.was["policy"]["seconds"])


def renewal_is_noted(step: Step) -> bool:
    if step.event not in {"granted", "renewed"}:
        return True
    return step.target == "live" and step.value["renewed_at"] == step.said["at"]


def dead_carries_nothing(step: Step) -> bool:
    return not step.is_last or "StopCarrying" in step.effects


def lost_alone_joins_again(step: Step) -> bool:
    return ("JoinAgain" in step.effects) is (step.event == "lost")


def loss_ends_it(step: Step) -> bool:
    return step.event not in {"lost", "released"} or step.is_last


_GRANTED = takes("lease", "granted")

RULES: Final = (
    Rule(
        "a_lease_that_is_suspect_goes_on_or_ends",
        leads_to(enters("lease", "suspect"), enters("lease", "live", "dead")),
        each("lease"),
        "Its renewal is answered: the server goes on, or others have its runs.",
    ),
    Rule(
        "no_lease_runs_that_was_not_granted",
        until(no(enters("lease", "live", "suspect")), _GRANTED),
        each("lease"),
        "A server carries nothing before the store knows it.",
    ),
    Rule(
        "what_is_overdue_alone_is_suspect",
        always(overdue_alone_is_suspect),
        each("lease"),
        "A server stops itself before others take up its runs, and not while it is renewed.",
        searched_only=READS_BEFORE,
    ),
    Rule(
        "a_lease_runs_from_its_renewal",
        always(renewal_is_noted),
        each("lease"),
        "And makes a server live that was suspect.",
    ),
    Rule(
        "a_lost_lease_is_over",
        always(loss_ends_it),
        each("lease"),
        "What was lost or released is renewed no more.",
    ),
    Rule(
        "whose_lease_is_over_carries_nothing",
        always(dead_carries_nothing),
        each("lease"),
        "No two servers carry the same run.",
    ),
    Rule(
        "who_lost_a_lease_joins_again",
        always(lost_alone_joins_again),
        each("lease"),
        "A server that was silent too long goes on by another name; one that ends does not.",
    ),
)
