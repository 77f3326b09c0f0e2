"""The pure half of the memory: verification, recovery, consistency and repair."""

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.models import errors
from machines.models.domain import Role
from machines.models.ids import MessageId, PointId, RunId, ThreadId
from machines.models.thread import Visibility
from storage.memory.consistency import (
    collections_to_reset,
    expect,
    points_needed,
    repair_consistency,
    verify_consistency,
)
from storage.memory.facts import (
    CollectionFacts,
    ExpectedPoint,
    JournalFacts,
    MemoryFacts,
    PointFacts,
    VectorHealth,
)
from storage.memory.operations import (
    cache_operation,
    execute_operation,
    handle_storage_error,
    operation_performed,
)
from storage.memory.points import (
    Collection,
    LinkPayload,
    LinkPoint,
    MessagePayload,
    MessagePoint,
    Point,
)
from storage.memory.values import (
    MAX_WAITING,
    CollectionState,
    Delete,
    Failure,
    FingerprintMismatch,
    Operation,
    PayloadIndex,
    Recovery,
    RecoveryPolicy,
    RemovePoints,
    RetryWithBackoff,
    Search,
    SearchScope,
    StorageState,
    Store,
    Success,
    Update,
    UpdateAndRetry,
    ValidateAndRetry,
    WritePoints,
)
from storage.memory.vectors import diagnose_vector, verify_indices

DIMENSIONS = 3
EMBEDDER = "test-3"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

READY = StorageState(
    collections=(
        CollectionState(name=Collection.MESSAGES, dimensions=DIMENSIONS, fingerprint=EMBEDDER),
        CollectionState(name=Collection.LINKS, dimensions=None, fingerprint=None),
    )
)


def message(number: int, *, seq: int = 1, vector: tuple[float, ...] = (1.0, 0.0, 0.0)) -> Point:
    payload = MessagePayload(
        thread_id=ThreadId(f"thread-{number % 3}"),
        message_id=MessageId(f"message-{number}"),
        author=None,
        role=Role.CHORUS,
        visibility=Visibility.PRIVATE,
        content=f"content {number}",
        created_at=AT,
        seq=seq,
        fingerprint=EMBEDDER,
    )
    return MessagePoint(payload=payload, vector=vector)


def link(prompt: int, prior: int, *, seq: int = 1) -> Point:
    return LinkPoint(
        payload=LinkPayload(
            run_id=RunId("run"),
            thread_id=ThreadId("thread-0"),
            prompt_message_id=MessageId(f"message-{prompt}"),
            prior_message_id=MessageId(f"message-{prior}"),
            why="alike",
            created_at=AT,
            seq=seq,
        )
    )


numbers = st.integers(0, 7)
floats = st.floats(width=32) | st.just(0.0)
vectors = st.lists(floats, max_size=DIMENSIONS + 1).map(tuple)
points = st.builds(
    lambda number, seq, vector: message(number, seq=seq, vector=vector),
    numbers,
    st.integers(1, 4),
    vectors,
) | st.builds(link, numbers, numbers)
batches = st.lists(points, min_size=1, max_size=5).map(tuple)
operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Store, points=batches),
    st.builds(Update, points=batches),
    st.builds(Search, vector=vectors, scope=st.just(SearchScope()), limit=st.integers(1, 80)),
    st.builds(
        Delete,
        collection=st.sampled_from(Collection),
        ids=st.lists(numbers.map(lambda n: message(n).id), min_size=1).map(tuple),
    ),
)
states = st.sampled_from(
    (READY, StorageState(), READY.model_copy(update={"collections": READY.collections[:1]}))
)
storage_errors = st.sampled_from(
    (
        errors.ConnectionError("away"),
        errors.ConnectionError("busy", retry_after_ms=500),
        errors.ConnectionError("busy for long", retry_after_ms=60_000),
        errors.ConnectionError("refused", retryable=False),
        errors.InconsistencyError("gone"),
        errors.VectorError("zero"),
        errors.StorageError("other"),
        FingerprintMismatch(),
    )
)


def spelled(outcome: tuple[StorageState, Success | Failure]) -> object:
    """An outcome that can be compared: exceptions are compared by what they say."""
    state, result = outcome
    if isinstance(result, Failure):
        return state, type(result.error), result.error.message, result.recovery
    return state, repr(result)


