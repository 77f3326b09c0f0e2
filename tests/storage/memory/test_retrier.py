"""Each recovery of a failed operation is carried out, within its bound, and the last failure is told."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from machines.models import errors
from machines.models.domain import Role
from machines.models.ids import MessageId, RunId, ThreadId
from machines.models.thread import Visibility
from storage.memory.points import LinkPayload, LinkPoint, MessagePayload, MessagePoint
from storage.memory.retrier import Retrier
from storage.memory.values import (
    Failure,
    Operation,
    Recovery,
    RecoveryPolicy,
    Result,
    RetryWithBackoff,
    Search,
    SearchScope,
    StorageErrorState,
    Store,
    Success,
    UpdateAndRetry,
    ValidateAndRetry,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AWAY = errors.ConnectionError("The store is away.")
DIFFERS = errors.InconsistencyError("A collection is missing.")
USELESS = errors.VectorError("A vector of zeros.")

SEARCH = Search(vector=(1.0, 0.0), scope=SearchScope(include_public=True), limit=1)
MESSAGE = MessagePoint(
    payload=MessagePayload(
        thread_id=ThreadId("thread"),
        message_id=MessageId("message"),
        author=None,
        role=Role.CHORUS,
        visibility=Visibility.PUBLIC,
        content="herons",
        created_at=AT,
        seq=1,
        fingerprint="old",
    ),
    vector=(0.0, 0.0),
)
LINK = LinkPoint(
    payload=LinkPayload(
        run_id=RunId("run"),
        thread_id=ThreadId("thread"),
        prompt_message_id=MessageId("message"),
        prior_message_id=MessageId("prior"),
        why="alike",
        created_at=AT,
        seq=1,
    )
)
STORE = Store(points=(MESSAGE, LINK))


class Scripted:
    """Answers each try with the next of these, and keeps what was tried."""

    def __init__(self, *results: Result) -> None:
        self._results = list(results)
        self.tried: list[tuple[Operation, bool]] = []

    async def __call__(
        self, operation: Operation, errors_so_far: StorageErrorState | None, *, validate: bool
    ) -> tuple[StorageErrorState | None, Result]:
        self.tried.append((operation, validate))
        return errors_so_far, self._results.pop(0)


async def embed(text: str) -> Sequence[float]:
    assert text == "herons"
    return (0.6, 0.8)


async def no_embedder(_: str) -> Sequence[float]:
    raise errors.AIError("The key is refused.", code=errors.ErrorCode.AI_REJECTED, retryable=False)


def retrier(slept: list[float], *, retries: int = 3) -> Retrier:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return Retrier(
        RecoveryPolicy(retries=retries), sleep, jitter=lambda: 0.5, fingerprint="new", embed=embed
    )


def away(attempt: int) -> Failure:
    return Failure(
        error=AWAY, recovery=RetryWithBackoff(attempt=attempt, allowed=True, delay_ms=100 * attempt)
    )


async def test_a_store_that_comes_back_is_asked_again_after_each_wait() -> None:
    slept: list[float] = []
    store = Scripted(away(1), away(2), Success(effects=()))
    assert await retrier(slept).attempt(SEARCH, store) == Success(effects=())
    assert slept == pytest.approx([0.075, 0.15]), "half of each wait is fixed, and half is drawn"
    assert store.tried == [(SEARCH, False)] * 3


async def test_the_tries_have_a_bound_and_the_last_failure_is_told() -> None:
    slept: list[float] = []
    store = Scripted(*map(away, range(1, 9)))
    assert await retrier(slept, retries=2).attempt(SEARCH, store) == away(3)
    assert len(store.tried) == 3


async def test_what_differs_is_read_again_before_the_next_try() -> None:
    differs = Failure(error=DIFFERS, recovery=ValidateAndRetry(attempt=1, allowed=True))
    store = Scripted(differs, away(1), Success(effects=()))
    await retrier([]).attempt(STORE, store)
    assert [validate for _, validate in store.tried] == [False, True, False]


async def test_a_vector_that_is_no_use_is_made_anew_and_names_its_embedder() -> None:
    useless = Failure(error=USELESS, recovery=UpdateAndRetry(attempt=1, allowed=True))
    store = Scripted(useless, Success(effects=()))
    await retrier([]).attempt(STORE, store)
    _, (again, _) = store.tried
    assert isinstance(again, Store)
    message, link = again.points
    assert isinstance(message, MessagePoint)
    assert (message.vector, message.payload.fingerprint) == ((0.6, 0.8), "new")
    assert link == LINK


@pytest.mark.parametrize(
    "recovery",
    [
        None,
        RetryWithBackoff(attempt=4, allowed=False, delay_ms=0),
        UpdateAndRetry(attempt=1, allowed=True),
    ],
)
async def test_what_has_no_recovery_is_given_up_at_once(recovery: Recovery | None) -> None:
    failed = Failure(error=USELESS, recovery=recovery)
    store = Scripted(failed)
    assert await retrier([]).attempt(SEARCH, store) == failed, "a search embeds nothing"


async def test_where_the_embedder_is_away_the_first_failure_is_told() -> None:
    useless = Failure(error=USELESS, recovery=UpdateAndRetry(attempt=1, allowed=True))

    async def sleep(_: float) -> None:
        """Nothing waits here."""

    without = Retrier(
        RecoveryPolicy(), sleep, jitter=lambda: 0.5, fingerprint="new", embed=no_embedder
    )
    store = Scripted(useless)
    assert await without.attempt(STORE, store) == useless
