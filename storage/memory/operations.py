"""The pure half of the memory: what an operation needs, what carries it out, what mends an error.

Nothing here waits, raises to its caller or touches a store. `execute_operation` verifies first and
returns the verified effects; `storage.qdrant.client` carries them out and asks `handle_storage_error`
what to do when that fails.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, assert_never

from machines.models import errors
from machines.models.ids import PointId
from storage.memory.points import Collection, LinkPoint, MessagePoint, Point
from storage.memory.values import (
    MAX_WAITING,
    Delete,
    ErrorKind,
    Failure,
    FingerprintMismatch,
    Operation,
    QueryPoints,
    Recovery,
    RecoveryPolicy,
    RemovePoints,
    Result,
    RetryWithBackoff,
    Search,
    StorageEffect,
    StorageErrorState,
    StorageState,
    Store,
    Success,
    Update,
    UpdateAndRetry,
    ValidateAndRetry,
    WaitingOperations,
    Write,
    WritePoints,
)
from storage.memory.vectors import verify_collection, verify_embedding

DEFAULT_POLICY: Final = RecoveryPolicy()


def execute_operation(
    state: StorageState, operation: Operation, policy: RecoveryPolicy = DEFAULT_POLICY
) -> tuple[StorageState, Result]:
    """Verify an operation and say which effects carry it out.

    The state changes only where the operation is refused: the error is counted in it. What an
    effect changes is told afterwards, by `operation_performed`.
    """
    try:
        match operation:
            case Store():
                effects = store_with_verification(state, operation)
            case Search():
                effects = search_with_consistency(state, operation)
            case Update():
                effects = update_with_validation(state, operation)
            case Delete():
                effects = delete_with_cleanup(state, operation)
            case _:
                assert_never(operation)
    except errors.StorageError as error:
        state, recovery = handle_storage_error(state, error, policy)
        return state, Failure(error=error, recovery=recovery)
    return state, Success(effects=effects)


def store_with_verification(state: StorageState, operation: Store) -> tuple[StorageEffect, ...]:
    """The writes that put the points in, unless they are there already.

    Raises:
        InconsistencyError: a collection is missing.
        VectorError: a vector is not fit to be searched, or is another embedder's.
    """
    return tuple(
        WritePoints(collection=collection, points=points, when="newer")
        for collection, points in _verified(state, operation.points)
    )


def search_with_consistency(state: StorageState, operation: Search) -> tuple[StorageEffect, ...]:
    """The query; no effect at all where nothing can be in scope.

    Raises:
        InconsistencyError: the collection, or an index that keeps the scope cheap, is missing.
        VectorError: the query's vector is not fit to search with.
    """
    collection = verify_collection(state, Collection.MESSAGES)
    verify_embedding(operation.vector, collection.dimensions or 0)
    if operation.scope.is_empty:
        return ()
    return (
        QueryPoints(
            vector=operation.vector,
            scope=operation.scope,
            limit=operation.limit,
            text=operation.text,
            floor=operation.floor,
        ),
    )


def update_with_validation(state: StorageState, operation: Update) -> tuple[StorageEffect, ...]:
    """The writes that replace the points where they are. Raises as `store_with_verification`."""
    return tuple(
        WritePoints(collection=collection, points=points, when="present")
        for collection, points in _verified(state, operation.points)
    )


def delete_with_cleanup(state: StorageState, operation: Delete) -> tuple[StorageEffect, ...]:
    """The removal, and with messages that of the links which end at them.

    Raises:
        InconsistencyError: a collection is missing.
    """
    verify_collection(state, operation.collection)
    with_links = operation.collection is Collection.MESSAGES
    if with_links:
        verify_collection(state, Collection.LINKS)
    return (
        RemovePoints(
            collection=operation.collection,
            ids=tuple(sorted(set(operation.ids))),
            with_links=with_links,
        ),
    )


def _verified(
    state: StorageState, points: Sequence[Point]
) -> list[tuple[Collection, tuple[Point, ...]]]:
    """The points by collection, messages first, each id once: of two, the higher `seq`."""
    latest: dict[PointId, Point] = {}
    for point in points:
        _verify_point(state, point)
        known = latest.get(point.id)
        if known is None or known.payload.seq < point.payload.seq:
            latest[point.id] = point
    # Links come after the messages that they end at.
    ordered = sorted(latest.values(), key=lambda point: point.collection is Collection.LINKS)
    return [
        (collection, tuple(group))
        for collection, group in groupby(ordered, key=lambda point: point.collection)
    ]


def _verify_point(state: StorageState, point: Point) -> None:
    collection = verify_collection(state, point.collection)
    match point:
        case MessagePoint():
            verify_embedding(point.vector, collection.dimensions or 0)
            if point.payload.fingerprint != collection.fingerprint:
                raise errors.VectorError(
                    "The vector was made by another embedder.", detail=point.payload.fingerprint
                )
        case LinkPoint():
            pass
        case _:
            assert_never(point)


# ---------------------------------------------------------------------------------------- errors


def handle_storage_error(
    state: StorageState, error: errors.StorageError, policy: RecoveryPolicy = DEFAULT_POLICY
) -> tuple[StorageState, Recovery | None]:
    """Count the error and name its recovery: None where trying again cannot help.

    Attempts are counted over all kinds, so that errors which take turns end too. A recovery that
    is named but not `allowed` would help if more attempts were left.
    """
    attempt = 1 + (state.error_state.attempts if state.error_state else 0)
    kind, recovery = _recovery_from(error, attempt, policy)
    noted = StorageErrorState(kind=kind, message=error.message, attempts=attempt)
    return state.model_copy(update={"error_state": noted}), recovery


def _recovery_from(
    error: errors.StorageError, attempt: int, policy: RecoveryPolicy
) -> tuple[ErrorKind, Recovery | None]:
    match error:
        case FingerprintMismatch():
            # Only an operator may decide to embed everything again.
            return ErrorKind.INCONSISTENCY, None
        case errors.ConnectionError():
            if not error.retryable:
                return ErrorKind.CONNECTION, None
            asked_ms = error.retry_after_ms or 0
            return ErrorKind.CONNECTION, RetryWithBackoff(
                attempt=attempt,
                allowed=attempt <= policy.retries and asked_ms <= policy.max_delay_ms,
                delay_ms=_delay_ms(attempt, policy),
                asked_ms=asked_ms,
            )
        case errors.InconsistencyError():
            return ErrorKind.INCONSISTENCY, ValidateAndRetry(
                attempt=attempt, allowed=attempt <= policy.validations
            )
        case errors.VectorError():
            return ErrorKind.VECTOR, UpdateAndRetry(
                attempt=attempt, allowed=attempt <= policy.updates
            )
        case _:
            return ErrorKind.OTHER, None


def _delay_ms(attempt: int, policy: RecoveryPolicy) -> int:
    # The exponent is bounded: a power of a large attempt would only be cut off again.
    return min(policy.base_delay_ms << min(attempt - 1, 30), policy.max_delay_ms)


# ------------------------------------------------------------------------------ waiting operations


def cache_operation(state: StorageState, operation: Write) -> StorageState:
    """Note a write that waits for the store; a full cache counts it as dropped instead."""
    cache = state.cache
    if operation in cache.operations:
        return state
    if len(cache.operations) >= MAX_WAITING:
        waiting = cache.model_copy(update={"dropped": cache.dropped + 1})
    else:
        waiting = cache.model_copy(update={"operations": (*cache.operations, operation)})
    return state.model_copy(update={"cache": waiting})


def operation_performed(state: StorageState, operation: Operation) -> StorageState:
    """The state after an operation was carried out: no error, and it waits no more."""
    if isinstance(operation, Search) or operation not in state.cache.operations:
        cache = state.cache
    else:
        cache = state.cache.model_copy(
            update={
                "operations": tuple(kept for kept in state.cache.operations if kept != operation)
            }
        )
    if not cache.operations:
        cache = WaitingOperations()
    return state.model_copy(update={"cache": cache, "error_state": None})
