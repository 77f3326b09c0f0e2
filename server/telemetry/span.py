"""Spans as plain values, and the ids that name them.

The id of a trace is the UUID of what it tells of, and the id of a span follows from its place in it: who
derives a span again, after a restart or on another server, derives the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from hashlib import blake2b
from typing import Final
from uuid import UUID

from storage.journal.rows import micros

Attribute = str | int | float | bool | tuple[str, ...]
Attributes = Mapping[str, Attribute]


RUN_ROOT: Final = "run"
"""The place of a run's root span in its trace."""


class SpanKind(Enum):
    """Whether the work was this server's, was asked of it, or was asked of another one."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at one moment of a span."""

    name: str
    at: int
    """Nanoseconds since 1970 in UTC."""
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class SpanLink:
    """Another span that a span follows from, in whichever trace."""

    trace_id: int
    span_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One piece of work, with its place in a trace."""

    trace_id: int
    span_id: int
    parent_id: int | None = None
    """None for the root of its trace."""
    name: str
    kind: SpanKind = SpanKind.INTERNAL
    start: int
    """Nanoseconds since 1970 in UTC."""
    end: int
    attributes: Attributes
    failed: bool = False
    """Whether it came to nothing; `error.type` says why."""
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()


def trace_id_of(subject: str) -> int:
    """The trace of a run, or of what waits for a decision: 128 bits, the UUID that names it.

    Raises:
        ValueError: it is no UUID.
    """
    return UUID(subject).int


def span_id_of(subject: str, place: str) -> int:
    """64 bits for a span of a trace's subject, the same ones whoever asks; never zero.

    Args:
        place: What tells the span from all others of its trace.
    """
    digest = blake2b(f"{subject}/{place}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) or 1


def link_to(subject: str, place: str) -> SpanLink:
    """The span of a subject at a place in its trace. Raises ValueError: the subject is no UUID."""
    return SpanLink(trace_id_of(subject), span_id_of(subject, place))


def nanoseconds(moment: datetime) -> int:
    """Since 1970 in UTC, of a moment with a zone."""
    return micros(moment) * 1_000
