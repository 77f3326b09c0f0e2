"""Decisions about runs: stop one, run a message again, bring an event to one, take one over from another
declaration of its chart.
"""

from machines.decisions.changes import Decided
from machines.decisions.rights import co_author_of, no_such_run, refusal_of
from machines.decisions.unit_of_work import Draft
from machines.models.chorus import ChorusState, RunStatus
from machines.models.commands import AdvanceRun, Facts, Policy, RetryRun, StopRun, TakeOverRun
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.message import MessageStatus
from machines.models.thread import ThreadStatus

BUSY_RETRY_MS = 5_000
"""When a full queue may have room again; a run's length is not known beforehand."""


def stop_run(draft: Draft, command: StopRun, facts: Facts) -> Decided:
    """Cancel a run that is not over; the next one starts."""
    by = co_author_of(draft.thread, command.by)
    run = _named_run(draft, facts, command.run_id)
    draft.cancel_run(run, by=by)
    draft.start_next()
    return draft.decision(message_id=run.message_id, run_id=run.id)


def retry_run(draft: Draft, command: RetryRun, facts: Facts, policy: Policy) -> Decided:
    """Run a message again whose latest run failed or was cancelled."""
    co_author_of(draft.thread, command.by)
    run = _named_run(draft, facts, command.run_id)
    message = facts.message
    if message is None or message.id != run.message_id:
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such message.")
    if draft.thread.status is not ThreadStatus.ACTIVE:
        raise refusal_of("thread", draft.thread.status.value, "retry_run")
    if message.status is not MessageStatus.APPROVED:
        raise refusal_of("message", message.status.value, "retry_run", "message_is_approved")
    if run.status not in {RunStatus.FAILED, RunStatus.CANCELLED}:
        raise refusal_of("chorus", run.status.value, "retry_run", "run_failed_or_was_cancelled")
    if message.run_id != run.id:
        raise refusal_of("chorus", run.status.value, "retry_run", "run_is_the_latest")
    require_room_in_queue(draft, policy)
    run, message = draft.create_run(message)
    draft.queue_run(run, message)
    return draft.decision(message_id=message.id, run_id=run.id)


def advance_run(draft: Draft, command: AdvanceRun) -> Decided:
    """An event for a run that is under way, or waits."""
    run = draft.runs.get(command.run_id)
    if run is None:
        raise no_such_run()
    draft.fire_run(run, command.event)
    draft.advances.append(run.id)
    draft.start_next()
    return draft.decision(message_id=run.message_id, run_id=run.id)


def take_over_run(draft: Draft, command: TakeOverRun) -> Decided:
    """What `machines.decisions.succession` decided of a run of this very version."""
    before = draft.runs.get(command.run.id)
    if before is None or before.version != command.run.version:
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such run.")
    draft.fire_run(command.run, command.event, before=before)
    if before.status is RunStatus.RUNNING:
        draft.advances.append(before.id)
    draft.start_next()
    return draft.decision(message_id=before.message_id, run_id=before.id)


def require_room_in_queue(draft: Draft, policy: Policy) -> None:
    """Raises RequestRefused: thread_busy."""
    waiting = sum(run.status is RunStatus.QUEUED for run in draft.runs.values())
    if policy.thread_queue and waiting >= policy.thread_queue:
        raise RequestRefused(
            ErrorCode.THREAD_BUSY,
            "Too many prompts wait in this thread.",
            retry_after_ms=BUSY_RETRY_MS,
            retryable=True,
        )


def _named_run(draft: Draft, facts: Facts, run_id: str) -> ChorusState:
    run = draft.runs.get(run_id, facts.run)
    if run is None or run.id != run_id:
        raise no_such_run()
    return run
