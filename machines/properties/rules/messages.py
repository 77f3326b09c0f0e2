"""What holds of every message: whose approval counts, and how a vote ends."""

from typing import Final

from machines.properties.form import Rule, always, each, enters, leads_to, never, no, takes, until
from machines.properties.steps import Step, moment

_VOTES: Final = frozenset({"approve", "reject"})


def _counts(step: Step) -> bool:
    """A vote was cast, and was not too late."""
    return step.event in _VOTES and step.target != "expired"


def _deadline_is_ahead(step: Step) -> bool:
    """Of a message without a deadline, always."""
    expires_at = step.value["expires_at"]
    return expires_at is None or moment(step.said["at"]) < moment(expires_at)


def outsiders_message_is_approved_by_no_or_not_every_elector(step: Step) -> bool:
    if step.source != "pending" or step.target != "approved":
        return False
    electors = step.value["electors"]
    approving = {
        vote["co_author"] for vote in step.value["approvals"] if vote["decision"] == "approve"
    }
    return not electors or approving != set(electors)


def approved_without_a_vote_it_is_of_a_co_author_or_an_answer(step: Step) -> bool:
    if step.source != "submitted" or step.target != "approved":
        return True
    if step.event == "answer":
        return bool(step.value["role"] == "chorus")
    return bool(step.said["author_is_co_author"])


def co_authors_message_waits(step: Step) -> bool:
    return step.target == "pending" and step.event == "submit" and step.said["author_is_co_author"]


def vote_is_an_electors(step: Step) -> bool:
    return not _counts(step) or step.said["voter"] in step.value["electors"]


def vote_is_its_authors(step: Step) -> bool:
    return _counts(step) and step.said["voter"] == step.value["author"]


def elector_votes_twice(step: Step) -> bool:
    voters = [vote["co_author"] for vote in step.value["approvals"]]
    return len(set(voters)) != len(voters)


def vote_is_in_time(step: Step) -> bool:
    if not _counts(step):
        return True
    return _deadline_is_ahead(step)


def vote_is_refused_by_time_too_early(step: Step) -> bool:
    """It expires although the deadline is ahead and the thread was not archived."""
    if step.target != "expired" or step.said.get("thread_archived"):
        return False
    return _deadline_is_ahead(step)


def waits_with_every_approval(step: Step) -> bool:
    """Every elector approved, and there is one, but the message is pending still."""
    electors = step.value["electors"]
    approving = {
        vote["co_author"] for vote in step.value["approvals"] if vote["decision"] == "approve"
    }
    return step.target == "pending" and bool(electors) and approving == set(electors)


def leaver_counts_still(step: Step) -> bool:
    if step.event != "elector_left":
        return False
    leaver = step.said["elector"]
    return leaver in step.value["electors"] or any(
        vote["co_author"] == leaver for vote in step.value["approvals"]
    )


def rejection_leaves_it_open(step: Step) -> bool:
    return step.event == "reject" and step.target not in {"rejected", "expired"}


def is_its_authors_to_take_back(step: Step) -> bool:
    if step.event not in {"withdraw", "supersede"}:
        return True
    return bool(step.said["by"] == step.value["author"])


def outsider_takes_back_what_was_approved(step: Step) -> bool:
    return (
        step.event == "supersede" and step.target == "superseded" and not step.said["by_co_author"]
    )


def what_is_written_anew_is_the_newest(step: Step) -> bool:
    return step.event != "supersede" or step.said["newest"] == step.value["id"]


def answer_alone_goes_with_its_prompt(step: Step) -> bool:
    return step.event != "supersede_answer" or step.value["role"] == "chorus"


def memory_is_told(step: Step) -> bool:
    """What begins or ceases to count is remembered or forgotten in the same step."""
    if step.target not in {"approved", "superseded"}:
        return True
    return "DBOperation" in step.effects


def deadline_is_set_and_taken_back(step: Step) -> bool:
    if step.event == "submit" and step.target == "pending":
        return "ScheduleTimer" in step.effects
    if step.source == "pending" and step.target != "pending":
        return "CancelTimer" in step.effects
    return True


_APPROVED = enters("message", "approved")
_DECIDED = enters("message", "approved", "rejected", "expired", "withdrawn")

