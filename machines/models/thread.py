"""A thread, and the operations on it: each is an event of the thread chart.

`apply_to` is arithmetic on values. Whether an operation is allowed, and which state it leads to, is
the chart's to say (`machines.thread`): call `StateManager.transition`, which fires the chart.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState, Frozen, ValidationResult, validation
from machines.models.ids import PublicKey, ThreadId
from machines.models.limits import MAX_INSTRUCTIONS_LENGTH, MAX_NAME_LENGTH
from machines.models.outputs import Omittable, OmittableText


class Visibility(StrEnum):
    """Who may read a thread; fixed when the thread is created."""

    PRIVATE = "private"
    PUBLIC = "public"


class ThreadStatus(StrEnum):
    """States of the thread chart."""

    ACTIVE = "active"
    ARCHIVED = "archived"


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
    instructions: OmittableText = ""
    """What its co-authors want of every answer; empty for nothing."""
    model: Omittable[str] = None
    """The model that they chose for its runs; None is the server's own."""

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
                f"a thread's instructions have at most {MAX_INSTRUCTIONS_LENGTH} characters": (
                    len(self.instructions) > MAX_INSTRUCTIONS_LENGTH
                ),
                "it was updated before it was created": self.updated_at < self.created_at,
            }
        )


# --- Events --------------------------------------------------------------------------------------


class _Operation(Frozen):
    at: AwareDatetime
    actor: PublicKey | None
    """The caller; None is the system itself."""


class AddMessage(_Operation):
    """One more message stands at the end of the thread, at index `message_count`."""

    event: Literal["add_message"] = "add_message"

    def apply_to(self, thread: Thread) -> Thread:
        return thread.transition_to(self.at, message_count=thread.message_count + 1)


class JoinCoAuthor(_Operation):
    """A user becomes a co-author: by an accepted invitation, or by an approved message."""

    event: Literal["join"] = "join"
    public_key: PublicKey

    def apply_to(self, thread: Thread) -> Thread:
        return thread.transition_to(self.at, co_authors=(*thread.co_authors, self.public_key))


class LeaveCoAuthor(_Operation):
    """A co-author goes; what they asked for goes on."""

    event: Literal["leave"] = "leave"
    public_key: PublicKey

    def apply_to(self, thread: Thread) -> Thread:
        left = tuple(key for key in thread.co_authors if key != self.public_key)
        return thread.transition_to(self.at, co_authors=left)


class RemoveCoAuthor(_Operation):
    """All the others let a co-author go; what that one asked for goes on."""

    event: Literal["remove"] = "remove"
    public_key: PublicKey

    def apply_to(self, thread: Thread) -> Thread:
        others = tuple(key for key in thread.co_authors if key != self.public_key)
        return thread.transition_to(self.at, co_authors=others)


class RenameThread(_Operation):
    """The thread gets another name."""

    event: Literal["rename"] = "rename"
    name: str

    def apply_to(self, thread: Thread) -> Thread:
        return thread.transition_to(self.at, name=self.name)


class ConfigureThread(_Operation):
    """Runs that start from now on keep to these instructions, and ask this model."""

    event: Literal["configure"] = "configure"
    instructions: str
    model: str | None

    def apply_to(self, thread: Thread) -> Thread:
        return thread.transition_to(self.at, instructions=self.instructions, model=self.model)


class ArchiveThread(_Operation):
    """The thread is only read from now on."""

    event: Literal["archive"] = "archive"

    def apply_to(self, thread: Thread) -> Thread:
        return thread.transition_to(self.at)


class CreditTokens(_Operation):
    """The balance grows."""

    event: Literal["credit_tokens"] = "credit_tokens"
    amount: int = Field(ge=1, le=10**12)
    cause: str = Field(min_length=1, max_length=200)

    def apply_to(self, thread: Thread) -> Thread:
        return thread.transition_to(self.at, token_balance=thread.token_balance + self.amount)


class DebitTokens(_Operation):
    """The balance shrinks, never below zero."""

    event: Literal["debit_tokens"] = "debit_tokens"
    amount: int = Field(ge=1, le=10**12)
    cause: str = Field(min_length=1, max_length=200)

    def apply_to(self, thread: Thread) -> Thread:
        return thread.transition_to(self.at, token_balance=thread.token_balance - self.amount)


ThreadOperation = Annotated[
    AddMessage
    | JoinCoAuthor
    | LeaveCoAuthor
    | RemoveCoAuthor
    | RenameThread
    | ConfigureThread
    | ArchiveThread
    | CreditTokens
    | DebitTokens,
    Field(discriminator="event"),
]
