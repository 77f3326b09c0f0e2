"""Trying again: what failed for a reason that passes, and what was decided on a state that is no more."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_delay,
    wait_exponential_jitter,
    wait_random,
)

from machines.models.errors import ChorusError, JournalConflict, JournalError

LONGEST_WAIT_SECONDS: Final = 5.0

LONGEST_ASKED_SECONDS: Final = 60.0
"""A longer wait that an error asks for counts as this."""

RACE_SECONDS: Final = 10.0
"""How long a decision is made again because another writer was first."""

RACE_PAUSE_SECONDS: Final = (0.005, 0.05)
"""Bounds of the pause, drawn anew each time, before a decision is made once more."""

T = TypeVar("T")


async def while_journal_is_away(
    call: Callable[[], Awaitable[T]], on_wait: Callable[[JournalError], None] = lambda _: None
) -> T:
    """What `call` gives; it is called again, after growing waits, while the journal may come back.

    Args:
        on_wait: told each failure of the journal that is waited out.
    """

    def tell(error: BaseException) -> None:
        if isinstance(error, JournalError):
            on_wait(error)

    try:
        return await call()
    except (JournalError, JournalConflict) as error:
        if not _is_passing(error):
            raise
        tell(error)
    # The retrying machinery costs more than a command: it is made when it is needed.
    return await until_done(call, passing=_is_passing, first_wait=0.2, on_failure=tell)


async def until_done(
    call: Callable[[], Awaitable[T]],
    *,
    passing: Callable[[BaseException], bool],
    first_wait: float,
    on_failure: Callable[[BaseException], None] = lambda _: None,
) -> T:
    """What `call` gives, which is called again after each failure that is `passing`.

    Args:
        passing: whether trying again may help; any other exception is raised.
        first_wait: seconds; the wait doubles up to `LONGEST_WAIT_SECONDS`, and some more at random.
            Where the error asks for a wait (`retry_after_ms`), that comes first.
        on_failure: told each failure that is passing, before its wait.
    """

    def tell(tried: RetryCallState) -> None:
        assert tried.outcome is not None  # noqa: S101 - there is a wait after a failure alone
        if (error := tried.outcome.exception()) is not None:
            on_failure(error)

    growing = wait_exponential_jitter(
        multiplier=first_wait, max=LONGEST_WAIT_SECONDS, jitter=first_wait
    )
    retrying = AsyncRetrying(
        retry=retry_if_exception(passing),
        wait=lambda tried: _asked_seconds(tried) + growing(tried),
        before_sleep=tell,
        reraise=True,
    )
    return await retrying(call)


async def through_races(
    decide: Callable[[], Awaitable[T]], *, until: Callable[[], Awaitable[bool]] | None = None
) -> T:
    """What `decide` gives, which reads, decides and commits; again where another writer was first.

    The pauses in between differ from writer to writer, so that two of them do not go on meeting.

    Args:
        decide: raises JournalConflict where it lost a race.
        until: asked after a lost race; where it says so, the conflict is raised.

    Raises:
        JournalConflict: also where every race of `RACE_SECONDS` was lost.
    """
    is_over = False

    async def once() -> T:
        nonlocal is_over
        try:
            return await decide()
        except JournalConflict:
            is_over = until is not None and await until()
            raise

    try:
        return await once()
    except JournalConflict:
        if is_over:
            raise
    racing = AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, JournalConflict) and not is_over),
        wait=wait_random(*RACE_PAUSE_SECONDS),
        stop=stop_after_delay(RACE_SECONDS),
        reraise=True,
    )
    return await racing(once)


def _asked_seconds(tried: RetryCallState) -> float:
    """The wait that the last failure asks for."""
    error = tried.outcome.exception() if tried.outcome is not None else None
    asked_ms = error.retry_after_ms if isinstance(error, ChorusError) else None
    return min((asked_ms or 0) / 1000, LONGEST_ASKED_SECONDS)


def _is_passing(error: BaseException) -> bool:
    """Whether the journal may take later what it did not take now."""
    return isinstance(error, JournalError | JournalConflict) and error.retryable
