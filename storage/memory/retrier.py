"""Retries of one operation, until it is done, given up, or beyond help.

The recoveries are named by `storage.memory.operations.handle_storage_error`; here they are carried out,
each bounded by the policy. How one try is made belongs to the caller (`storage.qdrant.client`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from machines.models.errors import ChorusError
from storage.memory.points import LinkPoint, MessagePoint, Point
from storage.memory.values import (
    Failure,
    Operation,
    Recovery,
    RecoveryPolicy,
    Result,
    RetryWithBackoff,
    StorageErrorState,
    Store,
    Success,
    Update,
    UpdateAndRetry,
    ValidateAndRetry,
)


class Try(Protocol):
    """One try of an operation."""

    async def __call__(
        self, operation: Operation, errors_so_far: StorageErrorState | None, *, validate: bool
    ) -> tuple[StorageErrorState | None, Result]:
        """Try once, and return the errors of the operation so far with the result.

        Args:
            validate: first read again what is known of the store.
        """


@dataclass(frozen=True, slots=True)
class Retrier:
    """Carries recoveries out, within the bounds of its policy."""

    policy: RecoveryPolicy
    sleep: Callable[[float], Awaitable[None]]
    """Takes seconds."""
    jitter: Callable[[], float]
    """From 0 to 1, a new number each time."""
    fingerprint: str
    """The embedder that `embed` is."""
    embed: Callable[[str], Awaitable[Sequence[float]]] | None = None

    async def attempt(self, operation: Operation, try_once: Try) -> Result:
        """Try until it is done or no recovery is left; the last failure is the result."""
        errors: StorageErrorState | None = None
        validate = False
        for _ in range(self.policy.most_attempts):
            errors, result = await try_once(operation, errors, validate=validate)
            match result:
                case Success():
                    return result
                case Failure(recovery=recovery):
                    recovered = await self._recover(operation, recovery)
                    if recovered is None:
                        return result
                    operation = recovered
                    validate = isinstance(recovery, ValidateAndRetry)
                case _:
                    assert_never(result)
        return result

    async def _recover(self, operation: Operation, recovery: Recovery | None) -> Operation | None:
        """What to try next; None where it is given up."""
        if recovery is None or not recovery.allowed:
            return None
        match recovery:
            case RetryWithBackoff(delay_ms=delay_ms, asked_ms=asked_ms):
                # Half of the delay is fixed, so that no draw of the jitter retries at once.
                await self.sleep((asked_ms + delay_ms * (0.5 + 0.5 * self.jitter())) / 1000)
                return operation
            case ValidateAndRetry():
                return operation
            case UpdateAndRetry():
                return await self._with_new_vectors(operation)
            case _:
                assert_never(recovery)

    async def _with_new_vectors(self, operation: Operation) -> Operation | None:
        """The operation with its messages embedded again; None where that cannot be."""
        if self.embed is None or not isinstance(operation, Store | Update):
            return None
        points: list[Point] = []
        for point in operation.points:
            if isinstance(point, LinkPoint):
                points.append(point)
                continue
            try:
                vector = await self.embed(point.payload.said)
            except ChorusError:
                return None  # the first failure is the one to report
            payload = point.payload.model_copy(update={"fingerprint": self.fingerprint})
            points.append(MessagePoint(payload=payload, vector=tuple(vector)))
        return operation.model_copy(update={"points": tuple(points)})
