"""Messages and events for them, and the scenario of each edge of the message chart."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

from machines.message import message_machine
from machines.models.domain import Role
from machines.models.ids import MessageId, PublicKey
from machines.models.message import (
    AnswerGiven,
    AnswerReplaced,
    Approval,
    Decision,
    ElectorLeft,
    Message,
    MessageEvent,
    MessageExpired,
    MessageStatus,
    MessageSubmitted,
    MessageSuperseded,
    MessageWithdrawn,
    PromptSuperseded,
    VoteCast,
)
from machines.statechart.scenarios import Catalogue, Refused, Taken
from tests.machines.transitions.values import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DEADLINE,
    MESSAGE,
    NOW,
    SOON,
    THREAD,
)

AUTHOR = DAVE
"""Asks from outside; the co-authors are the others."""
ELECTORS = (ALICE, BOB)
NEXT_MESSAGE = MessageId("00000000-0000-4000-8000-0000000000ff")
LAST_MOMENT = DEADLINE - timedelta(microseconds=1)

# --- Events --------------------------------------------------------------------------------------


def submit(
    *co_authors: PublicKey, author_is_co_author: bool = False, expires_at: datetime = DEADLINE
) -> MessageSubmitted:
    """A message enters a thread of these co-authors."""
    return MessageSubmitted(
        at=NOW,
        author_is_co_author=author_is_co_author,
        co_authors=co_authors or ELECTORS,
        expires_at=expires_at,
    )


def vote(decision: Literal["approve", "reject"], voter: PublicKey, at: datetime = SOON) -> VoteCast:
    """Somebody votes."""
    return VoteCast(event=decision, at=at, voter=voter, reason=None)


def withdraw(by: PublicKey = AUTHOR) -> MessageWithdrawn:
    """Somebody takes the message back."""
    return MessageWithdrawn(at=SOON, by=by)


def supersede(
    by: PublicKey = AUTHOR, newest: MessageId | None = MESSAGE, *, by_co_author: bool = True
) -> MessageSuperseded:
    """Somebody writes the message anew."""
    return MessageSuperseded(
        at=SOON, by=by, by_co_author=by_co_author, newest=newest, successor=NEXT_MESSAGE
    )


def expire(at: datetime = DEADLINE, *, archived: bool = False) -> MessageExpired:
    """The timer fires, or the thread is archived."""
    return MessageExpired(at=at, thread_archived=archived)


def left(elector: PublicKey, at: datetime = SOON) -> ElectorLeft:
    """A co-author left the thread."""
    return ElectorLeft(at=at, elector=elector)


def events_at(_: Message) -> Iterator[MessageEvent]:
    """An event of each kind."""
    yield submit()
    yield AnswerGiven(at=NOW)
    yield vote("approve", ALICE)
    yield vote("reject", BOB)
    yield withdraw()
    yield supersede()
    yield PromptSuperseded(at=SOON)
    yield AnswerReplaced(at=SOON, successor=NEXT_MESSAGE)
    yield expire()
    yield left(ALICE)


# --- Messages ------------------------------------------------------------------------------------


def submitted(**changes: Any) -> Message:
    """A message that has only just been made."""
    message = Message(
        id=MESSAGE,
        thread_id=THREAD,
        index=0,
        role=Role.USER,
        author=AUTHOR,
        content="May I ask something?",
        created_at=NOW,
        updated_at=NOW,
    )
    return message.model_copy(update=changes)


def pending(
    *approved_by: PublicKey, electors: tuple[PublicKey, ...] = ELECTORS, **changes: Any
) -> Message:
    """A message that waits for votes, some of which were given."""
    return submitted(
        status=MessageStatus.PENDING,
        electors=electors,
        expires_at=DEADLINE,
        approvals=tuple(
            Approval(co_author=voter, decision=Decision.APPROVE, at=NOW) for voter in approved_by
        ),
    ).model_copy(update=changes)


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the message chart."""
    return Catalogue(
        machine=message_machine(),
        taken=tuple(_taken()),
        refused=tuple(_refused()),
        standing=tuple(pending(status=status) for status in MessageStatus),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    own = submitted(author=ALICE)
    yield Taken("edge_message_submit_submitted_approved", own, submit(author_is_co_author=True))
    yield Taken("edge_message_submit_submitted_pending", submitted(), submit())
    answer = submitted(role=Role.CHORUS, author=None)
    yield Taken("edge_message_answer_submitted_approved", answer, AnswerGiven(at=NOW))

    by_alice = pending(ALICE)
    yield Taken("edge_message_approve_pending_pending", pending(), vote("approve", ALICE))
    yield Taken(
        "edge_message_approve_pending_approved", by_alice, vote("approve", BOB, LAST_MOMENT)
    )
    yield Taken("edge_message_reject_pending_rejected", by_alice, vote("reject", BOB))
    for late in (DEADLINE, DEADLINE + timedelta(days=1)):
        approval, rejection = vote("approve", BOB, late), vote("reject", BOB, late)
        yield Taken("edge_message_approve_pending_expired", by_alice, approval)
        yield Taken("edge_message_reject_pending_expired", by_alice, rejection)

    yield Taken("edge_message_withdraw_pending_withdrawn", by_alice, withdraw())
    counting = submitted(status=MessageStatus.APPROVED)
    yield Taken("edge_message_supersede_approved_superseded", counting, supersede())
    outside = supersede(by_co_author=False)
    yield Taken("edge_message_supersede_pending_withdrawn", by_alice, outside)
    given = submitted(role=Role.CHORUS, author=None, status=MessageStatus.APPROVED)
    answered_anew = PromptSuperseded(at=SOON)
    yield Taken("edge_message_supersede_answer_approved_superseded", given, answered_anew)
    replaced = AnswerReplaced(at=SOON, successor=NEXT_MESSAGE)
    yield Taken("edge_message_replace_answer_approved_superseded", given, replaced)
    yield Taken("edge_message_expire_pending_expired", by_alice, expire())
    yield Taken("edge_message_expire_pending_expired_2", by_alice, expire(SOON, archived=True))

    yield Taken("edge_message_elector_left_pending_approved", by_alice, left(BOB))
    yield Taken("edge_message_elector_left_pending_expired", by_alice, left(BOB, DEADLINE))
    yield Taken("edge_message_elector_left_pending_pending", by_alice, left(ALICE))
    alone = pending(electors=(ALICE,))
    yield Taken("edge_message_elector_left_pending_pending", alone, left(ALICE))


def _refused() -> Iterator[Refused]:
    by_alice = pending(ALICE)
    again, outsider = vote("approve", ALICE), vote("approve", CAROL)
    # An edge for votes in time, and one for late ones, come equally near to a second vote.
    twice = ("voter_has_not_voted", "not deadline_is_ahead")
    yield Refused(twice, by_alice, again)
    yield Refused(("voter_is_elector",), by_alice, outsider)
    late = vote("approve", CAROL, DEADLINE)
    yield Refused(("voter_is_elector",), pending(ALICE, BOB), late)
    yield Refused(twice, by_alice, vote("reject", ALICE))
    yield Refused(("voter_is_elector",), by_alice, vote("reject", AUTHOR))
    yield Refused(("chorus_speaks",), submitted(), AnswerGiven(at=NOW))
    yield Refused(("author_asks",), by_alice, withdraw(by=ALICE))
    counting = submitted(status=MessageStatus.APPROVED)
    for message in (counting, by_alice):
        yield Refused(("author_asks",), message, supersede(by=ALICE))
        for other in (NEXT_MESSAGE, None):
            yield Refused(("message_is_its_authors_newest",), message, supersede(newest=other))
    outside = supersede(by_co_author=False)
    yield Refused(("author_is_co_author_still",), counting, outside)
    yield Refused(("chorus_speaks",), counting, PromptSuperseded(at=SOON))
    replaced = AnswerReplaced(at=SOON, successor=NEXT_MESSAGE)
    yield Refused(("chorus_speaks",), counting, replaced)
    yield Refused(("not deadline_is_ahead", "thread_is_archived"), by_alice, expire(LAST_MOMENT))
    yield Refused(("leaver_is_elector",), by_alice, left(CAROL))
    yield Refused(("leaver_is_elector",), by_alice, left(CAROL, DEADLINE))
    yield Refused(("leaver_is_elector",), pending(electors=()), left(ALICE))
