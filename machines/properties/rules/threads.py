"""What holds of every thread: who may change it, and what it never loses. And what holds of every machine:
a final state is never left."""

from typing import Final

from machines.charts import all_charts
from machines.properties.form import Rule, Slice, always, each, never, no, takes, until
from machines.properties.steps import Step, life_of

_ASKED_BY_A_CO_AUTHOR: Final = frozenset({"rename", "configure", "archive"})


def leaves_a_final_state(step: Step) -> bool:
    return step.source in life_of(step.machine).final


def has_no_co_author(step: Step) -> bool:
    return not step.value["co_authors"]


def is_in_debt(step: Step) -> bool:
    return bool(step.value["token_balance"] < 0)


def actor_is_a_co_author(step: Step) -> bool:
    return step.event not in _ASKED_BY_A_CO_AUTHOR or step.said["actor"] in step.value["co_authors"]


def one_user_lets_in_or_out_another(step: Step) -> bool:
    return step.event in {"join", "remove"} and step.said["actor"] is not None


def co_author_is_listed_twice(step: Step) -> bool:
    listed = step.value["co_authors"]
    return len(set(listed)) != len(listed)


def who_joins_is_in_and_who_goes_is_out(step: Step) -> bool:
    match step.event:
        case "join":
            return step.said["public_key"] in step.value["co_authors"]
        case "leave" | "remove":
            return step.said["public_key"] not in step.value["co_authors"]
        case _:
            return True


def archiving_alone_ends_it(step: Step) -> bool:
    return step.is_last is (step.event == "archive")


def _member(step: Step) -> str | None:
    key = step.said.get("public_key")
    return None if key is None else str(key)


_GOES = takes("thread", "leave", "remove")
_JOINS = takes("thread", "join")

MEMBER: Final = Slice("member", {"thread": _member})
"""What happens to one key in a thread."""

ANY: Final = Slice(
    "any",
    {chart.machine: lambda step: step.instance for chart in all_charts()},
    is_one_value=True,
)
"""One value of whichever machine."""

RULES: Final = (
    Rule(
        "a_final_state_is_never_left",
        never(leaves_a_final_state),
        ANY,
        "What has ended stays as it ended: rejected, expired, removed, failed, archived, closed.",
        "docs/protocol.md",
    ),
    Rule(
        "a_thread_has_a_co_author",
        never(has_no_co_author),
        each("thread"),
        "A thread that no one may change would wait for its votes for ever.",
        "docs/protocol.md",
    ),
    Rule(
        "a_co_author_is_listed_once",
        never(co_author_is_listed_twice),
        each("thread"),
        "A vote of a key counts once.",
    ),
    Rule(
        "a_balance_is_never_below_zero",
        never(is_in_debt),
        each("thread"),
        "What a thread does not have is not taken from it.",
        "docs/protocol.md",
    ),
    Rule(
        "only_co_authors_change_a_thread",
        always(actor_is_a_co_author),
        each("thread"),
        "Name, instructions, model and archiving are the co-authors'.",
        "docs/protocol.md",
    ),
    Rule(
        "no_user_lets_another_in_or_out",
        never(one_user_lets_in_or_out_another),
        each("thread"),
        "Joining takes an approval or an acceptance, removing a vote of all the others.",
        "SECURITY.md",
        "until 0.3.0 a co-author added another without asking them",
    ),
    Rule(
        "a_change_of_co_authors_takes_place",
        always(who_joins_is_in_and_who_goes_is_out),
        each("thread"),
        "Who left or was removed has no right of a co-author any more, who joined has all.",
        "SECURITY.md",
    ),
    Rule(
        "archiving_alone_ends_a_thread",
        always(archiving_alone_ends_it),
        each("thread"),
        "And a thread that was archived is only read.",
        "docs/protocol.md",
    ),
    Rule(
        "who_is_out_goes_no_second_time",
        until(no(_GOES), _JOINS, after=_GOES),
        MEMBER,
        "A key that is no co-author cannot leave, nor be removed.",
        "docs/protocol.md",
    ),
    Rule(
        "who_is_in_joins_no_second_time",
        until(no(_JOINS), _GOES, after=_JOINS),
        MEMBER,
        "A co-author is let in once, until they go.",
        "docs/protocol.md",
    ),
)
