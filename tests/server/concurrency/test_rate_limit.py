"""Rates and counts under a clock that the tests turn."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.concurrency.rate_limit import RateLimiter, TokenBucket


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


rates = st.floats(min_value=0.01, max_value=1_000)
bursts = st.integers(min_value=1, max_value=50)
pauses = st.lists(st.floats(min_value=0, max_value=5), max_size=60)


def test_a_full_bucket_gives_its_burst_and_then_one_token_at_a_time() -> None:
    clock = Clock()
    bucket = TokenBucket(2, 3, clock)
    assert [bucket.try_take() for _ in range(4)] == [None, None, None, 500]
    clock.now += 0.5
    assert [bucket.try_take() for _ in range(2)] == [None, 500]
    clock.now += 60
    assert [bucket.try_take() for _ in range(4)] == [None, None, None, 500]


def test_a_rate_of_zero_is_no_limit() -> None:
    clock = Clock()
    bucket, limiter = TokenBucket(0, 0, clock), RateLimiter[str](0, 0, clock)
    assert {bucket.try_take() for _ in range(1_000)} == {None}
    assert {limiter.try_take("a") for _ in range(1_000)} == {None}
    assert len(limiter) == 0


@pytest.mark.parametrize(
    ("rate", "burst"), [(-1, 1), (math.nan, 1), (math.inf, 1), (1, 0), (1, math.nan)]
)
def test_a_senseless_limit_is_refused_where_it_is_made(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="not"):
        TokenBucket(rate, burst, Clock())
    with pytest.raises(ValueError, match="not"):
        RateLimiter[str](rate, burst, Clock())


@given(rates, bursts, pauses)
def test_no_time_span_gives_more_than_the_burst_and_what_came_back(
    rate: float, burst: int, waits: list[float]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    taken: list[float] = []
    for wait in waits:
        clock.now += wait
        if bucket.try_take() is None:
            taken.append(clock.now)
    for first, begin in enumerate(taken):
        for count, end in enumerate(taken[first:], start=1):
            assert count <= burst + rate * (end - begin) + 1e-3


@given(rates, bursts, pauses)
def test_who_waits_as_long_as_told_gets_a_token(
    rate: float, burst: int, waits: list[float]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    for wait in waits:
        clock.now += wait
        retry_after_ms = bucket.try_take()
        if retry_after_ms is not None:
            assert 0 < retry_after_ms <= math.ceil(1_000 / rate)
            clock.now += retry_after_ms / 1_000
            assert bucket.try_take() is None


@given(rates, bursts, st.lists(st.tuples(st.integers(0, 3), st.floats(0, 2)), max_size=60))
def test_a_limiter_is_one_bucket_for_each_key(
    rate: float, burst: int, takes: list[tuple[int, float]]
) -> None:
    clock = Clock()
    limiter = RateLimiter[int](rate, burst, clock)
    buckets = [TokenBucket(rate, burst, clock) for _ in range(4)]
    for key, wait in takes:
        clock.now += wait
        assert limiter.try_take(key) == buckets[key].try_take()


def test_an_idle_key_is_forgotten() -> None:
    clock = Clock()
    limiter = RateLimiter[int](1, 2, clock)
    for key in range(100):
        limiter.try_take(key)
    assert len(limiter) == 100
    clock.now += 10
    for _ in range(100):
        limiter.try_take(-1)
    assert len(limiter) == 1


def test_a_limiter_under_a_flood_of_keys_keeps_its_bound() -> None:
    limiter = RateLimiter[int](0.001, 1, Clock(), max_keys=50)
    for key in range(1_000):
        assert limiter.try_take(key) is None
        assert len(limiter) <= 50
    assert limiter.try_take(999) == 1_000_000, "the key that was used last is remembered"


def test_a_token_that_is_given_back_is_there_again_and_no_bucket_overflows() -> None:
    clock = Clock()
    limiter: RateLimiter[str] = RateLimiter(1, 2, clock)
    limiter.give_back("ann")
    assert [limiter.try_take("ann") for _ in range(3)] == [None, None, 1_000]
    limiter.give_back("ann")
    assert [limiter.try_take("ann") for _ in range(2)] == [None, 1_000]
    for _ in range(5):
        limiter.give_back("ann")
    assert [limiter.try_take("ann") for _ in range(3)] == [None, None, 1_000]
