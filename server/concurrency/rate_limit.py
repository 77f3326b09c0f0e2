"""How much one person, address or connection may ask for: rates and counts.

Only arithmetic lives here. What is counted, and what the answer to too much is, is decided by who
asks. The clock is passed in: `Environment.monotonic`, in seconds. 0 is no limit, as in PROTOCOL.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

MAX_KEYS: Final = 100_000
"""Keys that one `RateLimiter` remembers, about 20 MB; the one used longest ago is forgotten."""

_MILLISECONDS: Final = 1_000

K = TypeVar("K", bound=Hashable)


class TokenBucket:
    """At most `burst` at once, and `rate` per second for good.

    Kept as one number: the moment at which the bucket will be full again.

    Args:
        rate: tokens that come back per second; 0 is no limit.
        burst: tokens in a full bucket, at least one.
        clock: seconds that never step back.
    """

    __slots__ = ("_clock", "_full_at", "_rate", "_seconds_to_fill")

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._seconds_to_fill = _checked(rate, burst)
        self._clock = clock
        self._full_at = -math.inf

    @property
    def is_full(self) -> bool:
        """Whether every token is back."""
        return self._full_at <= self._clock()

    def try_take(self) -> int | None:
        """Take a token: None, or the whole milliseconds after which there is one again."""
        if not self._rate:
            return None
        self._full_at, retry_after_ms = _take(
            self._full_at, self._clock(), self._rate, self._seconds_to_fill
        )
        return retry_after_ms


class RateLimiter(Generic[K]):
    """A token bucket for each key; a key that is idle until its bucket is full is forgotten.

    Args:
        rate: tokens that come back per second and key; 0 is no limit.
        burst: tokens in a full bucket, at least one.
        clock: seconds that never step back.
        max_keys: bound of what is remembered. Past it the key used longest ago is forgotten, and
            so forgiven: a bound on memory counts for more than one on what is spread so widely.
    """

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float], *, max_keys: int = MAX_KEYS
    ) -> None:
        self._rate, self._seconds_to_fill = _checked(rate, burst)
        self._clock = clock
        self._max_keys = max_keys
        self._full_at: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)

    def try_take(self, key: K, tokens: float = 1) -> int | None:
        """Take tokens of `key`: None, or the milliseconds after which there are so many again."""
        if not self._rate:
            return None
        now = self._clock()
        full_at, retry_after_ms = _take(
            self._full_at.pop(key, -math.inf), now, self._rate, self._seconds_to_fill, tokens
        )
        self._full_at[key] = full_at
        self._forget(now)
        return retry_after_ms

    def spend(self, key: K, tokens: float) -> None:
        """Take tokens of `key` for what was done already, whether there are so many or not."""
        if self._rate:
            now = self._clock()
            self._full_at[key] = max(self._full_at.pop(key, -math.inf), now) + tokens / self._rate
            self._forget(now)

    def give_back(self, key: K) -> None:
        """Return a token that was taken for nothing."""
        if self._rate and key in self._full_at:
            self._full_at[key] -= 1 / self._rate

    def _forget(self, now: float) -> None:
        # At most one key comes in for each call, so two that go keep the idle ones away.
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= self._max_keys:
                return
            del self._full_at[oldest]
            if not self._full_at:
                return


def _checked(rate: float, burst: float) -> tuple[float, float]:
    """The rate, and the seconds in which an empty bucket fills."""
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"a rate is 0 (no limit) or more per second, not {rate}")
    if rate and not (math.isfinite(burst) and burst >= 1):
        raise ValueError(f"a bucket holds at least one token, not {burst}")
    return rate, burst / rate if rate else 0.0


def _take(
    full_at: float, now: float, rate: float, seconds_to_fill: float, tokens: float = 1
) -> tuple[float, int | None]:
    """When the bucket is full after tokens were taken, and None; or unchanged, and the wait in ms."""
    after = max(full_at, now) + tokens / rate
    lacking = after - now - seconds_to_fill
    # Sums of floats miss by about 1e-16 of the clock's value; a microsecond is no token.
    if lacking <= 1e-6:
        return after, None
    return full_at, math.ceil(lacking * _MILLISECONDS)
