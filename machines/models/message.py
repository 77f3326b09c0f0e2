"""A message, and the events of its chart (`machines.message`)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState, Frozen, Role, ValidationResult, validation
from machines.models.fork import ForkMark
from machines.models.ids import MessageId, PublicKey, RunId, ThreadId
from machines.models.limits import MAX_CONTENT_LENGTH
from machines.models.mention import Mentions
from machines.models.outputs import Citation, Flag, Omittable, Usage


class MessageStatus(StrEnum):
    """States of the message chart; `SUBMITTED` lasts only inside the transaction that submits."""

    SUBMITTED = "submitted"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"

    @property
    def was_approved(self) -> bool:
        """Whether the message counts, or counted once: whoever may read the thread may read it."""
        return self in {MessageStatus.APPROVED, MessageStatus.SUPERSEDED}


class Decision(StrEnum):
    """How an elector voted."""

    APPROVE = "approve"
    REJECT = "reject"


class Approval(Frozen):
    """One elector's vote."""

    co_author: PublicKey
    decision: Decision
    reason: str | None = None
    at: AwareDatetime


EXTRACTIVE_MODEL: Final = "offline-extractive"
"""The model's name in answers that only put together what others said."""

EXTRACTIVE_NOTICE: Final = "No language model is connected"
"""How such an answer begins."""


class Message(BaseState):
    """What a person or the chorus said in a thread. Its content never changes."""

    MAX_CONTENT_LENGTH: ClassVar[int] = MAX_CONTENT_LENGTH

    id: MessageId
    thread_id: ThreadId
    index: int = Field(ge=0)
    """Place in the thread, from 0, given in the order of submission."""
    role: Role
    author: PublicKey | None
    """None for the chorus."""
    content: str
    status: MessageStatus = MessageStatus.SUBMITTED
    electors: tuple[PublicKey, ...] = ()
    """The co-authors at submission without the author, less those who have left since."""
    approvals: tuple[Approval, ...] = ()
    expires_at: AwareDatetime | None = None
    """Deadline of the vote; None where there is none."""
    run_id: RunId | None = None
    """For a prompt: its latest run. For an answer: the run that gave it."""
    supersedes: Omittable[MessageId] = None
    """The message that its author wrote anew as this one, or the answer whose place it takes."""
    superseded_by: Omittable[MessageId] = None
    """The message that it was written anew as, or the answer that was adopted in its place."""
    forked_from: Omittable[ForkMark] = None
    """Of an answer that was adopted: the fork that gave it."""
    model: str | None = None
    citations: tuple[Citation, ...] = ()
    usage: Usage | None = None
    cut: Flag = False
    """Whether an answer ended at its length limit."""
    mentions: Mentions = ()
    """Co-authors whom a user's message named when it was submitted."""

    @property
    def is_extractive(self) -> bool:
        """Whether it says nothing of its own: it puts together what others said."""
        return self.model == EXTRACTIVE_MODEL

    def can_approve(self, voter: PublicKey, at: datetime) -> bool:
        """Whether `voter` may cast a vote at `at` (a vote at the deadline is too late)."""
        return (
            self.status is MessageStatus.PENDING
            and voter in self.electors
            and all(approval.co_author != voter for approval in self.approvals)
            and self.expires_at is not None
            and at < self.expires_at
        )

    def validate_state(self) -> ValidationResult:
        pending = self.status is MessageStatus.PENDING
        voters = {approval.co_author for approval in self.approvals}
        return validation(
            {
                "content is not blank": not self.content.strip(),
                "a person's content keeps its limit": (
                    self.role is Role.USER and len(self.content) > MAX_CONTENT_LENGTH
                ),
                "a person's message has an author, the chorus' has none": (
                    (self.role is Role.USER) != (self.author is not None)
                ),
                "an author is no elector": self.author in self.electors,
                "only electors vote, once each": (
                    not voters <= set(self.electors) or len(voters) != len(self.approvals)
                ),
                "a pending message has a deadline": pending and self.expires_at is None,
                "it was updated before it was created": self.updated_at < self.created_at,
            }
        )


# --- Events --------------------------------------------------------------------------------------


class MessageSubmitted(Frozen):
    """A message enters its thread."""

    event: Literal["submit"] = "submit"
    at: AwareDatetime
    author_is_co_author: bool
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment: they become the electors."""
    expires_at: AwareDatetime


class AnswerGiven(Frozen):
    """The chorus answers; its word needs no vote."""

    event: Literal["answer"] = "answer"
    at: AwareDatetime


class VoteCast(Frozen):
    """A co-author decides; its name in the chart is `approve` or `reject`."""

    event: Literal["approve", "reject"]
    at: AwareDatetime
    voter: PublicKey
    reason: str | None = None

    @property
    def decision(self) -> Decision:
        """The vote as it is recorded."""
        return Decision(self.event)


class MessageWithdrawn(Frozen):
    """The author takes a pending message back."""

    event: Literal["withdraw"] = "withdraw"
    at: AwareDatetime
    by: PublicKey


class MessageSuperseded(Frozen):
    """The author writes the message anew, as the message `successor`."""

    event: Literal["supersede"] = "supersede"
    at: AwareDatetime
    by: PublicKey
    by_co_author: bool
    """Whether the author is a co-author of the thread now."""
    newest: MessageId | None
    """The author's newest message in the thread that counts or waits."""
    successor: MessageId


class PromptSuperseded(Frozen):
    """The prompt that an answer was given to is written anew."""

    event: Literal["supersede_answer"] = "supersede_answer"
    at: AwareDatetime


class AnswerReplaced(Frozen):
    """The co-authors adopted another answer to the same prompt, the message `successor`."""

    event: Literal["replace_answer"] = "replace_answer"
    at: AwareDatetime
    successor: MessageId


class MessageExpired(Frozen):
    """The deadline passed, or the thread was archived."""

    event: Literal["expire"] = "expire"
    at: AwareDatetime
    thread_archived: bool = False


class ElectorLeft(Frozen):
    """A co-author left the thread: the message is looked at again."""

    event: Literal["elector_left"] = "elector_left"
    at: AwareDatetime
    elector: PublicKey


MessageEvent = Annotated[
    MessageSubmitted
    | AnswerGiven
    | VoteCast
    | MessageWithdrawn
    | MessageSuperseded
    | PromptSuperseded
    | AnswerReplaced
    | MessageExpired
    | ElectorLeft,
    Field(discriminator="event"),
]