@given(state=states, operation=operations)
def test_executing_is_pure_and_leaves_its_arguments_as_they_were(
    state: StorageState, operation: Operation
) -> None:
    before = (state.model_dump_json(), repr(operation))
    first = execute_operation(state, operation)
    assert spelled(first) == spelled(execute_operation(state, operation))
    assert (state.model_dump_json(), repr(operation)) == before


@given(state=states, operation=operations)
def test_no_effect_carries_a_vector_that_cannot_be_searched(
    state: StorageState, operation: Operation
) -> None:
    _, result = execute_operation(state, operation)
    if isinstance(result, Failure):
        return
    for effect in result.effects:
        if isinstance(effect, WritePoints):
            assert {point.collection for point in effect.points} == {effect.collection}
            assert len({point.id for point in effect.points}) == len(effect.points)
            for point in effect.points:
                if isinstance(point, MessagePoint):
                    assert diagnose_vector(point.vector, DIMENSIONS) is VectorHealth.SOUND


@pytest.mark.parametrize(
    ("vector", "health"),
    [
        ((), VectorHealth.MISSING),
        ((1.0, 2.0), VectorHealth.WRONG_SIZE),
        ((1.0, math.nan, 2.0), VectorHealth.NAN),
        ((math.inf, math.nan, 2.0), VectorHealth.NAN),
        ((1.0, -math.inf, 2.0), VectorHealth.INFINITE),
        ((1.0, 1e39, 2.0), VectorHealth.INFINITE),
        ((0.0, 0.0, -0.0), VectorHealth.ZERO),
        ((0.0, 1e-9, 0.0), VectorHealth.ZERO),
        ((2e19, 2e19, 0.0), VectorHealth.INFINITE),
        ((1e18, 1e18, 0.0), VectorHealth.SOUND),
        ((0.1, -0.2, 0.3), VectorHealth.SOUND),
    ],
)
def test_a_vector_is_refused_for_what_is_wrong_with_it(
    vector: tuple[float, ...], health: VectorHealth
) -> None:
    assert diagnose_vector(vector, DIMENSIONS) is health
    _, stored = execute_operation(READY, Store(points=(message(1, vector=vector),)))
    _, searched = execute_operation(
        READY, Search(vector=vector, scope=SearchScope(include_public=True), limit=1)
    )
    for result in (stored, searched):
        if health is VectorHealth.SOUND:
            assert isinstance(result, Success)
        else:
            assert isinstance(result, Failure)
            assert isinstance(result.error, errors.VectorError)
            assert isinstance(result.recovery, UpdateAndRetry)


def test_a_vector_of_another_embedder_is_refused() -> None:
    payload = message(1).payload.model_copy(update={"fingerprint": "another"})
    assert isinstance(payload, MessagePayload)
    foreign = MessagePoint(payload=payload, vector=(1.0, 0.0, 0.0))
    _, result = execute_operation(READY, Store(points=(foreign,)))
    assert isinstance(result, Failure)
    assert isinstance(result.error, errors.VectorError)


def test_a_collection_that_is_missing_or_lacks_its_index_is_validated_again() -> None:
    filtered = CollectionState(
        name=Collection.MESSAGES,
        dimensions=DIMENSIONS,
        fingerprint=EMBEDDER,
        filtered_by=frozenset({"thread_id", "visibility"}),
    )
    half = StorageState(
        collections=(filtered,),
        indices=(PayloadIndex(collection=Collection.MESSAGES, field="thread_id"),),
    )
    assert verify_indices(half, filtered) == ("visibility",)
    search = Search(vector=(1.0, 0.0, 0.0), scope=SearchScope(include_public=True), limit=1)
    for state in (StorageState(), half):
        after, result = execute_operation(state, search)
        assert isinstance(result, Failure)
        assert result.recovery == ValidateAndRetry(attempt=1, allowed=True)
        assert after.error_state is not None


def test_of_one_point_twice_the_later_is_stored_and_links_follow_messages() -> None:
    _, result = execute_operation(
        READY, Store(points=(link(1, 2), message(1, seq=2), message(1, seq=1)))
    )
    assert isinstance(result, Success)
    assert [effect.collection for effect in result.effects if isinstance(effect, WritePoints)] == [
        Collection.MESSAGES,
        Collection.LINKS,
    ]
    assert [
        point.payload.seq
        for effect in result.effects
        if isinstance(effect, WritePoints)
        for point in effect.points
    ] == [2, 1]


