"""What holds of every run: it ends, it keeps its bounds, and something is always under way."""

from typing import Final

from machines.properties.form import (
    Rule,
    always,
    each,
    ends,
    enters,
    eventually,
    leads_to,
    never,
    no,
    takes,
    until,
)
from machines.properties.steps import Step

_ASKING: Final = frozenset({"AICall", "RecallPriors"})
"""Effects that bring a run its next event."""
_FAILURES: Final = frozenset({"ai_failed", "network_failed"})
_ANSWERS: Final = frozenset(
    {
        "step_completed",
        "ai_failed",
        "network_failed",
        "attempt_delayed",
        "state_lost",
        "carrier_lost",
        "chart_changed",
    }
)


def asks_for_something_as_it_ends(step: Step) -> bool:
    return step.is_last and not _ASKING.isdisjoint(step.effects)


def has_its_next_event_under_way(step: Step) -> bool:
    """A run that runs has asked the model or the memory, one that recovers has its timer."""
    if step.is_last:
        return True
    if step.value["health"] == "recovering":
        return "ScheduleTimer" in step.effects
    return not _ASKING.isdisjoint(step.effects)


def passes_its_bound_of_iterations(step: Step) -> bool:
    return bool(step.value["iteration"] > step.value["max_iterations"])


def recovers_with_no_attempt_left(step: Step) -> bool:
    return step.target == "recovering" and step.value["failures"] >= step.value["max_attempts"]


def gives_up_with_attempts_left(step: Step) -> bool:
    """The failure could have passed, and another attempt was allowed."""
    return (
        step.target == "failed"
        and step.event in _FAILURES
        and step.said["retryable"]
        and step.value["failures"] + 1 < step.value["max_attempts"]
    )


def repeats_what_cannot_pass(step: Step) -> bool:
    if step.event not in _FAILURES or step.target != "recovering":
        return False
    return not step.said["retryable"] and not step.said.get("context_exceeded")


def fails_for_a_length_that_could_be_halved(step: Step) -> bool:
    return (
        step.event == "ai_failed"
        and step.target == "failed"
        and step.said["context_exceeded"]
        and not step.value["context_is_halved"]
    )


def halves_its_context(step: Step) -> bool:
    return (
        step.event == "ai_failed"
        and step.target == "recovering"
        and step.said["context_exceeded"]
        and not step.said["retryable"]
    )


def result_is_its_own(step: Step) -> bool:
    """What came back names the run, and the step and iteration that it was asked for."""
    if step.event not in _ANSWERS and step.event not in {"priors_retrieved", "retry_due"}:
        return True
    if step.said["run_id"] != step.value["id"]:
        return False
    if step.event == "step_completed":
        if not step.is_last and step.source == "running":
            return False
        goes_round = step.source == "update" and step.target == "action"
        return bool(
            step.source == {"yield": "yielding"}.get(step.said["step"], step.said["step"])
            and step.said["output"]["step"] == step.said["step"]
            and step.said["iteration"] + goes_round == step.value["iteration"]
        )
    return bool(
        step.said["step"] == step.value["current_step"]
        and step.said["iteration"] == step.value["iteration"]
    )


def attempt_is_the_one_under_way(step: Step) -> bool:
    """A result that does not end its step is of the newest attempt; the next begins when a wait ends."""
    if step.event == "retry_due":
        return bool(step.said["attempt"] + 1 == step.value["attempt"])
    if step.event in _ANSWERS - {"step_completed"} or step.event == "priors_retrieved":
        return bool(step.said["attempt"] == step.value["attempt"])
    return (
        step.event != "step_completed"
        or not step.is_last
        or (step.said["attempt"] == step.value["attempt"])
    )


