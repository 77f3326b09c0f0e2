"""What holds of every connection and of every breaker. No journal records them: these rules are judged in a
search alone, so they may read the value before a step."""

from functools import partial
from typing import Final

from machines.connection_rules import MAX_SIGN_IN_FAILURES
from machines.properties.form import (
    READS_BEFORE,
    Rule,
    always,
    each,
    enters,
    leads_to,
    never,
    no,
    takes,
    until,
)
from machines.properties.steps import Step, moment

_SIGNED_IN: Final = frozenset({"ready", "in_thread"})
_SIGN_INS: Final = frozenset({"authenticate", "signature_checked", "session_looked_up"})

# --- Signing in ----------------------------------------------------------------------------------


def acts_without_a_user(step: Step) -> bool:
    acting = {"PerformRequest", "FollowThread", "CheckAccess"}
    return not acting.isdisjoint(step.effects) and step.value["status"] not in _SIGNED_IN


def signs_in(step: Step) -> bool:
    return "Welcome" in step.effects


def signs_in_by_signature(step: Step) -> bool:
    return signs_in(step) and step.event == "signature_checked"


def challenge_is_asked_for(step: Step) -> bool:
    return "IssueChallenge" in step.effects


def challenge_is_made(step: Step) -> bool:
    return step.event == "challenge_issued"


def signature_is_checked(step: Step) -> bool:
    return "VerifySignature" in step.effects


def checks_a_signature_too_late(step: Step) -> bool:
    return signature_is_checked(step) and (
        moment(step.said["at"]) >= moment(step.was["challenge"]["expires_at"])
    )


def refuses_a_signature_in_time(step: Step) -> bool:
    """There is a challenge, and it has not expired."""
    challenge = step.was["challenge"]
    if step.event != "authenticate" or challenge is None or signature_is_checked(step):
        return False
    return moment(step.said["at"]) < moment(challenge["expires_at"])


def _is_valid(step: Step) -> bool:
    if step.event == "signature_checked":
        return bool(step.said["valid"] and step.said["user"] and step.said["session"])
    session, user = step.said["session"], step.said["user"]
    return bool(
        session
        and user
        and session["id"] == step.said["token_hash"]
        and session["public_key"] == user["public_key"]
        and moment(step.said["at"]) < moment(session["expires_at"])
    )


def valid_alone_signs_in(step: Step) -> bool:
    """What is valid signs in, and nothing else does."""
    if step.event not in {"signature_checked", "session_looked_up"}:
        return not signs_in(step)
    return signs_in(step) is _is_valid(step)


def answer_is_of_what_was_asked_last(step: Step) -> bool:
    match step.event:
        case "signature_checked":
            return bool(step.was["checking"])
        case "session_looked_up":
            return bool(step.said["token_hash"] == step.was["looked_up"])
        case "access_checked":
            return bool(step.said["thread_id"] == step.was["wanted_thread"])
        case _:
            return True


def resumes_anothers_session(step: Step) -> bool:
    """An interrupted connection looks up a session that is not its own."""
    return (
        "LookUpSession" in step.effects
        and step.source == "interrupted"
        and step.said["token_hash"] != step.was["token_hash"]
    )


def failed_sign_in_is_counted(step: Step) -> bool:
    """It counts, until one succeeds; the third closes the connection, and no other does."""
    if step.event not in _SIGN_INS or signs_in(step) or signature_is_checked(step):
        return True
    failures = step.value["failures"]
    # An interrupted connection has signed in before, so that its first failure is one of three.
    closes = failures >= MAX_SIGN_IN_FAILURES
    return bool(
        failures == step.was["failures"] + 1 and (step.value["status"] == "closed") is closes
    )


def session_ends_with_its_sign_out(step: Step) -> bool:
    return step.event != "sign_out" or (step.is_last and "EndSession" in step.effects)


def lost_socket_keeps_the_session(step: Step) -> bool:
    """Of who is signed in; a connection of no user ends with its socket."""
    if step.event != "network_lost":
        return True
    if step.was["user"] is None:
        return step.is_last
    return step.target == "interrupted" and step.value["token_hash"] == step.was["token_hash"]


# --- In a thread ---------------------------------------------------------------------------------