def test_a_search_in_an_empty_scope_needs_no_store_and_a_deletion_takes_the_links() -> None:
    _, nothing = execute_operation(
        READY, Search(vector=(1.0, 0.0, 0.0), scope=SearchScope(), limit=5)
    )
    assert nothing == Success(effects=())
    id_ = message(1).id
    _, removal = execute_operation(READY, Delete(collection=Collection.MESSAGES, ids=(id_, id_)))
    assert removal == Success(
        effects=(RemovePoints(collection=Collection.MESSAGES, ids=(id_,), with_links=True),)
    )


# -------------------------------------------------------------------------------------- recovery


@given(
    happened=st.lists(storage_errors, min_size=1, max_size=12),
    policy=st.builds(
        RecoveryPolicy,
        retries=st.integers(0, 4),
        validations=st.integers(0, 2),
        updates=st.integers(0, 2),
    ),
)
def test_recovery_is_bounded_whatever_errors_take_turns(
    happened: list[errors.StorageError], policy: RecoveryPolicy
) -> None:
    state = READY
    allowed = 0
    for count, error in enumerate(happened, start=1):
        state, recovery = handle_storage_error(state, error, policy)
        assert state.error_state is not None
        assert state.error_state.attempts == count
        assert state.cache == READY.cache
        if recovery is not None and recovery.allowed:
            allowed += 1
            if isinstance(recovery, RetryWithBackoff):
                assert recovery.delay_ms <= policy.max_delay_ms
    assert allowed < policy.most_attempts


@pytest.mark.parametrize(
    ("error", "recovery"),
    [
        (errors.ConnectionError("x"), RetryWithBackoff(attempt=1, allowed=True, delay_ms=100)),
        (
            errors.ConnectionError("x", retry_after_ms=700),
            RetryWithBackoff(attempt=1, allowed=True, delay_ms=100, asked_ms=700),
        ),
        (
            errors.ConnectionError("x", retry_after_ms=60_000),
            RetryWithBackoff(attempt=1, allowed=False, delay_ms=100, asked_ms=60_000),
        ),
        (errors.ConnectionError("x", retryable=False), None),
        (errors.InconsistencyError("x"), ValidateAndRetry(attempt=1, allowed=True)),
        (errors.VectorError("x"), UpdateAndRetry(attempt=1, allowed=True)),
        (FingerprintMismatch(), None),
        (errors.StorageError("x"), None),
    ],
)
def test_each_error_has_its_recovery(error: errors.StorageError, recovery: Recovery | None) -> None:
    assert handle_storage_error(READY, error)[1] == recovery


def test_waiting_writes_are_kept_oldest_first_and_what_is_dropped_is_counted() -> None:
    state = READY
    writes = [Store(points=(message(number),)) for number in range(MAX_WAITING + 2)]
    for write in [*writes, writes[0]]:
        state = cache_operation(state, write)
    assert state.cache.operations == tuple(writes[:MAX_WAITING])
    assert state.cache.dropped == 2
    for write in writes:
        state = operation_performed(state, write)
    assert state == READY


# ----------------------------------------------------------------------------------- consistency

Memory = dict[Collection, dict[PointId, PointFacts]]


def facts_of(point: Point) -> PointFacts:
    expected = expect(point.payload)
    if isinstance(point, LinkPoint):
        return PointFacts(expected.id, expected.seq, expected.digest, ends=expected.ends)
    return PointFacts(
        expected.id, expected.seq, expected.digest, size=DIMENSIONS, fingerprint=EMBEDDER
    )


def memory_facts(memory: Memory, fingerprint: str = EMBEDDER) -> MemoryFacts:
    states = {
        Collection.MESSAGES: CollectionState(
            name=Collection.MESSAGES, dimensions=DIMENSIONS, fingerprint=fingerprint
        ),
        Collection.LINKS: CollectionState(name=Collection.LINKS, dimensions=None, fingerprint=None),
    }
    messages, links = (
        CollectionFacts(states[name], tuple(memory[name].values()))
        for name in (Collection.MESSAGES, Collection.LINKS)
    )
    return MemoryFacts(messages=messages, links=links)


