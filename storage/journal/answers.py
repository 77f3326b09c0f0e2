"""What questions to the journal are answered with: rows and pages, frozen."""

from dataclasses import dataclass
from datetime import datetime

from machines.models.branch import Branch
from machines.models.domain import User
from machines.models.ids import (
    MessageId,
    StreamId,
)
from machines.models.invitation import Invitation
from machines.models.journal import (
    DecisionView,
    JournalEntry,
)
from machines.models.message import Message
from machines.models.removal import Removal
from machines.models.thread import Thread


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A thread with the number of its last entry."""

    thread: Thread
    head_seq: int
    cursor: str
    """Of the page that begins behind it."""


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Threads, last changed first."""

    rows: tuple[ThreadRow, ...]
    next: str | None
    """Cursor of the next page; None at the end."""


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An open invitation with what its owner is told of it."""

    invitation: Invitation
    thread_name: str
    invited_by_name: str | None
    cursor: str
    """Of the page that begins behind it."""


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """Open invitations of a key, the newest first."""

    rows: tuple[InvitationRow, ...]
    next: str | None
    """Cursor of the next page; None at the end."""


@dataclass(frozen=True, slots=True)
class InboxRow:
    """Something that awaits a user's answer, or mentions them."""

    about: Message | Removal | Invitation | Branch
    """A message that is pending awaits a vote; one that is approved mentions the user."""
    thread_name: str
    seq: int
    """Number of the entry that approved the message of a mention, else 0."""
    read_seq: int
    """Number of the last entry of the thread that the user has read."""
    cursor: str
    """Of the page that begins behind it."""


@dataclass(frozen=True, slots=True)
class InboxPage:
    """What awaits a user's answer, the newest first; then where they are mentioned."""

    rows: tuple[InboxRow, ...]
    count: int
    """What waits and what is not read, in all pages; at most `MAX_INBOX_COUNT`."""
    next: str | None
    """Cursor of the next page; None at the end."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a user finds when they come."""

    threads: ThreadPage
    invitations: InvitationPage


@dataclass(frozen=True, slots=True)
class KnownUser:
    """What the journal knows of the owner of a key."""

    user: User | None
    """None before the first sign-in."""
    head_seq: int
    """Number of the last entry of the person's stream; 0 where it has none."""


@dataclass(frozen=True, slots=True)
class GivenToMemory:
    """How many points, at least, the memory must hold."""

    messages: int
    links: int


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages of a thread, oldest first."""

    messages: tuple[Message, ...]
    has_more: bool
    """Whether older ones exist."""


@dataclass(frozen=True, slots=True)
class PastPage:
    """A thread as it was, and a page of its messages as they were then."""

    view: DecisionView
    """`head_seq` is the entry after which it was so."""
    page: MessagePage
    at: datetime
    """When that entry was made."""


@dataclass(frozen=True, slots=True)
class PastReached:
    """How far a thread's past is gathered; what is asked for lies behind that."""

    seq: int


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries of one stream, in order."""

    entries: tuple[JournalEntry, ...]
    head_seq: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Tail:
    """What a thread has behind one of its entries."""

    thread: Thread
    """As it is after `head_seq`."""
    entries: tuple[JournalEntry, ...]
    """In order; fewer than there are where they are many or large."""
    head_seq: int


@dataclass(frozen=True, slots=True)
class Change:
    """Entries `after_seq + 1 .. head_seq` of a stream, which another process committed; or a session
    (`session_stream`) that another process took up, of which there are none."""

    stream: StreamId
    after_seq: int
    head_seq: int


@dataclass(frozen=True, slots=True)
class StoredVector:
    """A vector kept beside the journal, so that a rebuild of the memory embeds nothing twice."""

    message_id: MessageId
    fingerprint: str
    """Of the embedder that made it."""
    vector: tuple[float, ...]
