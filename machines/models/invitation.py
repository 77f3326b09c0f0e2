"""An invitation of a key into a thread, and the events of its chart (`machines.invitation`)."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState, Frozen, ValidationResult, validation
from machines.models.ids import InvitationId, PublicKey, ThreadId


class InvitationStatus(StrEnum):
    """States of the invitation chart; `NAMED` lasts only inside the transaction that invites."""

    NAMED = "named"
    INVITED = "invited"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Invitation(BaseState):
    """A key that may become a co-author of a thread, if its owner agrees."""

    id: InvitationId
    thread_id: ThreadId
    public_key: PublicKey
    """Who is invited."""
    invited_by: PublicKey
    status: InvitationStatus = InvitationStatus.NAMED
    expires_at: AwareDatetime
    """Until then it may be accepted."""

    def validate_state(self) -> ValidationResult:
        return validation(
            {
                "it was updated before it was created": self.updated_at < self.created_at,
                "nobody invites themselves": self.public_key == self.invited_by,
            }
        )


# --- Events --------------------------------------------------------------------------------------


class InvitationMade(Frozen):
    """A co-author invites a key."""

    event: Literal["invite"] = "invite"
    at: AwareDatetime
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment."""
    invited: tuple[PublicKey, ...]
    """The keys whose invitations into the thread are open."""


class InvitationAccepted(Frozen):
    """A user agrees."""

    event: Literal["accept"] = "accept"
    at: AwareDatetime
    by: PublicKey


class InvitationDeclined(Frozen):
    """A user does not agree."""

    event: Literal["decline"] = "decline"
    at: AwareDatetime
    by: PublicKey


class InvitationRevoked(Frozen):
    """A user takes the invitation back."""

    event: Literal["revoke"] = "revoke"
    at: AwareDatetime
    by: PublicKey
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment."""


class InviterLeft(Frozen):
    """A co-author left the thread, or was removed."""

    event: Literal["inviter_left"] = "inviter_left"
    at: AwareDatetime
    inviter: PublicKey


class AuthorAdmitted(Frozen):
    """A user became a co-author by a message that was approved, or by a link."""

    event: Literal["admit"] = "admit"
    at: AwareDatetime
    public_key: PublicKey


class InvitationExpired(Frozen):
    """The deadline passed, or the thread was archived."""

    event: Literal["expire"] = "expire"
    at: AwareDatetime
    thread_archived: bool = False


InvitationEvent = Annotated[
    InvitationMade
    | InvitationAccepted
    | InvitationDeclined
    | InvitationRevoked
    | InviterLeft
    | AuthorAdmitted
    | InvitationExpired,
    Field(discriminator="event"),
]
