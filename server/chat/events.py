"""What a client tells its user interface: its line and the thread that it follows, as they change."""

from dataclasses import dataclass

from server.chat.frames import (
    ChatInvitation,
    ChatThreadSummary,
    ChatUser,
    Model,
    Notice,
    RunEventUnion,
    ThreadEvent,
    ThreadMessages,
)


@dataclass(frozen=True)
class Online:
    """Signed in; `resumed` after a dropped socket."""

    user: ChatUser
    threads: tuple[ChatThreadSummary, ...]
    invitations: tuple[ChatInvitation, ...]
    model: Model
    models: tuple[str, ...]
    resumed: bool


@dataclass(frozen=True)
class Offline:
    """The socket is gone; the next dial is in `retry_in` seconds."""

    failures: int
    """Dials in a row that came to nothing, this loss included."""
    retry_in: float
    reason: str


@dataclass(frozen=True)
class Opened:
    """A thread is followed from this snapshot on; what was seen of it before is void."""

    snapshot: ThreadMessages


@dataclass(frozen=True)
class CaughtUp:
    """After a resume: every entry up to the snapshot's `head_seq` has been told.

    What only the snapshot knows (the partial text of a running step) may be taken from it.
    """

    snapshot: ThreadMessages


@dataclass(frozen=True)
class Live:
    """One frame of the followed thread, in order, without gap or repeat."""

    thread_id: str
    seq: int | None
    """None for passing frames."""
    body: RunEventUnion | ThreadEvent


@dataclass(frozen=True)
class Gone:
    """The followed thread is not to be had any more."""

    thread_id: str
    reason: str


@dataclass(frozen=True)
class Skipped:
    """Something came that this client cannot read; a later version may."""

    what: str


ClientEvent = Online | Offline | Opened | CaughtUp | Live | Notice | Gone | Skipped
"""What the client tells its user interface, in this order of happening."""
