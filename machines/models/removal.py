"""The removal of a co-author by all the others, and the events of its chart (`machines.removal`)."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState, Frozen, ValidationResult, validation
from machines.models.ids import PublicKey, RemovalId, ThreadId


class RemovalStatus(StrEnum):
    """States of the removal chart; `RAISED` lasts only inside the transaction that proposes."""

    RAISED = "raised"
    PROPOSED = "proposed"
    REMOVED = "removed"
    KEPT = "kept"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class RemovalDecision(StrEnum):
    """How an elector voted."""

    REMOVE = "remove"
    KEEP = "keep"


class RemovalVote(Frozen):
    """One elector's vote."""

    co_author: PublicKey
    decision: RemovalDecision
    at: AwareDatetime


class Removal(BaseState):
    """A vote of all co-authors but one on whether that one stays."""

    id: RemovalId
    thread_id: ThreadId
    public_key: PublicKey
    """The co-author who is named."""
    proposed_by: PublicKey
    """Votes by proposing."""
    status: RemovalStatus = RemovalStatus.RAISED
    electors: tuple[PublicKey, ...] = ()
    """The co-authors at the proposal without the named one, less those who have left since. Where that is
    the proposer alone, nothing is left to vote on: the named one has until the deadline to appear."""
    votes: tuple[RemovalVote, ...] = ()
    expires_at: AwareDatetime
    """Deadline of the vote, or of the named co-author's silence."""

    def validate_state(self) -> ValidationResult:
        voters = {vote.co_author for vote in self.votes}
        return validation(
            {
                "who is named is no elector": self.public_key in self.electors,
                "nobody proposes to remove themselves": self.public_key == self.proposed_by,
                "only electors vote, once each": (
                    not voters <= set(self.electors) or len(voters) != len(self.votes)
                ),
                "it was updated before it was created": self.updated_at < self.created_at,
            }
        )


# --- Events --------------------------------------------------------------------------------------


class RemovalProposed(Frozen):
    """A co-author names another."""

    event: Literal["propose"] = "propose"
    at: AwareDatetime
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment: all but the named one become the electors."""
    named: tuple[PublicKey, ...]
    """The co-authors on whom a vote is open."""


class RemovalVoteCast(Frozen):
    """An elector decides; its name in the chart is `remove` or `keep`."""

    event: Literal["remove", "keep"]
    at: AwareDatetime
    voter: PublicKey

    @property
    def decision(self) -> RemovalDecision:
        """The vote as it is recorded."""
        return RemovalDecision(self.event)


class NamedAppeared(Frozen):
    """A user does something in the thread, or votes to stay."""

    event: Literal["appear"] = "appear"
    at: AwareDatetime
    by: PublicKey


class RemovalWithdrawn(Frozen):
    """A user takes the proposal back."""

    event: Literal["withdraw"] = "withdraw"
    at: AwareDatetime
    by: PublicKey


class RemovalElectorLeft(Frozen):
    """A co-author left the thread, or was removed: the vote is looked at again."""

    event: Literal["elector_left"] = "elector_left"
    at: AwareDatetime
    elector: PublicKey


class NamedLeft(Frozen):
    """A co-author left the thread by themselves."""

    event: Literal["named_left"] = "named_left"
    at: AwareDatetime
    leaver: PublicKey


class RemovalExpired(Frozen):
    """The deadline passed, or the thread was archived."""

    event: Literal["expire"] = "expire"
    at: AwareDatetime
    thread_archived: bool = False


RemovalEvent = Annotated[
    RemovalProposed
    | RemovalVoteCast
    | NamedAppeared
    | RemovalWithdrawn
    | RemovalElectorLeft
    | NamedLeft
    | RemovalExpired,
    Field(discriminator="event"),
]
