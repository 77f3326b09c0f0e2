"""What must hold of vectors, collections and links before they are written or searched.

Pure checks. Those that guard an operation raise the error that names what is wrong; those that
compare facts return every inconsistency that they find. Nothing here is mended:
`storage.memory.consistency` says how.
"""

import math
from collections.abc import Sequence, Set
from typing import Final

from machines.models.errors import InconsistencyError, VectorError
from machines.models.ids import PointId
from storage.memory.facts import (
    CollectionFacts,
    CollectionMismatch,
    DanglingLink,
    ForeignVector,
    Inconsistency,
    PointFacts,
    UnsoundVector,
    VectorHealth,
)
from storage.memory.points import Collection, is_same_embedder
from storage.memory.values import CollectionState, FingerprintMismatch, StorageState

_LARGEST_NORM: Final = 1e19
"""The store squares in float32, which ends at 3.4e38: a longer vector becomes infinite there."""

_SMALLEST_NORM: Final = 1e-6
"""Qdrant leaves shorter vectors without a direction (its bound is 1.2e-7): they count as zero."""

_PROBLEMS: Final = {
    VectorHealth.MISSING: "there is none",
    VectorHealth.WRONG_SIZE: "it has the wrong size",
    VectorHealth.NAN: "a number in it is NaN",
    VectorHealth.INFINITE: "it is infinite, or too long for float32",
    VectorHealth.ZERO: "all of it is zero",
}


def diagnose_vector(vector: Sequence[float], dimensions: int) -> VectorHealth:
    """The first thing that is wrong with a vector of `dimensions` numbers, if anything."""
    if not vector:
        return VectorHealth.MISSING
    if len(vector) != dimensions:
        return VectorHealth.WRONG_SIZE
    # The norm is NaN or infinite if a number is, so a sound vector is passed over only once.
    norm = math.hypot(*vector)
    if not norm <= _LARGEST_NORM:
        return VectorHealth.NAN if any(map(math.isnan, vector)) else VectorHealth.INFINITE
    return VectorHealth.ZERO if norm < _SMALLEST_NORM else VectorHealth.SOUND


def verify_embedding(vector: Sequence[float], dimensions: int) -> None:
    """Refuse a vector that the store would take and never find again.

    Raises:
        VectorError: it is missing, of the wrong size, NaN, infinite or zero.
    """
    health = diagnose_vector(vector, dimensions)
    if health is not VectorHealth.SOUND:
        raise VectorError(
            f"The vector cannot be used: {_PROBLEMS[health]}.",
            detail=f"{health}: {len(vector)} numbers, {dimensions} expected",
        )


def verify_collection(state: StorageState, name: Collection) -> CollectionState:
    """The collection, if it is known to be there with what its operations need.

    Raises:
        InconsistencyError: the collection, its vectors or one of its indices is missing.
    """
    collection = state.collection(name)
    if collection is None:
        raise InconsistencyError("A collection of the vector store is missing.", detail=name)
    if name is Collection.MESSAGES and collection.dimensions is None:
        raise InconsistencyError("A collection of the vector store has no vectors.", detail=name)
    missing = verify_indices(state, collection)
    if missing:
        raise InconsistencyError(
            "A collection of the vector store lacks an index.", detail=f"{name}: {missing}"
        )
    return collection


def verify_indices(state: StorageState, collection: CollectionState) -> tuple[str, ...]:
    """Payload fields that the store filters by and has no index for, sorted."""
    indexed = {index.field for index in state.indices if index.collection is collection.name}
    return tuple(sorted(collection.filtered_by - indexed))


EMBEDDED_ANEW: Final = (
    "this version embeds messages together with their authors' names: all are embedded again while "
    "the server runs, and until then searches find those that are done"
)
"""What an operator is told where `must_be_made_anew`."""


def must_be_made_anew(collection: CollectionState, dimensions: int, fingerprint: str) -> bool:
    """Whether the collection of the vectors was made of other texts by the embedder in use.

    That costs this machine some time. Another embedder may cost money: an operator decides.

    Raises:
        FingerprintMismatch: another embedder made them.
    """
    if (collection.dimensions, collection.fingerprint) == (dimensions, fingerprint):
        return False
    if collection.dimensions != dimensions or not is_same_embedder(
        collection.fingerprint, fingerprint
    ):
        raise FingerprintMismatch(
            detail=f"{collection.fingerprint} ({collection.dimensions}), not "
            f"{fingerprint} ({dimensions})"
        )
    return True


def verify_embedder(
    collection: CollectionState, dimensions: int, fingerprint: str
) -> tuple[Inconsistency, ...]:
    """How the collection of the vectors differs from the embedder in use."""
    name = collection.name
    if collection.dimensions != dimensions:
        return (CollectionMismatch(collection=name, problem="dimensions"),)
    if collection.fingerprint != fingerprint:
        return (CollectionMismatch(collection=name, problem="fingerprint"),)
    return ()


def verify_vector_space(facts: CollectionFacts) -> tuple[Inconsistency, ...]:
    """Vectors that cannot be searched, or were made by another embedder than their collection's."""
    found: list[Inconsistency] = []
    name = facts.state.name
    for point in facts.points:
        if point.health is not VectorHealth.SOUND:
            found.append(UnsoundVector(collection=name, id=point.id, health=point.health))
        elif point.fingerprint != facts.state.fingerprint:
            found.append(ForeignVector(collection=name, id=point.id))
    return tuple(found)


def verify_relationships(
    messages: Set[PointId], links: Sequence[PointFacts]
) -> tuple[DanglingLink, ...]:
    """Links that end at a point which is not among `messages`; each is named once."""
    found: list[DanglingLink] = []
    for link in links:
        missing = next((end for end in link.ends if end not in messages), None)
        if missing is not None:
            found.append(DanglingLink(collection=Collection.LINKS, id=link.id, missing=missing))
    return tuple(found)
