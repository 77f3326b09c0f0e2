"""The message chart: how a message comes to count in its thread. Declared here, nowhere else.

    submitted --> approved                 a co-author's own message, or the chorus' answer
    submitted --> pending --> approved | rejected | expired | withdrawn
    approved --> superseded                its author wrote it anew; with a prompt goes its answer,
                                           and that goes where another one is adopted

`submitted` lasts only inside the transaction that submits. Electors are the co-authors at that
moment, never the author; who leaves counts no more, and who rejoins is no elector again.
"""

from datetime import datetime
from functools import cache
from typing import ClassVar

from statemachine import State

from machines.models.domain import Role
from machines.models.effects import CancelTimer, DBOperation, RunEffect, ScheduleTimer
from machines.models.ids import MessageId, PublicKey, TimerId
from machines.models.journal import ApprovalTimer, ForgetMessage, IndexMessage
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
from machines.statechart import Chart, Configuration, EdgeKind, Edges, Machine, Reaction

Voted = Reaction[Message, object, RunEffect]


def chorus_speaks(message: Message, _: object) -> bool:
    """The message is an answer of Chorus."""
    return message.role is Role.CHORUS


def author_is_co_author(_: Message, event: MessageSubmitted) -> bool:
    """The author is a co-author of the thread, so there is no vote."""
    return event.author_is_co_author


def voter_is_elector(message: Message, event: VoteCast) -> bool:
    """The voter was a co-author when the message was submitted, is one still, and is not its
    author.
    """
    return event.voter in message.electors


def voter_has_not_voted(message: Message, event: VoteCast) -> bool:
    """The elector did not vote yet."""
    return all(approval.co_author != event.voter for approval in message.approvals)


def deadline_is_ahead(message: Message, event: VoteCast | MessageExpired | ElectorLeft) -> bool:
    """The deadline is not reached: a vote at the deadline is too late."""
    return message.expires_at is not None and event.at < message.expires_at


def every_other_elector_approved(message: Message, event: VoteCast) -> bool:
    """The voter is the last elector whose approval is missing."""
    return _others_approved(message, event.voter)


def author_asks(message: Message, event: MessageWithdrawn | MessageSuperseded) -> bool:
    """The author asks, who alone may withdraw the message or write it anew."""
    return event.by == message.author


def author_is_co_author_still(_: Message, event: MessageSuperseded) -> bool:
    """The author is a co-author: what the thread has approved is no outsider's to take out of it."""
    return event.by_co_author


def message_is_its_authors_newest(message: Message, event: MessageSuperseded) -> bool:
    """The author wrote nothing since that counts or waits."""
    return event.newest == message.id


def thread_is_archived(_: Message, event: MessageExpired) -> bool:
    """The thread was archived, so its open votes end."""
    return event.thread_archived


def leaver_is_elector(message: Message, event: ElectorLeft) -> bool:
    """The co-author who left had a vote on this message."""
    return event.elector in message.electors


def electors_remain(message: Message, event: ElectorLeft) -> bool:
    """Another elector remains: an empty electorate never approves."""
    return any(elector != event.elector for elector in message.electors)


def every_remaining_elector_approved(message: Message, event: ElectorLeft) -> bool:
    """All electors but the one who left approved."""
    return _others_approved(message, event.elector)


def approval_deadline(message: Message, at: datetime) -> ScheduleTimer:
    """The timer that a message has while it is voted on."""
    return ScheduleTimer(
        timer_id=approval_timer(message.id),
        due_at=at,
        timer=ApprovalTimer(thread_id=message.thread_id, message_id=message.id),
    )


def open_vote(message: Message, event: MessageSubmitted) -> Voted:
    """Every co-author but the author has a vote, until the deadline."""
    waiting = message.model_copy(
        update={
            "electors": tuple(key for key in event.co_authors if key != message.author),
            "expires_at": event.expires_at,
        }
    )
    return Reaction(waiting, effects=(approval_deadline(message, event.expires_at),))


def count_vote(message: Message, event: VoteCast) -> Message:
    """The vote stands beside the ones before it."""
    vote = Approval(
        co_author=event.voter, decision=event.decision, reason=event.reason, at=event.at
    )
    return message.model_copy(update={"approvals": (*message.approvals, vote)})


def drop_elector(message: Message, event: ElectorLeft) -> Message:
    """Who left has no vote on the message any more, cast or not."""
    return message.model_copy(
        update={
            "electors": tuple(key for key in message.electors if key != event.elector),
            "approvals": tuple(
                vote for vote in message.approvals if vote.co_author != event.elector
            ),
        }
    )


def close_vote(message: Message, _: object) -> Voted:
    """The deadline means nothing any more."""
    return Reaction(message, effects=(CancelTimer(timer_id=approval_timer(message.id)),))


def name_successor(message: Message, event: MessageSuperseded | AnswerReplaced) -> Message:
    """The message says which one takes its place."""
    return message.changed(superseded_by=event.successor)


