"""What holds of every invitation, invite link and removal: the ways into a thread and out of it."""

from typing import Final

from machines.properties.form import Rule, always, each, enters, leads_to, never
from machines.properties.steps import Step, moment


def _in_time(step: Step) -> bool:
    return moment(step.said["at"]) < moment(step.value["expires_at"])


# --- Invitations ---------------------------------------------------------------------------------


def inviter_is_a_co_author_and_the_key_is_not(step: Step) -> bool:
    if step.event != "invite":
        return True
    co_authors = step.said["co_authors"]
    return step.value["invited_by"] in co_authors and step.value["public_key"] not in co_authors


def key_is_invited_already(step: Step) -> bool:
    return step.event == "invite" and step.value["public_key"] in step.said["invited"]


def answer_is_of_the_invited(step: Step) -> bool:
    match step.event:
        case "accept" | "decline":
            return bool(step.said["by"] == step.value["public_key"])
        case "admit":
            return bool(step.said["public_key"] == step.value["public_key"])
        case _:
            return True


def accepts_too_late(step: Step) -> bool:
    return step.event == "accept" and step.target == "accepted" and not _in_time(step)


def is_revoked_by_a_co_author_or_its_makers_leaving(step: Step) -> bool:
    match step.event:
        case "revoke":
            return step.said["by"] in step.said["co_authors"]
        case "inviter_left":
            return bool(step.said["inviter"] == step.value["invited_by"])
        case "maker_left":
            return bool(step.said["leaver"] == step.value["made_by"])
        case _:
            return True


def expires_early(step: Step) -> bool:
    return step.target == "expired" and not step.said.get("thread_archived") and _in_time(step)


def has_its_deadline(step: Step) -> bool:
    """The timer is set as it opens, and taken back as it ends."""
    if step.is_first:
        return "ScheduleTimer" in step.effects
    return not step.is_last or "CancelTimer" in step.effects


# --- Links ---------------------------------------------------------------------------------------


def maker_is_a_co_author(step: Step) -> bool:
    return step.event != "make" or step.value["made_by"] in step.said["co_authors"]


def lets_in_too_late(step: Step) -> bool:
    return step.target == "used" and not _in_time(step)


def guest_is_an_outsider(step: Step) -> bool:
    return step.event != "use" or step.said["by"] not in step.said["co_authors"]


def names_its_guest(step: Step) -> bool:
    return step.target != "used" or step.value["used_by"] == step.said["by"]


# --- Removals ------------------------------------------------------------------------------------


def proposer_and_named_are_two_co_authors(step: Step) -> bool:
    if step.event != "propose":
        return True
    co_authors, named = step.said["co_authors"], step.value["public_key"]
    proposer = step.value["proposed_by"]
    return proposer in co_authors and named in co_authors and proposer != named


def two_votes_on_one(step: Step) -> bool:
    return step.event == "propose" and step.value["public_key"] in step.said["named"]


def removed_by_less_than_all_the_others(step: Step) -> bool:
    if step.target != "removed":
        return False
    electors = step.value["electors"]
    agreeing = {vote["co_author"] for vote in step.value["votes"] if vote["decision"] == "remove"}
    return not electors or agreeing != set(electors) or step.value["public_key"] in electors


def one_alone_decides_before_the_deadline(step: Step) -> bool:
    return step.target == "removed" and len(step.value["electors"]) < 2 and _in_time(step)


def who_is_in_use_is_removed_by_one(step: Step) -> bool:
    """The only elector lets go a co-author who voted, or whose thread was archived meanwhile."""
    return (
        step.target == "removed"
        and len(step.value["electors"]) < 2
        and (step.event != "expire" or step.said["thread_archived"])
    )


def ballot_is_an_electors(step: Step) -> bool:
    """Of those that are counted; the named one's appearing is no vote."""
    if step.event not in {"remove", "keep"} or step.target == "expired":
        return True
    return step.said["voter"] in step.value["electors"] and _in_time(step)


def ballot_is_cast_twice(step: Step) -> bool:
    voters = [vote["co_author"] for vote in step.value["votes"]]
    return len(set(voters)) != len(voters)


