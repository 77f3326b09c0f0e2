"""What a run reads of its thread, and the message that its answer becomes. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from machines.models.chorus import ChorusState, ContextMessage, RunStatus
from machines.models.domain import Role
from machines.models.fork import ForkMark
from machines.models.ids import MessageId
from machines.models.message import Message
from machines.models.outputs import IntentionOutput, YieldOutput

CONTEXT_MESSAGES: Final = 16
"""Recent messages that a run's prompts may quote."""


def context_of(
    run: ChorusState, recent: Sequence[Message], runs: Iterable[ChorusState]
) -> tuple[ContextMessage, ...]:
    """The recent messages before the prompt, and what was said since the prompt came.

    Args:
        runs: Of the thread, that are not final: a prompt that waits is no context yet.
    """
    waiting = {
        each.message_id
        for each in runs
        if each.status is RunStatus.QUEUED and each.branch_id is None
    }
    others = [
        each
        for each in recent
        if each.id not in {run.message_id, *waiting} and not each.is_extractive
    ]
    return tuple(
        ContextMessage(
            message_id=each.id,
            role=each.role,
            author=each.author,
            content=each.content,
            created_at=each.created_at,
        )
        for each in others[-CONTEXT_MESSAGES:]
    )


def answer_of(
    run: ChorusState,
    *,
    index: int,
    at: datetime,
    supersedes: MessageId | None = None,
    forked_from: ForkMark | None = None,
) -> Message:
    """The answer of a finished run, as the message at `index` of its thread."""
    record = run.steps[-1]
    output = record.output
    is_changed = run.prefix is not None and run.prefix.goes_on_with is None
    return Message(
        id=run.answer_id,
        thread_id=run.thread_id,
        index=index,
        role=Role.CHORUS,
        author=None,
        content=record.text,
        run_id=run.id,
        supersedes=supersedes,
        forked_from=forked_from,
        # A text that a user put in its place is no model's.
        model=None if is_changed else run.model,
        # Action cites nothing: it is given no priors.
        citations=output.citations if isinstance(output, YieldOutput) else (),
        usage=record.usage,
        cut=record.cut,
        created_at=at,
        updated_at=at,
    )


def links_of(run: ChorusState) -> tuple[tuple[MessageId, str], ...]:
    """(prior, why) of the priors that a run selected, each once."""
    chosen = {
        each.message_id: each.why
        for record in run.steps
        if isinstance(record.output, IntentionOutput)
        for each in record.output.selected_priors
    }
    return tuple(chosen.items())
