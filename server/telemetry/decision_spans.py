"""The spans of what waits for somebody's decision: each a trace of its own, from its beginning to its end.

    approval       a message that waits for its electors; its run links to it
    invitation     a key that may join a thread
    invite_link    a link that lets one user in
    removal        a vote on whether a co-author stays
    branch         a fork, until its answer is adopted or comes to nothing; it links to its run

What was refused by those who decide, or ran out of time, came to nothing: its span has failed, and
`error.type` says which it was. What its maker takes back has not failed. Nothing says who decided.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from machines.models.branch import BranchStatus
from machines.models.domain import Deleted
from machines.models.invitation import InvitationStatus
from machines.models.invite_link import InviteLinkStatus
from machines.models.journal import JournalEntry, MachineTransition
from machines.models.message import MessageStatus
from machines.models.removal import RemovalStatus
from server.telemetry import conventions as names
from server.telemetry.span import (
    RUN_ROOT,
    Attribute,
    Span,
    SpanEvent,
    SpanLink,
    link_to,
    nanoseconds,
)

VOTE: Final = "chorus.vote"


class _Wait(NamedTuple):
    """How the values of a kind wait."""

    name: str
    """Of the span, and its place in its trace."""
    id_name: str
    """Of the attribute that names the value."""
    waiting: frozenset[str]
    """The states in which it waits."""
    failed: frozenset[str]
    """Those of its ends that are failures."""
    votes: str | None = None
    """The field of its votes."""


APPROVAL: Final = "approval"
BRANCH: Final = "branch"
INVITE_LINK: Final = "invite_link"
"""Names of spans, and their places in their traces."""

_WAITS: Final[Mapping[str, _Wait]] = {
    "message": _Wait(
        APPROVAL,
        names.MESSAGE,
        frozenset({MessageStatus.PENDING}),
        frozenset({MessageStatus.REJECTED, MessageStatus.EXPIRED}),
        votes="approvals",
    ),
    "invitation": _Wait(
        "invitation",
        names.INVITATION,
        frozenset({InvitationStatus.INVITED}),
        frozenset({InvitationStatus.DECLINED, InvitationStatus.EXPIRED}),
    ),
    "invite_link": _Wait(
        INVITE_LINK,
        names.INVITE_LINK,
        frozenset({InviteLinkStatus.OPEN}),
        frozenset({InviteLinkStatus.EXPIRED}),
    ),
    "removal": _Wait(
        "removal",
        names.REMOVAL,
        frozenset({RemovalStatus.PROPOSED}),
        frozenset({RemovalStatus.KEPT, RemovalStatus.EXPIRED}),
        votes="votes",
    ),
    "branch": _Wait(
        BRANCH,
        names.BRANCH,
        frozenset({BranchStatus.GROWING, BranchStatus.READY, BranchStatus.PROPOSED}),
        frozenset({BranchStatus.REJECTED, BranchStatus.EXPIRED, BranchStatus.FAILED}),
        votes="votes",
    ),
}
"""By machine, which is called as the kind of its values is."""


def decision_spans(entry: JournalEntry) -> Iterator[Span]:
    """A span for each value whose wait ends with this entry."""
    for taken in entry.transitions:
        wait = _WAITS.get(taken.machine)
        if wait is None or taken.source not in wait.waiting or taken.target in wait.waiting:
            continue
        value = _value_of(entry, taken.machine, taken.instance)
        if value is not None:
            yield _decided(entry, taken, wait, value)


def approval_link(message_id: str) -> SpanLink:
    """The span of a message's approval, for a span that follows from it."""
    return link_to(message_id, APPROVAL)


def _decided(
    entry: JournalEntry, taken: MachineTransition, wait: _Wait, value: Mapping[str, Any]
) -> Span:
    link = link_to(taken.instance, wait.name)
    attributes: dict[str, Attribute] = {
        names.CONVERSATION: str(value["thread_id"]),
        wait.id_name: taken.instance,
        names.OUTCOME: taken.target,
        **names.ended_by(taken, entry.seq),
    }
    votes: tuple[SpanEvent, ...] = ()
    if wait.votes is not None:
        votes = tuple(_vote(each) for each in value[wait.votes])
        attributes[names.ELECTORS] = len(value["electors"])
        attributes[names.VOTES] = len(votes)
    failed = taken.target in wait.failed
    if failed:
        attributes[names.ERROR_TYPE] = taken.target
    links: tuple[SpanLink, ...] = ()
    if wait.name == BRANCH:
        run_id = str(value["run_id"])
        attributes[names.RUN] = run_id
        links = (link_to(run_id, RUN_ROOT),)
    start = nanoseconds(_moment(value["created_at"]))
    return Span(
        trace_id=link.trace_id,
        span_id=link.span_id,
        name=wait.name,
        start=start,
        end=max(nanoseconds(entry.at), start),
        attributes=attributes,
        failed=failed,
        events=votes,
        links=links,
    )


def _value_of(entry: JournalEntry, kind: str, id_: str) -> Mapping[str, Any] | None:
    """The value as the entry leaves it."""
    value = None
    for change in entry.changes:
        if not isinstance(change, Deleted) and (change.kind, change.id) == (kind, id_):
            value = change.value
    return value


def _vote(cast: Any) -> SpanEvent:
    """A vote without its voter and its reason; an entry that was read holds it as JSON."""
    vote = cast if isinstance(cast, dict) else vars(cast)
    decision = str(vote["decision"])
    return SpanEvent(VOTE, nanoseconds(_moment(vote["at"])), {names.DECISION: decision})


def _moment(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