def apply(memory: Memory, operations: Iterable[Operation]) -> None:
    """What the store does with verified operations."""
    for operation in operations:
        _, result = execute_operation(READY, operation)
        assert isinstance(result, Success), "a repair must pass its own verification"
        for effect in result.effects:
            if isinstance(effect, WritePoints):
                there = memory[effect.collection]
                for point in effect.points:
                    known = there.get(point.id)
                    newer = known is None or known.seq < point.payload.seq
                    if newer if effect.when == "newer" else known is not None:
                        there[point.id] = facts_of(point)
            elif isinstance(effect, RemovePoints):
                for id_ in effect.ids:
                    memory[effect.collection].pop(id_, None)
                if effect.with_links:
                    links = memory[Collection.LINKS]
                    ended = [kept.id for kept in links.values() if {*kept.ends} & {*effect.ids}]
                    for dead in ended:
                        del links[dead]


damages = st.sampled_from(
    ("none", "absent", "payload", "seq_low", "seq_high", "nan", "foreign", "unreadable")
)


def damaged(facts: PointFacts, damage: str) -> PointFacts | None:
    match damage:
        case "absent":
            return None
        case "payload":
            return replace(facts, digest="other")
        case "seq_low":
            return replace(facts, seq=facts.seq - 1)
        case "seq_high":
            return replace(facts, seq=facts.seq + 1)
        case "nan" if facts.fingerprint:
            return replace(facts, health=VectorHealth.NAN)
        case "foreign" if facts.fingerprint:
            return replace(facts, fingerprint="other")
        case "unreadable":
            return PointFacts(facts.id, 0, "", fingerprint=None, size=facts.size)
        case _:
            return facts


@settings(deadline=None)
@given(
    journal_messages=st.lists(st.tuples(numbers, damages), unique_by=lambda pair: pair[0]),
    journal_links=st.lists(
        st.tuples(numbers, numbers, damages), unique_by=lambda triple: triple[:2]
    ),
    strangers=st.lists(st.integers(20, 25), unique=True),
    strange_links=st.lists(st.tuples(numbers, st.integers(20, 25)), unique=True),
    fingerprint=st.sampled_from((EMBEDDER, "another")),
)
def test_one_repair_mends_everything_and_a_second_changes_nothing(
    journal_messages: list[tuple[int, str]],
    journal_links: list[tuple[int, int, str]],
    strangers: list[int],
    strange_links: list[tuple[int, int]],
    fingerprint: str,
) -> None:
    whole: dict[PointId, Point] = {}
    memory: Memory = {Collection.MESSAGES: {}, Collection.LINKS: {}}
    made: list[tuple[Point, str]] = [(message(n, seq=2), how) for n, how in journal_messages]
    made += [(link(prompt, prior, seq=2), how) for prompt, prior, how in journal_links]
    for point, how in made:
        whole[point.id] = point
        kept = damaged(facts_of(point), how)
        if kept is not None:
            memory[point.collection][point.id] = kept
    for stranger in [*map(message, strangers), *(link(a, b) for a, b in strange_links)]:
        memory[stranger.collection][stranger.id] = facts_of(stranger)

    expected: dict[Collection, list[ExpectedPoint]] = {c: [] for c in Collection}
    for point in whole.values():
        expected[point.collection].append(expect(point.payload))
    journal = JournalFacts(
        dimensions=DIMENSIONS,
        fingerprint=EMBEDDER,
        messages=tuple(expected[Collection.MESSAGES]),
        links=tuple(expected[Collection.LINKS]),
    )

    found = verify_consistency(journal, memory_facts(memory, fingerprint))
    assert found == verify_consistency(journal, memory_facts(memory, fingerprint))
    resets = collections_to_reset(found)
    assert bool(resets) == (fingerprint != EMBEDDER)
    for name in resets:
        memory[name].clear()
    needed = {id_: whole[id_] for id_ in points_needed(found)}
    apply(memory, repair_consistency(found, needed))

    again = verify_consistency(journal, memory_facts(memory))
    assert again == []
    assert repair_consistency(again, {}) == []


def test_a_repair_without_the_points_that_it_needs_is_refused() -> None:
    journal = JournalFacts(DIMENSIONS, EMBEDDER, (expect(message(1).payload),), ())
    found = verify_consistency(
        journal, memory_facts({Collection.MESSAGES: {}, Collection.LINKS: {}})
    )
    with pytest.raises(errors.InconsistencyError):
        repair_consistency(found, {})
