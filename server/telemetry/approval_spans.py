"""The span of a message that waited for its electors: a trace of its own, which its run links to.

It begins with the submission and ends with what became of it. A message that was refused by an elector,
or that ran out of time, came to nothing: its span has failed, and `error.type` says which it was.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from machines.models.domain import Deleted
from machines.models.journal import JournalEntry, MachineTransition
from machines.models.message import MessageStatus
from server.telemetry import conventions as names
from server.telemetry.span import (
    Attribute,
    Span,
    SpanEvent,
    SpanLink,
    nanoseconds,
    span_id_of,
    trace_id_of,
)

APPROVAL: Final = "approval"
"""The name of the span, and its place in its trace."""

VOTE: Final = "chorus.vote"

_FAILED: Final = frozenset({MessageStatus.REJECTED, MessageStatus.EXPIRED})


def approval_spans(entry: JournalEntry) -> Iterator[Span]:
    """A span for each message whose wait ends with this entry."""
    for taken in entry.transitions:
        if (
            taken.machine == "message"
            and taken.source == MessageStatus.PENDING
            and taken.target != MessageStatus.PENDING
        ):
            value = _value_of(entry, taken.instance)
            if value is not None:
                yield _approval(entry, taken, value)


def approval_link(message_id: str) -> SpanLink:
    """The span of a message's approval, for a span that follows from it."""
    return SpanLink(trace_id_of(message_id), span_id_of(message_id, APPROVAL))


def _approval(entry: JournalEntry, taken: MachineTransition, value: Mapping[str, Any]) -> Span:
    status = MessageStatus(taken.target)
    link = approval_link(taken.instance)
    votes = [_vote(each) for each in value["approvals"]]
    attributes: dict[str, Attribute] = {
        names.CONVERSATION: str(value["thread_id"]),
        names.MESSAGE: taken.instance,
        names.MESSAGE_STATUS: status.value,
        names.ELECTORS: len(value["electors"]),
        names.VOTES: len(votes),
        **names.ended_by(taken, entry.seq),
    }
    failed = status in _FAILED
    if failed:
        attributes[names.ERROR_TYPE] = status.value
    start = nanoseconds(_moment(value["created_at"]))
    return Span(
        trace_id=link.trace_id,
        span_id=link.span_id,
        name=APPROVAL,
        start=start,
        end=max(nanoseconds(entry.at), start),
        attributes=attributes,
        failed=failed,
        events=tuple(votes),
    )


def _value_of(entry: JournalEntry, message_id: str) -> Mapping[str, Any] | None:
    """The message as the entry leaves it."""
    value = None
    for change in entry.changes:
        if not isinstance(change, Deleted) and (change.kind, change.id) == ("message", message_id):
            value = change.value
    return value


def _vote(approval: Any) -> SpanEvent:
    """A vote without its voter and its reason; an entry that was read holds it as JSON."""
    vote = approval if isinstance(approval, dict) else vars(approval)
    decision = str(vote["decision"])
    return SpanEvent(VOTE, nanoseconds(_moment(vote["at"])), {names.DECISION: decision})


def _moment(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