def readable_alone_is_followed(step: Step) -> bool:
    if step.event != "access_checked":
        return "FollowThread" not in step.effects
    return ("FollowThread" in step.effects) is step.said["readable"]


def follows(step: Step) -> bool:
    return "FollowThread" in step.effects


def asks_for_access(step: Step) -> bool:
    return "CheckAccess" in step.effects


def lets_go_of_its_thread(step: Step) -> bool:
    """It follows a thread exactly while it is in one, and stops before it follows another."""
    followed, follows_now = step.was["thread_id"], step.value["thread_id"]
    if (follows_now is not None) is not (step.value["status"] == "in_thread"):
        return False
    stops = followed is not None and (followed != follows_now or follows(step))
    return ("UnfollowThread" in step.effects) is stops


def leaves_the_thread_that_is_named(step: Step) -> bool:
    """Leaving, or losing, the followed thread ends the following; of another it changes nothing."""
    if step.event not in {"leave_thread", "thread_lost"}:
        return True
    if step.was["thread_id"] is None:
        return True
    goes = step.said["thread_id"] == step.was["thread_id"]
    return (step.value["thread_id"] is None) is goes


# --- Breakers ------------------------------------------------------------------------------------


def _goes_out(step: Step) -> bool:
    """An attempt at an open breaker is due: its time has come, or it has waited."""
    return bool(step.said["has_waited"] or step.said["at"] >= step.was["probe_at"])


def attempt_that_is_due_probes(step: Step) -> bool:
    if step.event != "attempt" or step.source != "open":
        return True
    return (step.target == "half_open") is _goes_out(step)


def failures_in_a_row_open_it(step: Step) -> bool:
    if step.event != "failed" or step.source != "closed":
        return True
    reached = step.was["failures"] + 1 >= step.was["policy"]["threshold"]
    return (step.target == "open") is reached


def report_is_of_the_probe(step: Step) -> bool:
    if step.source != "half_open" or step.event not in {"failed", "abandoned"}:
        return True
    return bool(step.said["attempt"] == step.was["probe"])


def waits_shorter_than_before(step: Step) -> bool:
    """A probe failed, and the next is due no later than after the wait before."""
    return (
        step.event == "failed"
        and step.source == "half_open"
        and step.value["wait_seconds"]
        < min(2 * step.was["wait_seconds"], step.was["policy"]["longest_wait_seconds"])
    )


def answer_closes_it(step: Step) -> bool:
    return step.event != "answered" or (step.target == "closed" and step.value["failures"] == 0)


_STILL_THERE = enters("connection", "ready", "connecting", "closed")
_searched = partial(Rule, searched_only=READS_BEFORE)

