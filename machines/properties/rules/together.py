"""What holds of several machines together: message, run, branch, thread and connection.

One thread's runs, messages and co-authors share a stream of the journal, whose order is theirs.
"""

from typing import Final

from machines.properties.form import (
    Rule,
    Slice,
    enters,
    leads_to,
    never,
    no,
    takes,
    until,
)
from machines.properties.steps import Step


def _here(_: Step) -> str:
    return "thread"


def _prompt_of_run(step: Step) -> str:
    return str(step.value["message_id"])


def _itself(step: Step) -> str:
    return step.instance


def _run_that_answers(step: Step) -> str | None:
    """The run of a branch, and of an answer."""
    if step.machine == "message" and step.value["role"] != "chorus":
        return None
    return str(step.value["run_id"])


def _answer_that_is_replaced(step: Step) -> str | None:
    """The answer that goes, or in whose place another one is given."""
    if step.event == "replace_answer":
        return step.instance
    replaced = step.value.get("supersedes") if step.event == "answer" else None
    return None if replaced is None else str(replaced)


def _whose_right(step: Step) -> str | None:
    """The key that gains or loses a right by a step, or uses it."""
    match step.machine:
        case "thread":
            key = step.said.get("public_key", step.said.get("actor"))
        case "message" | "removal":
            key = step.said.get("voter")
        case "connection":
            key = (step.value["user"] or step.was["user"] or {}).get("public_key")
        case _:
            key = None
    return None if key is None else str(key)


THREAD: Final = Slice("thread", {"thread": _here, "chorus": _here, "message": _here})
"""All that happens in a thread."""
PROMPT: Final = Slice("prompt", {"message": _itself, "chorus": _prompt_of_run})
"""A message with its runs."""
ANSWERED: Final = Slice("prompt", {"branch": _prompt_of_run, "chorus": _prompt_of_run})
"""The runs of a message, with the branches that forks of them grow."""
ANSWER: Final = Slice("answer", {"branch": _run_that_answers, "message": _run_that_answers})
"""The answer of one run: a message of the thread, or a branch before that."""
REPLACED: Final = Slice("answer", {"message": _answer_that_is_replaced})
"""An answer with the one that takes its place."""
RIGHTS: Final = Slice(
    "rights", {"thread": _whose_right, "message": _whose_right, "removal": _whose_right}
)
"""What one key may do in a thread, and does."""
AUDIENCE: Final = Slice("audience", {"thread": _whose_right, "connection": _whose_right})
"""A key with its connections."""


def run_ends(step: Step) -> bool:
    """A run that had started."""
    return step.machine == "chorus" and step.is_last and step.source != "queued"


def run_goes_on(step: Step) -> bool:
    """It starts, and is not over by that, as a fork is that keeps another run's answer."""
    return step.machine == "chorus" and step.event == "start" and not step.is_last


def run_of_the_prompt_ends(step: Step) -> bool:
    return step.machine == "chorus" and step.is_last


def prompt_is_approved(step: Step) -> bool:
    """A user's message that is to be answered."""
    return step.machine == "message" and step.target == "approved" and step.event != "answer"


def answer_is_given(step: Step) -> bool:
    """It becomes a message of the thread: what is shown, exported, recalled and read by later runs."""
    return step.machine == "message" and step.event == "answer"


def run_answers(step: Step) -> bool:
    """A run that is no fork has its answer."""
    return step.target == "finished" and step.value.get("branch_id") is None


def prompt_is_answered(step: Step) -> bool:
    """By a run of its own, or by a branch."""
    return run_answers(step) or (step.machine == "branch" and step.target == "adopted")


def something_begins(step: Step) -> bool:
    """A run starts, or a message is said."""
    return (step.machine == "chorus" and step.event == "start") or (
        step.machine == "message" and step.is_first
    )


def goes(step: Step) -> bool:
    return step.machine == "thread" and step.event in {"leave", "remove"}


def acts_as_a_co_author(step: Step) -> bool:
    """Casts a vote that counts, or changes the thread."""
    if step.machine == "thread":
        return step.event in {"rename", "configure", "archive"}
    return "voter" in step.said and step.target != "expired"


def follows(step: Step) -> bool:
    return step.machine == "connection" and "FollowThread" in step.effects


_JOINS = takes("thread", "join")
_STARTS = takes("chorus", "start")

RULES: Final = (
    Rule(
        "one_run_of_a_thread_at_a_time",
        until(no(_STARTS), run_ends, after=run_goes_on),
        THREAD,
        "The prompts of a thread are run one after the other.",
        "docs/protocol.md",
    ),
    Rule(
        "no_run_starts_of_what_is_not_approved",
        until(no(_STARTS), prompt_is_approved, after=enters("message", "pending")),
        PROMPT,
        "Only approved messages enter any prompt.",
        "SECURITY.md",
    ),
    Rule(
        "an_approved_prompt_is_run_to_an_end",
        leads_to(prompt_is_approved, run_of_the_prompt_ends),
        PROMPT,
        "Approval queues the run of the prompt, and every run ends.",
        "docs/protocol.md",
    ),
    Rule(
        "what_was_written_anew_is_run_no_more",
        never(_STARTS, after=enters("message", "superseded")),
        PROMPT,
        "Its run stops, and none is started of it.",
        "docs/protocol.md",
    ),
    Rule(
        "what_was_turned_down_is_never_run",
        never(_STARTS, after=enters("message", "rejected", "expired", "withdrawn")),
        PROMPT,
        "A message that did not count costs no call.",
        "docs/protocol.md",
    ),
    Rule(
        "nothing_begins_in_an_archived_thread",
        never(something_begins, after=takes("thread", "archive")),
        THREAD,
        "It is only read.",
        "docs/protocol.md",
    ),
    Rule(
        "who_is_out_acts_no_more_as_a_co_author",
        until(no(acts_as_a_co_author), _JOINS, after=goes),
        RIGHTS,
        "Who left or was removed votes on nothing and changes nothing, until they are let in again.",
        "SECURITY.md",
    ),
    Rule(
        "who_is_out_follows_no_private_thread",
        until(no(follows), _JOINS, after=goes),
        AUDIENCE,
        "A removed co-author's connection does not come back into the thread.",
        "SECURITY.md",
    ),
    Rule(
        "no_answer_of_a_fork_before_its_adoption",
        until(no(answer_is_given), enters("branch", "adopted"), after=takes("branch", "fork")),
        ANSWER,
        "It is in no page of the thread, no export, no later prompt and no memory before all agreed.",
        "docs/protocol.md",
    ),
    Rule(
        "a_run_gives_one_answer",
        never(answer_is_given, after=answer_is_given),
        ANSWER,
        "Whatever dies between: the answer and the end of its run, or its adoption, are one transaction.",
        "docs/protocol.md",
    ),
    Rule(
        "a_prompt_that_is_answered_is_answered_anew_by_a_branch_alone",
        never(run_answers, after=prompt_is_answered),
        ANSWERED,
        "One answer belongs to a prompt: a run that was begun meanwhile is cancelled.",
        "docs/protocol.md",
    ),
    Rule(
        "an_answer_that_is_adopted_takes_the_place_of_the_one_before",
        leads_to(answer_is_given, takes("message", "replace_answer")),
        REPLACED,
        "One answer belongs to a prompt.",
        "docs/protocol.md",
    ),
)