def answer_ends_it(step: Step) -> bool:
    """It finishes by an answer of yield, or of action where that said that it is enough; or at once,
    where a fork keeps all of another run."""
    if step.target != "finished":
        return True
    if step.event == "start":
        return step.value.get("branch_id") is not None
    if step.event != "step_completed":
        return False
    output = step.said["output"]
    return bool(
        output["step"] == "yield"
        or (output["step"] == "action" and output["enough"] and step.value["iteration"] == 1)
    )


def goes_on_behind_an_answer_that_is_enough(step: Step) -> bool:
    if step.event != "step_completed" or step.said["step"] != "action" or step.is_last:
        return False
    return bool(step.said["output"].get("enough") and step.said["iteration"] == 1)


def loops_as_update_asked(step: Step) -> bool:
    """From update it goes round exactly if that was asked for and the bound allows it."""
    if step.event != "step_completed" or step.source != "update":
        return True
    if step.target == "action":
        return bool(step.said["output"]["loop"])
    return not step.said["output"]["loop"] or (
        step.value["iteration"] >= step.value["max_iterations"]
    )


def keeps_to_its_loop(step: Step) -> bool:
    """From action a short loop goes to yield, a full one to experience."""
    if step.event != "step_completed" or step.source != "action" or step.is_last:
        return True
    return (step.target == "yielding") is (step.value["loop"] == "short")


def starts_beside_another(step: Step) -> bool:
    return step.event == "start" and step.said["thread_is_busy"]


def stop_leaves_an_attempt(step: Step) -> bool:
    return step.target == "cancelled" and "StopAttempt" not in step.effects


def searches(step: Step) -> bool:
    return "RecallPriors" in step.effects and step.event != "retry_due"


def leaves_the_searching_step(step: Step) -> bool:
    return step.event == "step_completed" or step.is_last


def tries_again_or_ends(step: Step) -> bool:
    return step.target == "stable" or step.is_last


def makes_the_attempt(step: Step) -> bool:
    """The attempt that was delayed came to something."""
    return step.event in {"step_completed", "ai_failed", "network_failed"} or step.is_last


def fork_tells_the_memory(step: Step) -> bool:
    return step.value.get("branch_id") is not None and "DBOperation" in step.effects


_ENDS = ends("chorus")
_HAS_PRIORS = takes("chorus", "priors_retrieved")
_STARTS = takes("chorus", "start")
_DELAYED = takes("chorus", "attempt_delayed")

