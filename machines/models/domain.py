"""The domain: users, threads, messages, approvals, sessions. Frozen values and their own sanity.

A value here knows whether it is well formed (`validate_state`) and nothing of how it may change:
the charts decide that (`machines.thread`, `machines.message`).
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from machines.models.ids import PublicKey, ThreadId, UserId
from machines.models.outputs import Flag


class Frozen(BaseModel):
    """A value: it cannot be changed, and it takes no field that it does not declare."""

    # An error's text goes to the log, and an input may be a user's words.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def changed(self, **changes: object) -> Self:
        """The same value with `changes`, which are not checked, as in `model_copy`.

        A third of its time and half of its memory: a copy's dictionary is made once, and the set of
        names that were given, which never changes in a frozen value, is shared.
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


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    CHORUS = "chorus"


class User(BaseState):
    """A person, named by a public key; the row begins at the first sign-in."""

    id: UserId
    public_key: PublicKey
    name: str | None = None
    hides_presence: Flag = False
    """Whether co-authors are not told that the user looks at a thread or types, nor the user of them."""


class SessionRecord(BaseState):
    """A sign-in that may be resumed until `expires_at`; only the token's hash is kept."""

    id: str
    """Hex of the SHA-256 of the token."""
    public_key: PublicKey
    expires_at: AwareDatetime
    thread_id: ThreadId | None = None
    """The thread that the session followed last."""


class Created(Frozen):
    """A stored value came to be; a kind of StateTransition."""

    change: Literal["created"] = "created"
    kind: str
    """`thread`, `message`, `run`, `invitation`, `invite_link`, `removal`, `branch`, `user_thread`, `user`
    or `session`: which snapshot table holds it."""
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
