"""Where journal and memory disagree, and the operations that make them agree.

Pure: facts in, values out. The journal is the truth, so every repair changes the memory. Mending
what was found and comparing again finds nothing: repairing twice changes nothing more.

Order of reading matters: first the memory, then the journal. The memory follows, so a journal that
is read later has all that the memory holds, and nothing good is taken for an orphan; what looks
missing meanwhile is stored again, which changes nothing.

How to repair, whole:

1. `verify_consistency`; make the `collections_to_reset` anew (`DatabaseClient.reset`);
2. read the `points_needed` from the journal, with their vectors;
3. carry out what `repair_consistency` returns.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeVar, assert_never

from machines.models.errors import InconsistencyError
from machines.models.ids import PointId
from storage.memory.facts import (
    CollectionFacts,
    CollectionMismatch,
    DanglingLink,
    DriftedPoint,
    ExpectedPoint,
    ForeignVector,
    Inconsistency,
    JournalFacts,
    MemoryFacts,
    MissingPoint,
    OrphanPoint,
    UnsoundVector,
)
from storage.memory.points import Collection, LinkPayload, MessagePayload, Point
from storage.memory.values import Delete, Operation, Store, Update
from storage.memory.vectors import verify_embedder, verify_relationships, verify_vector_space

REPAIR_BATCH: Final = 32
"""Points in one repairing operation: small, so that searches get their turn in between."""

_Item = TypeVar("_Item")
_Mend = Literal["store", "update", "delete"]


def expect(payload: MessagePayload | LinkPayload) -> ExpectedPoint:
    """What the journal expects of the memory, from the payload that its point must have."""
    return ExpectedPoint(
        id=payload.point_id,
        seq=payload.seq,
        digest=payload.digest(),
        ends=payload.ends if isinstance(payload, LinkPayload) else (),
    )


def verify_consistency(journal: JournalFacts, memory: MemoryFacts) -> list[Inconsistency]:
    """Everything in which the memory differs from the journal, messages first."""
    mismatches = verify_embedder(memory.messages.state, journal.dimensions, journal.fingerprint)
    if mismatches:
        # The collection will be made anew, so what is in it now is beside the point.
        found: list[Inconsistency] = [
            *mismatches,
            *_missing(Collection.MESSAGES, journal.messages, frozenset()),
        ]
    else:
        found = [
            *_compare(Collection.MESSAGES, journal.messages, memory.messages),
            *verify_vector_space(_known(memory.messages, journal.messages)),
        ]
    messages = frozenset(point.id for point in journal.messages)
    # A link between messages of which one is not approved is not expected, whatever recorded it:
    # expecting it would store and remove it by turns.
    links = tuple(link for link in journal.links if messages.issuperset(link.ends))
    dangling = verify_relationships(messages, memory.links.points)
    named = {link.id for link in dangling}
    differing = _compare(Collection.LINKS, links, memory.links)
    return [*found, *dangling, *(item for item in differing if item.id not in named)]


_Difference = MissingPoint | OrphanPoint | DriftedPoint


def _compare(
    collection: Collection, expected: Sequence[ExpectedPoint], facts: CollectionFacts
) -> list[_Difference]:
    present = {point.id: point for point in facts.points}
    wanted = {point.id for point in expected}
    found: list[_Difference] = [*_missing(collection, expected, present.keys())]
    for point in expected:
        there = present.get(point.id)
        if there is None:
            continue
        if there.digest != point.digest:
            found.append(DriftedPoint(collection=collection, id=point.id, problem="payload"))
        elif there.seq != point.seq:
            found.append(DriftedPoint(collection=collection, id=point.id, problem="seq"))
    found.extend(OrphanPoint(collection=collection, id=id_) for id_ in present if id_ not in wanted)
    return found


def _missing(
    collection: Collection, expected: Iterable[ExpectedPoint], present: Iterable[PointId]
) -> list[MissingPoint]:
    there = frozenset(present)
    return [
        MissingPoint(collection=collection, id=point.id)
        for point in expected
        if point.id not in there
    ]


def _known(facts: CollectionFacts, expected: Iterable[ExpectedPoint]) -> CollectionFacts:
    """The facts without orphans, whose vectors are never searched."""
    wanted = {point.id for point in expected}
    return CollectionFacts(facts.state, tuple(p for p in facts.points if p.id in wanted))


# ---------------------------------------------------------------------------------------- repair


def collections_to_reset(found: Iterable[Inconsistency]) -> tuple[Collection, ...]:
    """Collections that must be made anew before anything else is mended."""
    return tuple(
        sorted({item.collection for item in found if isinstance(item, CollectionMismatch)})
    )


def points_needed(found: Iterable[Inconsistency]) -> frozenset[PointId]:
    """Points that `repair_consistency` must be given, whole."""
    return frozenset(id_ for (_, id_), mend in _plan(found).items() if mend in ("store", "update"))


def repair_consistency(
    found: Iterable[Inconsistency], points: Mapping[PointId, Point]
) -> list[Operation]:
    """The operations that mend what was found: removals, then messages, then links.

    Raises:
        InconsistencyError: `points` lacks one of `points_needed`; a repair that leaves things out
            must not look like one that was done.
    """
    plan = _plan(found)
    missing = [id_ for (_, id_), mend in plan.items() if mend != "delete" and id_ not in points]
    if missing:
        raise InconsistencyError(
            "The repair was not given every message that it needs.", detail=", ".join(missing)
        )
    operations: list[Operation] = []
    # Links go before messages, so that none ends in nothing meanwhile.
    for collection in (Collection.LINKS, Collection.MESSAGES):
        ids = sorted(_to(plan, collection, "delete"))
        operations.extend(Delete(collection=collection, ids=some) for some in _batches(ids))
    for collection in (Collection.MESSAGES, Collection.LINKS):
        for mend, make in (("update", Update), ("store", Store)):
            chosen = [points[id_] for id_ in sorted(_to(plan, collection, mend))]
            operations.extend(make(points=some) for some in _batches(chosen))
    return operations


def _plan(found: Iterable[Inconsistency]) -> dict[tuple[Collection, PointId], _Mend]:
    """One way of mending for each point, however much is wrong with it."""
    plan: dict[tuple[Collection, PointId], _Mend] = {}
    for item in found:
        match item:
            case CollectionMismatch():
                pass  # mended by making the collection anew
            case MissingPoint():
                plan[item.collection, item.id] = "store"
            case DriftedPoint() | UnsoundVector() | ForeignVector():
                # The `seq` may be as high as the journal's or higher, so a store would not do.
                plan[item.collection, item.id] = "update"
            case OrphanPoint() | DanglingLink():
                plan[item.collection, item.id] = "delete"
            case _:
                assert_never(item)
    return plan


def _to(
    plan: Mapping[tuple[Collection, PointId], _Mend], collection: Collection, mend: str
) -> list[PointId]:
    return [id_ for (where, id_), how in plan.items() if where is collection and how == mend]


def _batches(items: Sequence[_Item]) -> list[tuple[_Item, ...]]:
    return [
        tuple(items[start : start + REPAIR_BATCH]) for start in range(0, len(items), REPAIR_BATCH)
    ]
