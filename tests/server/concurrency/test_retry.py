"""Trying again comes no sooner than what failed asks for."""

import asyncio

import pytest

from machines.models import errors
from server.concurrency.retry import LONGEST_ASKED_SECONDS, until_done


@pytest.mark.parametrize(
    ("asked_ms", "least", "most"),
    [
        (None, 0.5, 1.0),
        (3_000, 3.5, 4.0),
        (10**9, LONGEST_ASKED_SECONDS, LONGEST_ASKED_SECONDS + 1),
    ],
)
async def test_the_wait_that_an_error_asks_for_comes_before_the_growing_one(
    asked_ms: int | None, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    tried = 0

    async def call() -> str:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise errors.ConnectionError("away", retry_after_ms=asked_ms)
        return "done"

    answer = await until_done(
        call, passing=lambda error: isinstance(error, errors.ConnectionError), first_wait=0.5
    )
    assert (answer, tried) == ("done", 2)
    (seconds,) = slept
    assert least <= seconds <= most
