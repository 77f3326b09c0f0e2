"""A link that lets one user into a thread, and the events of its chart (`machines.invite_link`)."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState, Frozen, ValidationResult, validation
from machines.models.ids import InviteLinkId, PublicKey, ThreadId


class InviteLinkStatus(StrEnum):
    """States of the link chart; `DRAFTED` lasts only inside the transaction that makes the link."""

    DRAFTED = "drafted"
    OPEN = "open"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


class InviteLink(BaseState):
    """Whoever knows its secret may become a co-author of a thread, once."""

    id: InviteLinkId
    thread_id: ThreadId
    made_by: PublicKey
    secret_hash: str
    """Hex of the secret's SHA-256. The secret itself is kept nowhere."""
    status: InviteLinkStatus = InviteLinkStatus.DRAFTED
    used_by: PublicKey | None = None
    expires_at: AwareDatetime
    """Until then it may be used."""

    def validate_state(self) -> ValidationResult:
        is_used = self.status is InviteLinkStatus.USED
        return validation(
            {
                "it was updated before it was created": self.updated_at < self.created_at,
                "a used link, and no other, says by whom": (self.used_by is not None)
                is not is_used,
            }
        )


# --- Events --------------------------------------------------------------------------------------


class LinkMade(Frozen):
    """A co-author makes a link."""

    event: Literal["make"] = "make"
    at: AwareDatetime
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment."""


class LinkUsed(Frozen):
    """A user who knows the secret agrees to become a co-author."""

    event: Literal["use"] = "use"
    at: AwareDatetime
    by: PublicKey
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment."""


class LinkRevoked(Frozen):
    """A user takes the link back."""

    event: Literal["revoke"] = "revoke"
    at: AwareDatetime
    by: PublicKey
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment."""


class MakerLeft(Frozen):
    """A co-author left the thread, or was removed."""

    event: Literal["maker_left"] = "maker_left"
    at: AwareDatetime
    leaver: PublicKey


class LinkExpired(Frozen):
    """The deadline passed, or the thread was archived."""

    event: Literal["expire"] = "expire"
    at: AwareDatetime
    thread_archived: bool = False


InviteLinkEvent = Annotated[
    LinkMade | LinkUsed | LinkRevoked | MakerLeft | LinkExpired,
    Field(discriminator="event"),
]