def waits_with_every_vote(step: Step) -> bool:
    """Of several electors all agreed, and nothing is decided."""
    electors = step.value["electors"]
    agreeing = {vote["co_author"] for vote in step.value["votes"]}
    return step.target == "proposed" and len(electors) > 1 and agreeing == set(electors)


def vote_to_keep_leaves_it_open(step: Step) -> bool:
    return step.event == "keep" and step.target not in {"kept", "expired"}


def appearing_is_of_the_named_before_one(step: Step) -> bool:
    """It ends the vote only where one elector is left, who would decide alone."""
    if step.event != "appear":
        return True
    return bool(
        step.said["by"] == step.value["public_key"]
        and step.value["electors"] == [step.value["proposed_by"]]
    )


def is_its_proposers_to_withdraw(step: Step) -> bool:
    return step.event != "withdraw" or step.said["by"] == step.value["proposed_by"]


def leaver_is_who_it_is_about(step: Step) -> bool:
    match step.event:
        case "named_left":
            return bool(step.said["leaver"] == step.value["public_key"])
        case "elector_left":
            return bool(step.said["elector"] != step.value["public_key"])
        case _:
            return True


def leaver_is_counted_still(step: Step) -> bool:
    if step.event != "elector_left":
        return False
    leaver = step.said["elector"]
    return leaver in step.value["electors"] or any(
        vote["co_author"] == leaver for vote in step.value["votes"]
    )


def remains_open_before_one_elector_by_leaving(step: Step) -> bool:
    """Others left until one is left to decide: then the vote must begin anew."""
    return (
        step.event == "elector_left"
        and step.target == "proposed"
        and len(step.value["electors"]) < 2
    )


_INVITATION = each("invitation")
_LINK = each("invite_link")
_REMOVAL = each("removal")

_ENDS: Final = (
    (
        "an_open_invitation_ends",
        _INVITATION,
        enters("invitation", "invited"),
        enters("invitation", "accepted", "declined", "revoked", "expired"),
    ),
    (
        "an_open_invite_link_ends",
        _LINK,
        enters("invite_link", "open"),
        enters("invite_link", "used", "revoked", "expired"),
    ),
    (
        "an_open_removal_ends",
        _REMOVAL,
        enters("removal", "proposed"),
        enters("removal", "removed", "kept", "withdrawn", "expired"),
    ),
)
_HAVE_DEADLINES: Final = (
    ("an_open_invitation_has_its_deadline", _INVITATION),
    ("an_open_invite_link_has_its_deadline", _LINK),
    ("an_open_removal_has_its_deadline", _REMOVAL),
)
_LAST_THEIR_TIME: Final = (
    ("no_invitation_expires_early", _INVITATION),
    ("no_invite_link_expires_early", _LINK),
    ("no_removal_expires_early", _REMOVAL),
)

