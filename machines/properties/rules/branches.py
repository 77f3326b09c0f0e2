"""What holds of every branch: nothing of it is in the memory, and none is adopted, before all agreed."""

from typing import Final

from machines.properties.form import (
    READS_BEFORE,
    Rule,
    always,
    each,
    ends,
    enters,
    leads_to,
    never,
    no,
    takes,
    until,
)
from machines.properties.steps import Step, moment

_WAITING: Final = frozenset({"ready", "proposed"})


def _in_time(step: Step) -> bool:
    return moment(step.said["at"]) < moment(step.value["expires_at"])


def _approving(step: Step) -> set[str]:
    return {vote["co_author"] for vote in step.value["votes"] if vote["decision"] == "approve"}


def maker_is_a_co_author(step: Step) -> bool:
    return step.event != "fork" or step.value["made_by"] in step.said["co_authors"]


def all_co_authors_are_asked(step: Step) -> bool:
    if step.event != "propose" or step.target == "expired":
        return True
    electors = step.value["electors"]
    return step.said["by"] in electors and electors == step.said["co_authors"]


def adopted_by_less_than_all_electors(step: Step) -> bool:
    if step.target != "adopted":
        return False
    electors = step.value["electors"]
    return not electors or _approving(step) != set(electors)


def waits_for_no_vote(step: Step) -> bool:
    """Every elector has voted, or none is left."""
    voters = {vote["co_author"] for vote in step.value["votes"]}
    return step.target == "proposed" and voters >= set(step.value["electors"])


def is_proposed_too_late(step: Step) -> bool:
    if step.event != "propose" or step.target == "expired":
        return False
    return moment(step.said["at"]) >= moment(step.was["expires_at"])


def vote_against_leaves_it_open(step: Step) -> bool:
    return step.event == "reject" and step.target not in {"rejected", "expired"}


def ballot_is_an_electors_in_time(step: Step) -> bool:
    if step.event not in {"approve", "reject"} or step.target == "expired":
        return True
    return step.said["voter"] in step.value["electors"] and _in_time(step)


def ballot_is_cast_twice(step: Step) -> bool:
    voters = [vote["co_author"] for vote in step.value["votes"]]
    return len(set(voters)) != len(voters)


def leaver_is_counted_still(step: Step) -> bool:
    if step.event != "elector_left":
        return False
    voters = {vote["co_author"] for vote in step.value["votes"]}
    return step.said["elector"] in {*step.value["electors"], *voters}


def is_given_up_by_its_maker(step: Step) -> bool:
    match step.event:
        case "discard":
            return bool(step.said["by"] == step.value["made_by"])
        case "maker_left":
            return bool(step.said["leaver"] == step.value["made_by"])
        case "elector_left":
            return step.target != "discarded" or not step.value["electors"]
        case _:
            return True


def has_its_deadline(step: Step) -> bool:
    """The timer is set as it waits for users, and taken back as that ends."""
    if step.target in _WAITING and step.source != step.target:
        return "ScheduleTimer" in step.effects
    return not (step.is_last and step.source in _WAITING) or "CancelTimer" in step.effects


def expires_early(step: Step) -> bool:
    return step.target == "expired" and not step.said.get("thread_archived") and _in_time(step)


def memory_is_told_before_the_adoption(step: Step) -> bool:
    return "DBOperation" in step.effects and step.target != "adopted"


_BRANCH: Final = each("branch")

RULES: Final = (
    Rule(
        "every_branch_ends",
        leads_to(enters("branch", "growing"), ends("branch")),
        _BRANCH,
        "Its run ends, and what is ready or voted on ends at its deadline.",
        "docs/protocol.md",
    ),
    Rule(
        "a_branch_that_waits_has_its_deadline",
        always(has_its_deadline),
        _BRANCH,
        "A timer ends it, and none fires at what has ended.",
    ),
    Rule(
        "no_branch_expires_early",
        never(expires_early),
        _BRANCH,
        "Its users have the whole time, unless the thread is archived.",
        "docs/protocol.md",
    ),
    Rule(
        "co_authors_fork",
        always(maker_is_a_co_author),
        _BRANCH,
        "A fork costs what a prompt costs, and reads what co-authors read.",
        "SECURITY.md",
    ),
    Rule(
        "nothing_is_adopted_without_its_answer",
        until(no(enters("branch", "adopted")), takes("branch", "answer")),
        _BRANCH,
        "What is voted on can be read whole.",
        "docs/protocol.md",
    ),
    Rule(
        "a_branch_is_proposed_in_time",
        never(is_proposed_too_late),
        _BRANCH,
        "A proposal at the deadline is as late as a vote at it.",
        "docs/protocol.md",
        READS_BEFORE,
    ),
    Rule(
        "all_co_authors_vote_on_a_branch",
        always(all_co_authors_are_asked),
        _BRANCH,
        "Those of the moment of the proposal, and the proposer is one of them.",
        "docs/protocol.md",
    ),
    Rule(
        "a_branch_is_adopted_by_all_its_electors",
        never(adopted_by_less_than_all_electors),
        _BRANCH,
        "What it says enters later prompts and the memory, as an approved message does.",
        "SECURITY.md",
    ),
    Rule(
        "a_branch_that_is_voted_on_waits_for_a_vote",
        never(waits_for_no_vote),
        _BRANCH,
        "The last vote decides, and where no elector is left the branch is given up: few are voted on at"
        " a time.",
        "docs/protocol.md",
    ),
    Rule(
        "one_vote_against_a_branch_ends_it",
        never(vote_against_leaves_it_open),
        _BRANCH,
        "An adoption is unanimous.",
        "docs/protocol.md",
    ),
    Rule(
        "only_electors_vote_on_a_branch",
        always(ballot_is_an_electors_in_time),
        _BRANCH,
        "Before the deadline.",
        "docs/protocol.md",
    ),
    Rule(
        "an_elector_of_a_branch_votes_once",
        never(ballot_is_cast_twice),
        _BRANCH,
        "A vote is cast once, and stays.",
        "docs/protocol.md",
    ),
    Rule(
        "who_left_votes_on_no_branch",
        never(leaver_is_counted_still),
        _BRANCH,
        "An elector who leaves the thread takes their vote along.",
        "docs/protocol.md",
    ),
    Rule(
        "only_its_maker_gives_a_branch_up",
        always(is_given_up_by_its_maker),
        _BRANCH,
        "Or it ends with its maker's leaving, where it was not proposed, or with its last elector's.",
        "docs/protocol.md",
    ),
    Rule(
        "the_memory_learns_of_a_branch_as_it_is_adopted",
        never(memory_is_told_before_the_adoption),
        _BRANCH,
        "Until then nothing of it is found, by whomever.",
        "SECURITY.md",
    ),
)
