"""Guards that charts with a deadline share: an invitation, an invite link, a removal, a branch."""

from datetime import datetime
from typing import Protocol


class HasDeadline(Protocol):
    """A value that stands open until a moment."""

    @property
    def expires_at(self) -> datetime: ...


class HasTime(Protocol):
    """An event that happens at a moment."""

    @property
    def at(self) -> datetime: ...


class Expires(Protocol):
    """An event that ends what is open."""

    @property
    def thread_archived(self) -> bool: ...


def deadline_is_ahead(value: HasDeadline, event: HasTime) -> bool:
    """The deadline is not reached: what comes at the deadline is too late."""
    return event.at < value.expires_at


def thread_is_archived(_: object, event: Expires) -> bool:
    """The thread was archived, so what is open in it ends."""
    return event.thread_archived