RULES: Final = (
    *(
        Rule(
            name,
            leads_to(opens, ends),
            about,
            "It ends at its deadline, whatever its users do.",
            "docs/protocol.md",
        )
        for name, about, opens, ends in _ENDS
    ),
    *(
        Rule(
            name,
            always(has_its_deadline),
            about,
            "A timer ends it, and none fires at what has ended.",
        )
        for name, about in _HAVE_DEADLINES
    ),
    *(
        Rule(
            name,
            never(expires_early),
            about,
            "Its users have the whole time, unless the thread is archived.",
            "docs/protocol.md",
        )
        for name, about in _LAST_THEIR_TIME
    ),
    Rule(
        "co_authors_invite_outsiders",
        always(inviter_is_a_co_author_and_the_key_is_not),
        _INVITATION,
        "Any co-author may invite, and no other user.",
        "docs/protocol.md",
    ),
    Rule(
        "a_key_is_invited_once_at_a_time",
        never(key_is_invited_already),
        _INVITATION,
        "A thread asks a key once, until that is answered.",
        "docs/protocol.md",
    ),
    Rule(
        "only_the_invited_answers",
        always(answer_is_of_the_invited),
        _INVITATION,
        "No key becomes a co-author against its owner's will, or in another's place.",
        "SECURITY.md",
    ),
    Rule(
        "no_invitation_is_accepted_at_its_deadline",
        never(accepts_too_late),
        _INVITATION,
        "What comes at the deadline is too late.",
        "docs/protocol.md",
    ),
    Rule(
        "an_invitation_is_revoked_by_who_may",
        always(is_revoked_by_a_co_author_or_its_makers_leaving),
        _INVITATION,
        "A co-author takes it back, or it ends with its inviter's leaving.",
        "docs/protocol.md",
    ),
    Rule(
        "a_link_is_revoked_by_who_may",
        always(is_revoked_by_a_co_author_or_its_makers_leaving),
        _LINK,
        "A co-author takes it back, or it ends with its maker's leaving.",
        "docs/protocol.md",
    ),
    Rule(
        "co_authors_make_links",
        always(maker_is_a_co_author),
        _LINK,
        "Any co-author may make one, and no other user.",
        "docs/protocol.md",
    ),
    Rule(
        "no_link_lets_in_at_its_deadline",
        never(lets_in_too_late),
        _LINK,
        "What comes at the deadline is too late.",
        "SECURITY.md",
    ),
    Rule(
        "a_link_is_used_by_an_outsider",
        always(guest_is_an_outsider),
        _LINK,
        "A co-author who opens it leaves it for another.",
        "docs/protocol.md",
    ),
    Rule(
        "a_link_says_who_used_it",
        always(names_its_guest),
        _LINK,
        "Its maker sees who did.",
        "SECURITY.md",
    ),
    Rule(
        "a_co_author_proposes_another",
        always(proposer_and_named_are_two_co_authors),
        _REMOVAL,
        "To go oneself is to leave.",
        "docs/protocol.md",
    ),
    Rule(
        "one_removal_of_one_at_a_time",
        never(two_votes_on_one),
        _REMOVAL,
        "A vote on a co-author is not begun beside another.",
        "docs/protocol.md",
    ),
    Rule(
        "all_the_others_remove",
        never(removed_by_less_than_all_the_others),
        _REMOVAL,
        "One vote to keep a co-author is enough.",
        "docs/protocol.md",
    ),
    Rule(
        "one_elector_removes_none_before_the_deadline",
        never(one_alone_decides_before_the_deadline),
        _REMOVAL,
        "Else each of two could throw the other out.",
        "SECURITY.md",
    ),
    Rule(
        "one_elector_removes_by_silence_alone",
        never(who_is_in_use_is_removed_by_one),
        _REMOVAL,
        "Of two co-authors, each can remove the other who does nothing until the deadline.",
        "SECURITY.md",
    ),
    Rule(
        "only_electors_vote_on_a_removal",
        always(ballot_is_an_electors),
        _REMOVAL,
        "Before the deadline, and never the one who is named.",
        "docs/protocol.md",
    ),
    Rule(
        "an_elector_of_a_removal_votes_once",
        never(ballot_is_cast_twice),
        _REMOVAL,
        "A vote is cast once, and stays.",
        "docs/protocol.md",
    ),
    Rule(
        "the_last_vote_of_several_decides",
        never(waits_with_every_vote),
        _REMOVAL,
        "A removal that every elector wants waits for nothing more.",
        "docs/protocol.md",
    ),
    Rule(
        "one_vote_to_keep_ends_it",
        never(vote_to_keep_leaves_it_open),
        _REMOVAL,
        "A removal is unanimous.",
        "docs/protocol.md",
    ),
    Rule(
        "appearing_ends_a_removal_by_one",
        always(appearing_is_of_the_named_before_one),
        _REMOVAL,
        "A key that is in use is not lost.",
        "docs/protocol.md",
    ),
    Rule(
        "only_its_proposer_withdraws_a_removal",
        always(is_its_proposers_to_withdraw),
        _REMOVAL,
        "The named one cannot.",
        "docs/protocol.md",
    ),
    Rule(
        "a_leaving_ends_what_it_is_about",
        always(leaver_is_who_it_is_about),
        _REMOVAL,
        "Of the named one the proposal, of an elector their vote.",
        "docs/protocol.md",
    ),
    Rule(
        "who_left_votes_on_no_removal",
        never(leaver_is_counted_still),
        _REMOVAL,
        "An elector who leaves the thread takes their vote along.",
        "docs/protocol.md",
    ),
    Rule(
        "a_vote_that_comes_down_to_one_ends",
        never(remains_open_before_one_elector_by_leaving),
        _REMOVAL,
        "Who remains may propose again, and the whole time begins anew.",
        "docs/protocol.md",
    ),
)