def forget(message: Message, _: object) -> Voted:
    """A message that was written anew, its answer, and an answer that another replaces, are recalled
    no more."""
    task = ForgetMessage(thread_id=message.thread_id, message_id=message.id)
    return Reaction(message, effects=(DBOperation(task=task),))


def remember(message: Message, _: object) -> Voted:
    """An approved message may be recalled."""
    task = IndexMessage(thread_id=message.thread_id, message_id=message.id)
    return Reaction(message, effects=(DBOperation(task=task),))


on = Edges[Message, object, RunEffect]()


class MessageChart(Chart[Message]):
    """Message: what a person submits, and how it is approved"""

    machine = "message"
    edge_kinds: ClassVar = {
        "expire": EdgeKind.FAILURE,
        "withdraw": EdgeKind.CANCEL,
        "supersede": EdgeKind.CANCEL,
        "supersede_answer": EdgeKind.CANCEL,
        "replace_answer": EdgeKind.CANCEL,
        "elector_left": EdgeKind.RETRY,
    }

    submitted = State(initial=True)
    pending = State()
    approved = State()
    rejected = State(final=True)
    expired = State(final=True)
    withdrawn = State(final=True)
    superseded = State(final=True)

    submit = on(
        MessageSubmitted, submitted.to(approved), when=[author_is_co_author], do=[remember]
    ) | on(MessageSubmitted, submitted.to(pending), unless=[author_is_co_author], do=[open_vote])
    answer = on(AnswerGiven, submitted.to(approved), when=[chorus_speaks], do=[remember])

    approve = (
        on(
            VoteCast,
            pending.to(approved),
            when=[
                voter_is_elector,
                voter_has_not_voted,
                deadline_is_ahead,
                every_other_elector_approved,
            ],
            do=[count_vote, close_vote, remember],
        )
        | on(
            VoteCast,
            pending.to(pending),
            when=[voter_is_elector, voter_has_not_voted, deadline_is_ahead],
            unless=[every_other_elector_approved],
            do=[count_vote],
        )
        | on(
            VoteCast,
            pending.to(expired),
            when=[voter_is_elector],
            unless=[deadline_is_ahead],
            do=[close_vote],
        )
    )
    reject = on(
        VoteCast,
        pending.to(rejected),
        when=[voter_is_elector, voter_has_not_voted, deadline_is_ahead],
        do=[count_vote, close_vote],
    ) | on(
        VoteCast,
        pending.to(expired),
        when=[voter_is_elector],
        unless=[deadline_is_ahead],
        do=[close_vote],
    )
    withdraw = on(MessageWithdrawn, pending.to(withdrawn), when=[author_asks], do=[close_vote])
    supersede = on(
        MessageSuperseded,
        approved.to(superseded),
        when=[author_asks, author_is_co_author_still, message_is_its_authors_newest],
        do=[name_successor, forget],
    ) | on(
        MessageSuperseded,
        pending.to(withdrawn),
        when=[author_asks, message_is_its_authors_newest],
        do=[name_successor, close_vote],
    )
    supersede_answer = on(
        PromptSuperseded, approved.to(superseded), when=[chorus_speaks], do=[forget]
    )
    replace_answer = on(
        AnswerReplaced,
        approved.to(superseded),
        when=[chorus_speaks],
        do=[name_successor, forget],
    )
    expire = on(
        MessageExpired, pending.to(expired), unless=[deadline_is_ahead], do=[close_vote]
    ) | on(
        MessageExpired,
        pending.to(expired),
        when=[deadline_is_ahead, thread_is_archived],
        do=[close_vote],
    )
    elector_left = (
        on(
            ElectorLeft,
            pending.to(approved),
            when=[
                leaver_is_elector,
                deadline_is_ahead,
                electors_remain,
                every_remaining_elector_approved,
            ],
            do=[drop_elector, close_vote, remember],
        )
        | on(
            ElectorLeft,
            pending.to(expired),
            when=[leaver_is_elector],
            unless=[deadline_is_ahead],
            do=[drop_elector, close_vote],
        )
        | on(ElectorLeft, pending.to(pending), when=[leaver_is_elector], do=[drop_elector])
    )


MessageMachine = Machine[Message, MessageEvent, object, RunEffect]


@cache
def message_machine() -> MessageMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(MessageChart, states_of=lambda message: (message.status.value,), place=_place)


def approval_timer(message_id: MessageId) -> TimerId:
    """The timer of a message's deadline."""
    return TimerId(f"approval:{message_id}")


def _place(message: Message, event: MessageEvent, states: Configuration) -> Message:
    """A new message keeps version 1; every later event makes one more."""
    status = MessageStatus(states[0])
    if message.status is MessageStatus.SUBMITTED:
        return message.changed(status=status)
    return message.transition_to(event.at, status=status)


def _others_approved(message: Message, but: PublicKey) -> bool:
    approved = {vote.co_author for vote in message.approvals if vote.decision is Decision.APPROVE}
    return all(elector in approved for elector in message.electors if elector != but)
