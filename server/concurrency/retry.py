"""Trying again: what failed for a reason that passes, and what was decided on a state that is no more."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import AsyncRetrying, retry_if_exception, wait_exponential_jitter

from machines.models.errors import JournalConflict, JournalError

MAX_RACES: Final = 8
"""Times that a decision is made again because another writer was first."""

T = TypeVar("T")


async def while_journal_is_away(call: Callable[[], Awaitable[T]]) -> T:
    """What `call` gives; it is called again, after growing waits, while the journal may come back."""
    try:
        return await call()
    except (JournalError, JournalConflict) as error:
        if not _is_passing(error):
            raise
    # The retrying machinery costs more than a command: it is made when it is needed.
    retrying = AsyncRetrying(
        retry=retry_if_exception(_is_passing),
        wait=wait_exponential_jitter(multiplier=0.2, max=5),
        reraise=True,
    )
    return await retrying(call)


async def through_races(
    decide: Callable[[], Awaitable[T]], *, until: Callable[[], Awaitable[bool]] | None = None
) -> T:
    """What `decide` gives, which reads, decides and commits; again where another writer was first.

    Args:
        decide: raises JournalConflict where it lost a race.
        until: asked after a lost race; where it says so, the conflict is raised.

    Raises:
        JournalConflict: also where `MAX_RACES` were lost.
    """
    for _ in range(MAX_RACES - 1):
        try:
            return await decide()
        except JournalConflict:
            if until is not None and await until():
                raise
    return await decide()


def _is_passing(error: BaseException) -> bool:
    """Whether the journal may take later what it did not take now."""
    return isinstance(error, JournalError | JournalConflict) and error.retryable
