"""What is told in passing. Values, and their JSON.

A server may be of another version: what is not understood is left out.
"""

from functools import cache
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from machines.models.domain import Frozen
from machines.models.ids import BranchId, MessageId, PublicKey, RunId, ThreadId
from machines.models.outputs import StepEnum


class Joins(Frozen):
    """The sender hears from now on what others say, and nothing of what they said before."""

    kind: Literal["joins"] = "joins"
    sender: str


class Asks(Frozen):
    """The sender has followers of these threads, and wants for some time to be told of them."""

    kind: Literal["asks"] = "asks"
    sender: str
    thread_ids: tuple[ThreadId, ...]
    whole: bool
    """Whether it has nothing of them yet, or lost some."""


class Piece(Frozen):
    """A part of what an attempt writes."""

    kind: Literal["piece"] = "piece"
    thread_id: ThreadId
    run_id: RunId
    message_id: MessageId
    branch_id: BranchId | None = None
    step: StepEnum
    iteration: int
    attempt: int
    thought: bool
    """Of its thoughts, and not of its text."""
    offset: int = Field(ge=0)
    """Code points before it."""
    text: str


class Attendance(Frozen):
    """Who is in a thread at the sender."""

    kind: Literal["attendance"] = "attendance"
    sender: str
    thread_id: ThreadId
    present: tuple[PublicKey, ...]
    typing: tuple[PublicKey, ...]


Told = Piece | Attendance
"""What is told of a thread to those who ask for it."""

Message = Joins | Asks | Told


def encode(message: Message) -> str:
    """Its JSON."""
    return message.model_dump_json()


def decode(text: str) -> Message | None:
    """What was said; None where it is nothing that this version knows."""
    try:
        return _adapter().validate_json(text)
    except ValidationError:
        return None


@cache
def _adapter() -> TypeAdapter[Message]:
    return TypeAdapter(Annotated[Message, Field(discriminator="kind")])