RULES: Final = (
    Rule(
        "nothing_is_done_without_a_user",
        never(acts_without_a_user),
        each("connection"),
        "Requests, threads and rights begin with a sign-in.",
        "SECURITY.md",
    ),
    Rule(
        "a_signature_needs_a_challenge_of_its_own",
        until(no(signature_is_checked), challenge_is_made, after=signature_is_checked),
        each("connection"),
        "A nonce serves once.",
        "SECURITY.md",
    ),
    Rule(
        "a_signature_needs_a_challenge",
        until(no(signature_is_checked), challenge_is_made),
        each("connection"),
        "What is signed is a statement of the server's own.",
        "SECURITY.md",
    ),
    Rule(
        "a_challenge_is_asked_for",
        until(no(challenge_is_made), challenge_is_asked_for, after=challenge_is_made),
        each("connection"),
        "One challenge for each key that is named.",
        "SECURITY.md",
    ),
    Rule(
        "no_user_signs_in_without_a_check",
        until(no(signs_in_by_signature), signature_is_checked),
        each("connection"),
        "A connection is ready only behind a check of a signature.",
        "SECURITY.md",
    ),
    Rule(
        "a_check_signs_in_once",
        until(no(signs_in_by_signature), signature_is_checked, after=signs_in),
        each("connection"),
        "Who signs in again signs a new statement.",
        "SECURITY.md",
    ),
    _searched(
        "no_signature_is_checked_at_its_deadline",
        never(checks_a_signature_too_late),
        each("connection"),
        "A challenge is answered in time.",
        "SECURITY.md",
    ),
    _searched(
        "a_signature_in_time_is_checked",
        never(refuses_a_signature_in_time),
        each("connection"),
        "Who answers their challenge in time is not refused unseen.",
        "docs/protocol.md",
    ),
    _searched(
        "what_is_valid_alone_signs_in",
        always(valid_alone_signs_in),
        each("connection"),
        "A wrong signature, or a session that is over or another's, opens nothing.",
        "SECURITY.md",
    ),
    _searched(
        "late_answers_change_nothing",
        always(answer_is_of_what_was_asked_last),
        each("connection"),
        "An answer that nothing asked for signs no one in, and opens no thread.",
        "SECURITY.md",
    ),
    _searched(
        "a_connection_resumes_its_own_session",
        never(resumes_anothers_session),
        each("connection"),
        "A connection that was interrupted stays its user's.",
        "SECURITY.md",
    ),
    Rule(
        "who_signed_out_signs_in_anew",
        never(signs_in, after=takes("connection", "sign_out")),
        each("connection"),
        "A connection that signed out never becomes ready: a new one takes a new challenge.",
        "SECURITY.md",
    ),
    _searched(
        "a_failed_sign_in_is_counted",
        always(failed_sign_in_is_counted),
        each("connection"),
        "Three failed sign-ins close the socket.",
        "SECURITY.md",
    ),
    Rule(
        "a_sign_out_ends_the_session",
        always(session_ends_with_its_sign_out),
        each("connection"),
        "Its token opens nothing any more.",
        "SECURITY.md",
    ),
    _searched(
        "a_lost_socket_keeps_the_session",
        always(lost_socket_keeps_the_session),
        each("connection"),
        "A client that comes back misses nothing.",
        "docs/protocol.md",
    ),
    _searched(
        "what_may_be_read_alone_is_followed",
        always(readable_alone_is_followed),
        each("connection"),
        "A thread is shown to who may read it.",
        "SECURITY.md",
    ),
    Rule(
        "a_thread_is_followed_behind_a_check",
        until(no(follows), asks_for_access, after=follows),
        each("connection"),
        "Each following is checked by itself.",
        "SECURITY.md",
    ),
    _searched(
        "a_connection_follows_the_thread_that_it_is_in",
        always(lets_go_of_its_thread),
        each("connection"),
        "Frames of a thread reach a connection only while it is in it.",
        "SECURITY.md",
    ),
    _searched(
        "a_connection_leaves_the_thread_that_is_named",
        always(leaves_the_thread_that_is_named),
        each("connection"),
        "Leaving one thread ends no other.",
        "docs/protocol.md",
    ),
    Rule(
        "an_interrupted_connection_resumes_or_ends",
        leads_to(enters("connection", "interrupted"), _STILL_THERE),
        each("connection"),
        "A session that is kept ends with its time.",
        "SECURITY.md",
    ),
    Rule(
        "an_open_breaker_tries_again",
        leads_to(enters("breaker", "open"), enters("breaker", "half_open", "closed", "retired")),
        each("breaker"),
        "An endpoint that is back is found.",
        "docs/reliability.md",
    ),
    Rule(
        "a_probe_ends",
        leads_to(enters("breaker", "half_open"), enters("breaker", "open", "closed", "retired")),
        each("breaker"),
        "A probe that is lost holds nothing back for ever.",
        "docs/reliability.md",
    ),
    _searched(
        "an_attempt_that_is_due_probes",
        always(attempt_that_is_due_probes),
        each("breaker"),
        "No attempt waits twice, none probes before its time.",
        "docs/reliability.md",
    ),
    _searched(
        "failures_in_a_row_open_a_breaker",
        always(failures_in_a_row_open_it),
        each("breaker"),
        "At the threshold, and not before.",
        "docs/reliability.md",
    ),
    _searched(
        "a_probe_is_judged_by_its_own_report",
        always(report_is_of_the_probe),
        each("breaker"),
        "What began before the breaker opened tells nothing new.",
    ),
    _searched(
        "waits_grow_to_their_bound",
        never(waits_shorter_than_before),
        each("breaker"),
        "An endpoint that stays away is asked less and less often.",
        "docs/reliability.md",
    ),
    Rule(
        "an_answer_closes_a_breaker",
        always(answer_closes_it),
        each("breaker"),
        "Whichever attempt it is of: the endpoint is there.",
    ),
)
