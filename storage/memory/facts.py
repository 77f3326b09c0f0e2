"""Facts of journal and memory, side by side, and the ways in which they may disagree.

Only values live here; `storage.memory.consistency` compares and mends. Facts are slotted dataclasses, not
pydantic models: there is one for each message, and they come from our own stores.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from machines.models.domain import Frozen
from machines.models.ids import PointId
from storage.memory.points import Collection
from storage.memory.values import CollectionState


class VectorHealth(StrEnum):
    """What is wrong with a vector, if anything."""

    SOUND = "sound"
    MISSING = "missing"
    WRONG_SIZE = "wrong_size"
    NAN = "nan"
    INFINITE = "infinite"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class ExpectedPoint:
    """A point that the journal says must be there."""

    id: PointId
    seq: int
    digest: str
    """`digest()` of its payload."""
    ends: tuple[PointId, ...] = ()
    """For a link: the message points that it links."""


@dataclass(frozen=True, slots=True)
class PointFacts:
    """What is in the memory under one id."""

    id: PointId
    seq: int
    """0 where the payload cannot be read."""
    digest: str
    """Empty where the payload cannot be read."""
    health: VectorHealth = VectorHealth.SOUND
    """SOUND for a link, which has no vector."""
    size: int = 0
    """Numbers in the vector."""
    fingerprint: str | None = None
    """The embedder that made the vector; None for a link."""
    ends: tuple[PointId, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """The journal's side of a comparison, and the embedder in use."""

    dimensions: int
    fingerprint: str
    messages: tuple[ExpectedPoint, ...]
    links: tuple[ExpectedPoint, ...]


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """A collection and everything in it."""

    state: CollectionState
    points: tuple[PointFacts, ...]


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """The memory's side of a comparison."""

    messages: CollectionFacts
    links: CollectionFacts


class CollectionMismatch(Frozen):
    """A collection was made for another embedder: it is made anew."""

    kind: Literal["collection_mismatch"] = "collection_mismatch"
    collection: Collection
    problem: Literal["dimensions", "fingerprint"]


class _OfPoint(Frozen):
    collection: Collection
    id: PointId


class MissingPoint(_OfPoint):
    """The journal has it, the memory has not."""

    kind: Literal["missing_point"] = "missing_point"


class OrphanPoint(_OfPoint):
    """The memory has it, the journal has not."""

    kind: Literal["orphan_point"] = "orphan_point"


class DriftedPoint(_OfPoint):
    """It says something else than the journal, or is of another `seq`."""

    kind: Literal["drifted_point"] = "drifted_point"
    problem: Literal["payload", "seq"]


class UnsoundVector(_OfPoint):
    """Its vector cannot be searched with."""

    kind: Literal["unsound_vector"] = "unsound_vector"
    health: VectorHealth


class ForeignVector(_OfPoint):
    """Its vector was made by another embedder than its collection says."""

    kind: Literal["foreign_vector"] = "foreign_vector"


class DanglingLink(_OfPoint):
    """A link that ends at a message which the journal does not have approved."""

    kind: Literal["dangling_link"] = "dangling_link"
    missing: PointId


Inconsistency = Annotated[
    CollectionMismatch
    | MissingPoint
    | OrphanPoint
    | DriftedPoint
    | UnsoundVector
    | ForeignVector
    | DanglingLink,
    Field(discriminator="kind"),
]