RULES: Final = (
    Rule(
        "every_run_ends",
        eventually(_ENDS),
        each("chorus"),
        "A prompt that is accepted is answered, or its co-authors are told why not.",
        "docs/protocol.md",
    ),
    Rule(
        "a_started_run_ends",
        leads_to(_STARTS, _ENDS),
        each("chorus"),
        "No user needs to do anything for it.",
        "docs/protocol.md",
    ),
    Rule(
        "a_recovering_run_tries_again_or_ends",
        leads_to(
            enters("chorus", "recovering"),
            tries_again_or_ends,
        ),
        each("chorus"),
        "A wait ends by its timer, also behind a restart.",
        "docs/reliability.md",
    ),
    Rule(
        "no_run_starts_twice",
        never(_STARTS, after=_STARTS),
        each("chorus"),
        "A run is run once; who wants another asks for one.",
    ),
    Rule(
        "no_run_runs_unstarted",
        until(takes("chorus", "start", "cancel", "chart_changed"), _STARTS),
        each("chorus"),
        "A queued run is left alone: it starts, is cancelled, or a changed chart ends it.",
    ),
    Rule(
        "nothing_is_asked_as_a_run_ends",
        never(asks_for_something_as_it_ends),
        each("chorus"),
        "Nothing streams behind the end of a run.",
        "docs/protocol.md",
    ),
    Rule(
        "a_live_run_has_its_next_event_under_way",
        always(has_its_next_event_under_way),
        each("chorus"),
        "A run that waits for nothing would never end.",
    ),
    Rule(
        "update_goes_back_at_most_as_often_as_allowed",
        never(passes_its_bound_of_iterations),
        each("chorus"),
        "A model that always asks for another iteration costs a bounded number of calls.",
        "SECURITY.md",
    ),
    Rule(
        "attempts_are_bounded",
        never(recovers_with_no_attempt_left),
        each("chorus"),
        "An endpoint that always fails costs a bounded number of calls.",
        "SECURITY.md",
    ),
    Rule(
        "no_run_gives_up_early",
        never(gives_up_with_attempts_left),
        each("chorus"),
        "A failure that may pass costs an attempt, and no run before the last.",
        "docs/reliability.md",
    ),
    Rule(
        "what_cannot_pass_is_not_repeated",
        never(repeats_what_cannot_pass),
        each("chorus"),
        "A refused key or an unknown model is reported at once.",
        "docs/protocol.md",
    ),
    Rule(
        "a_context_is_halved_before_a_run_fails_for_its_length",
        never(fails_for_a_length_that_could_be_halved),
        each("chorus"),
        "A request that was too long is asked again with half of it.",
    ),
    Rule(
        "a_context_is_halved_once",
        never(halves_its_context, after=halves_its_context),
        each("chorus"),
        "A request that is too long at half its length ends the run.",
    ),
    Rule(
        "a_foreign_result_changes_nothing",
        always(result_is_its_own),
        each("chorus"),
        "What was asked for another run, step or iteration is refused.",
        "docs/protocol.md",
    ),
    Rule(
        "a_late_result_changes_nothing",
        always(attempt_is_the_one_under_way),
        each("chorus"),
        "What an attempt brings that was given up is refused.",
        "docs/protocol.md",
    ),
    Rule(
        "a_run_finishes_with_an_answer",
        always(answer_ends_it),
        each("chorus"),
        "A failure is never content.",
        "docs/protocol.md",
    ),
    Rule(
        "enough_is_enough",
        never(goes_on_behind_an_answer_that_is_enough),
        each("chorus"),
        "Where the first answer is enough, nothing more is asked.",
        "docs/protocol.md",
    ),
    Rule(
        "a_run_loops_if_update_asks_and_the_bound_allows",
        always(loops_as_update_asked),
        each("chorus"),
        "Neither a loop that nothing asked for, nor an end that came too early.",
        "docs/protocol.md",
    ),
    Rule(
        "a_short_loop_skips_the_middle",
        always(keeps_to_its_loop),
        each("chorus"),
        "`CHORUS_LOOP` says which steps a run goes through.",
        "docs/operations.md",
    ),
    Rule(
        "no_run_starts_in_a_busy_thread",
        never(starts_beside_another),
        each("chorus"),
        "The prompts of a thread are run one after the other.",
        "docs/protocol.md",
    ),
    Rule(
        "a_cancelled_run_stops_its_attempt",
        never(stop_leaves_an_attempt),
        each("chorus"),
        "An endpoint does not go on generating for a run that is over.",
        "docs/protocol.md",
    ),
    Rule(
        "the_model_waits_for_the_priors",
        until(
            no(takes("chorus", "step_completed")),
            _HAS_PRIORS,
            after=searches,
        ),
        each("chorus"),
        "A step that searches is not answered before the search is.",
        "docs/protocol.md",
    ),
    Rule(
        "priors_come_once_for_a_step",
        until(no(_HAS_PRIORS), leaves_the_searching_step, after=_HAS_PRIORS),
        each("chorus"),
        "A search that answers twice does not add priors behind the model's back.",
    ),
    Rule(
        "an_attempt_is_delayed_once",
        until(no(_DELAYED), makes_the_attempt, after=_DELAYED),
        each("chorus"),
        "An open breaker holds no run for ever.",
        "docs/reliability.md",
    ),
    Rule(
        "a_forked_run_tells_the_memory_nothing",
        never(fork_tells_the_memory),
        each("chorus"),
        "The memory learns of a branch as it is adopted.",
        "SECURITY.md",
    ),
)