RULES: Final = (
    Rule(
        "only_every_elector_lets_an_outsiders_message_in",
        never(outsiders_message_is_approved_by_no_or_not_every_elector),
        each("message"),
        "Only the co-authors' unanimous approval moves an outsider's message out of pending, and an"
        " empty electorate never approves.",
        "docs/protocol.md",
    ),
    Rule(
        "without_a_vote_only_co_authors_and_answers_count",
        always(approved_without_a_vote_it_is_of_a_co_author_or_an_answer),
        each("message"),
        "A co-author's own message counts at once, an outsider's never.",
        "docs/protocol.md",
    ),
    Rule(
        "a_co_authors_message_never_waits",
        never(co_authors_message_waits),
        each("message"),
        "A co-author's own message needs no vote.",
        "docs/protocol.md",
    ),
    Rule(
        "only_electors_vote",
        always(vote_is_an_electors),
        each("message"),
        "Who was no co-author when the message was submitted, or is none any more, has no vote.",
        "docs/protocol.md",
    ),
    Rule(
        "no_author_votes_on_their_own",
        never(vote_is_its_authors),
        each("message"),
        "No author lets themselves in.",
        "docs/protocol.md",
    ),
    Rule(
        "an_elector_votes_once",
        never(elector_votes_twice),
        each("message"),
        "A vote is cast once, and stays.",
        "docs/protocol.md",
    ),
    Rule(
        "no_vote_counts_at_the_deadline",
        always(vote_is_in_time),
        each("message"),
        "A vote at or after the deadline is too late.",
        "docs/protocol.md",
    ),
    Rule(
        "no_message_expires_early",
        never(vote_is_refused_by_time_too_early),
        each("message"),
        "Electors have the whole time, unless the thread is archived.",
        "docs/protocol.md",
    ),
    Rule(
        "the_last_approval_decides",
        never(waits_with_every_approval),
        each("message"),
        "A message that every elector approved waits for nothing more.",
        "docs/protocol.md",
    ),
    Rule(
        "who_left_counts_no_more",
        never(leaver_counts_still),
        each("message"),
        "An elector who leaves the thread takes their vote along.",
        "docs/protocol.md",
    ),
    Rule(
        "one_rejection_ends_the_vote",
        never(rejection_leaves_it_open),
        each("message"),
        "Approval is unanimous.",
        "docs/protocol.md",
    ),
    Rule(
        "only_its_author_takes_a_message_back",
        always(is_its_authors_to_take_back),
        each("message"),
        "What a user said is theirs alone to withdraw or to write anew.",
        "docs/protocol.md",
    ),
    Rule(
        "what_was_approved_is_a_co_authors_to_replace",
        never(outsider_takes_back_what_was_approved),
        each("message"),
        "What a thread has approved is no outsider's to take out of it.",
        "docs/protocol.md",
    ),
    Rule(
        "only_the_newest_is_written_anew",
        always(what_is_written_anew_is_the_newest),
        each("message"),
        "A conversation is not rewritten in its middle.",
        "docs/protocol.md",
    ),
    Rule(
        "answers_go_with_their_prompts",
        always(answer_alone_goes_with_its_prompt),
        each("message"),
        "With a prompt that is written anew goes its answer, and no user's message.",
        "docs/protocol.md",
    ),
    Rule(
        "the_memory_follows_what_counts",
        always(memory_is_told),
        each("message"),
        "Only approved messages are recalled, and all of them are.",
        "SECURITY.md",
    ),
    Rule(
        "a_vote_has_its_deadline",
        always(deadline_is_set_and_taken_back),
        each("message"),
        "A timer ends each vote, and none fires at a vote that has ended.",
    ),
    Rule(
        "a_pending_message_is_decided",
        leads_to(enters("message", "pending"), _DECIDED),
        each("message"),
        "A vote ends at its deadline, whatever the electors do.",
        "docs/protocol.md",
    ),
    Rule(
        "what_never_counted_is_not_superseded",
        until(no(enters("message", "superseded")), _APPROVED),
        each("message"),
        "Only what counted is replaced; what waits is withdrawn.",
        "docs/protocol.md",
    ),
    Rule(
        "what_was_superseded_is_not_voted_on",
        never(takes("message", "approve", "reject"), after=enters("message", "superseded")),
        each("message"),
        "A message that was written anew is over.",
    ),
)
