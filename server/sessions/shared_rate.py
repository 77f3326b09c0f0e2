"""A rate that holds for all servers of a journal together.

Where a journal is one process' alone, so is the count, and nothing is asked. Where servers share it, each
token is taken in the database. A refusal is remembered: before its time no server has a token to give,
but one that is returned, so that who goes on asking costs the database nothing.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, Protocol

from server.concurrency.rate_limit import MAX_KEYS, RateLimiter

_NAME_BYTES: Final = 16


class GivesTokens(Protocol):
    """What it asks of a journal (`storage.journal.port`)."""

    @property
    def shared(self) -> bool: ...

    async def take_token(self, name: str, *, rate: float, burst: float) -> int | None: ...

    async def return_token(self, name: str, *, rate: float) -> None: ...


class SharedRate:
    """At most so many a minute for each key, and at most a minute's worth at once.

    Args:
        name: Tells it from other rates of the same keys.
        per_minute: 0 is no limit.
        clock: Seconds that never step back.
    """

    def __init__(
        self, name: str, per_minute: int, journal: GivesTokens, clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._per_second, self._burst = per_minute / 60, max(per_minute, 1)
        self._journal = journal
        self._clock = clock
        self._here: RateLimiter[str] = RateLimiter(self._per_second, self._burst, clock)
        self._refused_until: OrderedDict[str, float] = OrderedDict()

    @property
    def is_counted_here(self) -> bool:
        """Whether nothing has to be asked for a token: then `take_here` may be called."""
        return not (self._journal.shared and self._per_second)

    def take_here(self, key: str) -> int | None:
        """Take a token: None, or the milliseconds after which there is one again."""
        return self._here.try_take(key)

    async def take(self, key: str) -> int | None:
        """As `take_here`, wherever it is counted. Raises JournalError."""
        if self.is_counted_here:
            return self.take_here(key)
        now = self._clock()
        left = self._refused_until.get(key, now) - now
        if left > 0:
            return math.ceil(left * 1_000)
        wait = await self._journal.take_token(
            self._row_of(key), rate=self._per_second, burst=self._burst
        )
        self._refused_until.pop(key, None)
        if wait is not None:
            self._refused_until[key] = now + wait / 1_000
            if len(self._refused_until) > MAX_KEYS:
                self._refused_until.popitem(last=False)
        return wait

    async def give_back(self, key: str) -> None:
        """Return a token that was taken for nothing. Raises JournalError."""
        if self.is_counted_here:
            self._here.give_back(key)
            return
        self._refused_until.pop(key, None)
        await self._journal.return_token(self._row_of(key), rate=self._per_second)

    def _row_of(self, key: str) -> str:
        """A name of one length, in which no address and no key stands."""
        named = f"{self._name} {key}"
        return blake2b(named.encode(), digest_size=_NAME_BYTES).hexdigest()
