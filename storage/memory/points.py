"""Points of the vector memory: what is kept of a message and of a link, and how their ids are derived.

Two collections: `messages` holds one point for each approved message, with its vector; `links`
holds the semantic links that Observation recorded, without vectors.
"""

from datetime import UTC, date
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

from pydantic import Field

from machines.models.domain import Frozen, Role
from machines.models.ids import MessageId, PointId, PublicKey, RunId, ThreadId
from machines.models.outputs import Timestamp
from machines.models.thread import Visibility

_MESSAGES_NAMESPACE: Final = UUID("5b0a3f0e-7c0d-5d7b-9c55-1f0d6f7f3a01")
_LINKS_NAMESPACE: Final = UUID("5b0a3f0e-7c0d-5d7b-9c55-1f0d6f7f3a02")


class Collection(StrEnum):
    """The collections of the vector store, by their names there."""

    MESSAGES = "messages"
    LINKS = "links"


def message_point_id(message_id: MessageId) -> PointId:
    """The one point that stands for a message."""
    return PointId(str(uuid5(_MESSAGES_NAMESPACE, message_id)))


def link_point_id(run_id: RunId, prompt: MessageId, prior: MessageId) -> PointId:
    """The one point that stands for a link which a run found between two messages."""
    return PointId(str(uuid5(_LINKS_NAMESPACE, f"{run_id}/{prompt}/{prior}")))


TEXT_MARK: Final = "|text:"
"""In a fingerprint, between the embedder's own and the number of `said_by`."""

_TEXT_NUMBER: Final = 1
"""Raised whenever `said_by` makes another text of the same message."""


def said_by(speaker: str, content: str) -> str:
    """What is embedded of a message."""
    return f"{speaker}: {content}" if speaker else content


def fingerprint_of(embedder: str) -> str:
    """What names the vectors of messages, given the fingerprint of the embedder."""
    return f"{embedder}{TEXT_MARK}{_TEXT_NUMBER}"


def is_same_embedder(one: str | None, other: str | None) -> bool:
    """Whether two fingerprints of vectors differ at most in what was embedded of each message."""
    if one is None or other is None:
        return one is other
    return one.partition(TEXT_MARK)[0] == other.partition(TEXT_MARK)[0]


class _Payload(Frozen):
    def digest(self) -> str:
        """Hex SHA-256 of what the point says.

        `seq`, `fingerprint` and `speaker` are left out: they say how the point came to be. The first
        two are compared on their own.
        """
        left_out = {"seq", "fingerprint", "speaker"}
        return sha256(self.model_dump_json(exclude=left_out).encode()).hexdigest()


class MessagePayload(_Payload):
    """What is kept beside a message's vector."""

    thread_id: ThreadId
    message_id: MessageId
    author: PublicKey | None
    """None for an answer of Chorus itself."""
    role: Role
    visibility: Visibility
    """The thread's; fixed for good."""
    content: str
    created_at: Timestamp
    seq: int = Field(ge=1)
    """Number of the entry in the thread's journal that approved the message."""
    fingerprint: str
    """The embedder that made the vector, and what it was made of."""
    index: int = Field(default=0, ge=0)
    """The message's place in its thread."""
    repeats: bool = False
    """Whether it says nothing of its own, but puts together what others said."""
    speaker: str = ""
    """The name of its author when it was remembered; empty where there is none. A user who takes
    another name is the same author, so it is not compared with the journal."""

    @property
    def point_id(self) -> PointId:
        return message_point_id(self.message_id)

    @property
    def said(self) -> str:
        """Who says what: the text that is embedded, and found by its words."""
        return said_by(self.speaker, self.content)

    @property
    def day(self) -> date:
        """The day on which it was said, of UTC: found by its words, and not embedded."""
        return self.created_at.astimezone(UTC).date()


class LinkPayload(_Payload):
    """A prior that a run selected for a prompt, and why."""

    run_id: RunId
    thread_id: ThreadId
    prompt_message_id: MessageId
    prior_message_id: MessageId
    why: str
    created_at: Timestamp
    seq: int = Field(ge=1)
    """Number of the entry in the thread's journal that recorded the link."""

    @property
    def point_id(self) -> PointId:
        return link_point_id(self.run_id, self.prompt_message_id, self.prior_message_id)

    @property
    def ends(self) -> tuple[PointId, PointId]:
        """The points of the two messages that it links."""
        return message_point_id(self.prompt_message_id), message_point_id(self.prior_message_id)


class MessagePoint(Frozen):
    """An approved message in the memory."""

    payload: MessagePayload
    vector: tuple[float, ...]

    @property
    def id(self) -> PointId:
        return self.payload.point_id

    @property
    def collection(self) -> Collection:
        return Collection.MESSAGES


class LinkPoint(Frozen):
    """A semantic link in the memory."""

    payload: LinkPayload

    @property
    def id(self) -> PointId:
        return self.payload.point_id

    @property
    def collection(self) -> Collection:
        return Collection.LINKS


Point = MessagePoint | LinkPoint
