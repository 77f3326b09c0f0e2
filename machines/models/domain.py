"""The domain: users, threads, messages, approvals, sessions. Frozen values and their own sanity.

A value here knows whether it is well formed (`validate_state`) and nothing of how it may change:
the charts decide that (`machines.thread`, `machines.message`).
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from machines.models.ids import MessageId, PublicKey, RunId, ThreadId, UserId
from machines.models.limits import MAX_CONTENT_LENGTH, MAX_NAME_LENGTH
from machines.models.outputs import Citation, Usage


class Frozen(BaseModel):
    """A value: it cannot be changed, and it takes no field that it does not declare."""

    # An error's text goes to the log, and an input may be somebody's words.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def changed(self, **changes: object) -> Self:
        """The same value with `changes`, which are not checked, as in `model_copy`.

        A third of its time and half of its memory: a copy's dictionary is made once, and the set of
        names that were given, which nobody changes in a frozen value, is shared.
        """
        copy = self.__class__.__new__(self.__class__)
        object.__setattr__(copy, "__dict__", self.__dict__ | changes)
        object.__setattr__(copy, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        object.__setattr__(copy, "__pydantic_extra__", None)
        object.__setattr__(copy, "__pydantic_private__", None)
        return copy


class Valid(Frozen):
    """The value keeps every rule of its kind."""


class Invalid(Frozen):
    """The value breaks a rule."""

    problems: tuple[str, ...]
    """One sentence for each broken rule, never empty."""


ValidationResult = Valid | Invalid


def validation(problems: Mapping[str, bool]) -> ValidationResult:
    """`Invalid` with each sentence whose flag is true, else `Valid`."""
    broken = tuple(problem for problem, is_broken in problems.items() if is_broken)
    return Invalid(problems=broken) if broken else Valid()


class BaseState(Frozen):
    """What every stored value carries."""

    id: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    version: int = Field(default=1, ge=1)
    """Starts at 1 and grows by one with each accepted change."""

    def validate_state(self) -> ValidationResult:
        """Check the value against the rules of its kind."""
        return validation(
            {"it was updated before it was created": self.updated_at < self.created_at}
        )

    def transition_to(self, at: datetime, **changes: object) -> Self:
        """The same value with `changes`, one version later.

        `updated_at` never goes back, also when the clock does.
        """
        later = max(at, self.updated_at)
        return self.changed(**changes, updated_at=later, version=self.version + 1)


class Visibility(StrEnum):
    """Who may read a thread; fixed when the thread is created."""

    PRIVATE = "private"
    PUBLIC = "public"


class ThreadStatus(StrEnum):
    """States of the thread chart."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class MessageStatus(StrEnum):
    """States of the message chart; `SUBMITTED` lasts only inside the transaction that submits."""

    SUBMITTED = "submitted"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    CHORUS = "chorus"


class Decision(StrEnum):
    """How an elector voted."""

    APPROVE = "approve"
    REJECT = "reject"


class User(BaseState):
    """A person, named by a public key; the row begins at the first sign-in."""

    id: UserId
    public_key: PublicKey
    name: str | None = None


class Session(BaseState):
    """A sign-in that may be resumed until `expires_at`; only the token's hash is kept."""

    id: str
    """Hex of the SHA-256 of the token."""
    public_key: PublicKey
    expires_at: AwareDatetime
    thread_id: ThreadId | None = None
    """The thread that the session followed last."""


class Thread(BaseState):
    """A conversation with its co-authors."""

    id: ThreadId
    name: str
    visibility: Visibility
    status: ThreadStatus = ThreadStatus.ACTIVE
    co_authors: tuple[PublicKey, ...]
    """In the order of joining, without repeats."""
    token_balance: int = 0
    message_count: int = 0

    def validate_state(self) -> ValidationResult:
        return validation(
            {
                "a thread has at least one co-author": not self.co_authors,
                "a co-author is listed once": len(set(self.co_authors)) != len(self.co_authors),
                "a token balance is never below zero": self.token_balance < 0,
                "a message count is never below zero": self.message_count < 0,
                "a thread's name is not blank": not self.name.strip(),
                f"a thread's name has at most {MAX_NAME_LENGTH} characters": (
                    len(self.name) > MAX_NAME_LENGTH
                ),
                "it was updated before it was created": self.updated_at < self.created_at,
            }
        )


class Approval(Frozen):
    """One elector's vote."""

    co_author: PublicKey
    decision: Decision
    reason: str | None = None
    at: AwareDatetime


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
    model: str | None = None
    citations: tuple[Citation, ...] = ()
    usage: Usage | None = None

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


class Created(Frozen):
    """A stored value came to be; a kind of StateTransition."""

    change: Literal["created"] = "created"
    kind: str
    """`thread`, `message`, `run`, `user` or `session`: which snapshot table holds it."""
    id: str
    version: int
    value: dict[str, object]
    """The fields of the resulting value: as JSON where it was read, and what JSON says of them where
    it was just decided."""


class Updated(Frozen):
    """A stored value changed; a kind of StateTransition."""

    change: Literal["updated"] = "updated"
    kind: str
    id: str
    version: int
    value: dict[str, object]


class Deleted(Frozen):
    """A stored value is gone (an ended session); a kind of StateTransition."""

    change: Literal["deleted"] = "deleted"
    kind: str
    id: str
    version: int


StateTransition = Created | Updated | Deleted
