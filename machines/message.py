"""The message chart: how a message comes to count in its thread. Declared here, nowhere else.

    submitted --> approved                 a co-author's own message, or the chorus' answer
    submitted --> pending --> approved | rejected | expired | withdrawn

`submitted` lasts only inside the transaction that submits. Electors are the co-authors at that
moment, never the author; who leaves counts no more, and who rejoins is no elector again.
"""

from functools import cache
from typing import ClassVar

from statemachine import State

from machines.chart import Chart, EdgeKind
from machines.models.domain import Approval, Decision, Message, MessageStatus, Role
from machines.models.effects import CancelTimer, DBOperation, RunEffect, ScheduleTimer
from machines.models.events import ElectorLeft, MessageEvent, MessageSubmitted, VoteCast
from machines.models.ids import MessageId, PublicKey, TimerId
from machines.models.journal import ApprovalTimer, IndexMessage
from machines.runtime import Machine


class MessageChart(Chart):
    """Message: what a person submits, and how it is approved"""

    machine = "message"
    edge_kinds: ClassVar = {
        "expire": EdgeKind.FAILURE,
        "withdraw": EdgeKind.CANCEL,
        "elector_left": EdgeKind.RETRY,
    }

    class message(State.Compound):  # noqa: N801 - a state, named as it is drawn
        submitted = State(initial=True)
        pending = State()
        approved = State(final=True)
        rejected = State(final=True)
        expired = State(final=True)
        withdrawn = State(final=True)

        submit = submitted.to(approved, cond="author_is_co_author", on="accept") | submitted.to(
            pending, unless="author_is_co_author", on="open_vote"
        )
        answer = submitted.to(approved, cond="chorus_speaks", on="accept")

        approve = (
            pending.to(
                approved,
                cond=[
                    "voter_is_elector",
                    "voter_has_not_voted",
                    "deadline_is_ahead",
                    "every_other_elector_approved",
                ],
                on=["count_vote", "accept"],
            )
            | pending.to(
                pending,
                cond=["voter_is_elector", "voter_has_not_voted", "deadline_is_ahead"],
                unless="every_other_elector_approved",
                on="count_vote",
            )
            | pending.to(
                expired, cond="voter_is_elector", unless="deadline_is_ahead", on="close_expired"
            )
        )
        reject = pending.to(
            rejected,
            cond=["voter_is_elector", "voter_has_not_voted", "deadline_is_ahead"],
            on=["count_vote", "close_rejected"],
        ) | pending.to(
            expired, cond="voter_is_elector", unless="deadline_is_ahead", on="close_expired"
        )
        withdraw = pending.to(withdrawn, cond="author_asks", on="close_withdrawn")
        expire = pending.to(expired, unless="deadline_is_ahead", on="close_expired") | pending.to(
            expired, cond=["deadline_is_ahead", "thread_is_archived"], on="close_expired"
        )
        elector_left = (
            pending.to(
                approved,
                cond=[
                    "leaver_is_elector",
                    "deadline_is_ahead",
                    "electors_remain",
                    "every_remaining_elector_approved",
                ],
                on=["drop_elector", "accept"],
            )
            | pending.to(
                expired,
                cond="leaver_is_elector",
                unless="deadline_is_ahead",
                on=["drop_elector", "close_expired"],
            )
            | pending.to(pending, cond="leaver_is_elector", on="drop_elector")
        )

    # Guards

    def chorus_speaks(self) -> bool:
        return bool(self.model.state.role is Role.CHORUS)

    def author_is_co_author(self) -> bool:
        return bool(self.model.event.author_is_co_author)

    def voter_is_elector(self) -> bool:
        return self.model.event.voter in self.model.state.electors

    def voter_has_not_voted(self) -> bool:
        voter = self.model.event.voter
        return all(approval.co_author != voter for approval in self.model.state.approvals)

    def deadline_is_ahead(self) -> bool:
        """A vote at the deadline is too late."""
        message: Message = self.model.state
        return message.expires_at is not None and self.model.event.at < message.expires_at

    def every_other_elector_approved(self) -> bool:
        return _others_approved(self.model.state, self.model.event.voter)

    def author_asks(self) -> bool:
        return bool(self.model.event.by == self.model.state.author)

    def thread_is_archived(self) -> bool:
        return bool(self.model.event.thread_archived)

    def leaver_is_elector(self) -> bool:
        return self.model.event.elector in self.model.state.electors

    def electors_remain(self) -> bool:
        """An empty electorate never approves."""
        return any(each != self.model.event.elector for each in self.model.state.electors)

    def every_remaining_elector_approved(self) -> bool:
        return _others_approved(self.model.state, self.model.event.elector)

    # Callbacks

    def accept(self) -> None:
        message = self._close(MessageStatus.APPROVED)
        task = IndexMessage(thread_id=message.thread_id, message_id=message.id)
        self.model.effects.append(DBOperation(task=task))

    def open_vote(self) -> None:
        event: MessageSubmitted = self.model.event
        message: Message = self.model.state
        self.model.state = message.model_copy(
            update={
                "status": MessageStatus.PENDING,
                "electors": tuple(key for key in event.co_authors if key != message.author),
                "expires_at": event.expires_at,
            }
        )
        timer = ApprovalTimer(thread_id=message.thread_id, message_id=message.id)
        self.model.effects.append(
            ScheduleTimer(timer_id=approval_timer(message.id), due_at=event.expires_at, timer=timer)
        )

    def count_vote(self) -> None:
        event: VoteCast = self.model.event
        vote = Approval(
            co_author=event.voter, decision=event.decision, reason=event.reason, at=event.at
        )
        message: Message = self.model.state
        self.model.state = message.model_copy(update={"approvals": (*message.approvals, vote)})

    def drop_elector(self) -> None:
        event: ElectorLeft = self.model.event
        message: Message = self.model.state
        self.model.state = message.model_copy(
            update={
                "electors": tuple(key for key in message.electors if key != event.elector),
                "approvals": tuple(
                    vote for vote in message.approvals if vote.co_author != event.elector
                ),
            }
        )

    def close_rejected(self) -> None:
        self._close(MessageStatus.REJECTED)

    def close_expired(self) -> None:
        self._close(MessageStatus.EXPIRED)

    def close_withdrawn(self) -> None:
        self._close(MessageStatus.WITHDRAWN)

    def _close(self, status: MessageStatus) -> Message:
        message: Message = self.model.state
        if message.status is MessageStatus.PENDING:
            self.model.effects.append(CancelTimer(timer_id=approval_timer(message.id)))
        closed = message.model_copy(update={"status": status})
        self.model.state = closed
        return closed


MessageMachine = Machine[Message, MessageEvent, object, RunEffect]


@cache
def message_machine() -> MessageMachine:
    """The chart's one machine; its table is compiled at the first event."""
    return Machine(
        MessageChart,
        instance_of=lambda message: message.id,
        configuration_of=lambda message: ("message", message.status.value),
        settle=_settle,
    )


def approval_timer(message_id: MessageId) -> TimerId:
    """The timer of a message's deadline."""
    return TimerId(f"approval:{message_id}")


def _settle(message: Message, event: MessageEvent) -> Message:
    """A new message keeps version 1; every later event makes one more."""
    if event.event in {"submit", "answer"}:
        return message
    return message.transition_to(event.at)


def _others_approved(message: Message, but: PublicKey) -> bool:
    approved = {vote.co_author for vote in message.approvals if vote.decision is Decision.APPROVE}
    return all(elector in approved for elector in message.electors if elector != but)
