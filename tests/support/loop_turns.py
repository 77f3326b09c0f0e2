"""How long one turn of the event loop takes at most, while something is done.

    longest = await longest_turn(lambda: caller.ask("get_thread", thread_id=thread_id))

CPU time of the loop's thread in each callback is measured, the garbage collector's apart, so that neither
a busy machine nor another thread counts. Of several rounds the best one counts: what a text costs, it
costs each time, and what disturbed one round is not its doing.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from tests.support.loop_watch import SLOWED_BY_COVERAGE

MOST_SECONDS: Final = 0.01 * (SLOWED_BY_COVERAGE if "coverage" in sys.modules else 1)
"""What others wrote holds the loop no longer."""

ROUNDS: Final = 3


@dataclass
class Longest:
    """The longest turn so far."""

    seconds: float = 0.0
    what: str = "nothing"
    """The coroutine or the callback."""


@contextmanager
def turns_measured() -> Iterator[Longest]:
    """Measures each callback of asyncio's own loops in the block."""
    longest, collecting = Longest(), 0.0
    run = asyncio.Handle._run

    def collected(phase: str, _info: dict[str, int]) -> None:
        nonlocal collecting
        collecting += time.thread_time() if phase == "stop" else -time.thread_time()

    def measured(handle: asyncio.Handle) -> None:
        begun, collected_before = time.thread_time(), collecting
        what = _name_of(handle)
        run(handle)
        seconds = time.thread_time() - begun - (collecting - collected_before)
        if seconds > longest.seconds:
            longest.seconds, longest.what = seconds, what

    gc.callbacks.append(collected)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.Handle, "_run", measured)
            yield longest
    finally:
        gc.callbacks.remove(collected)


async def longest_turn(act: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> Longest:
    """The longest turn while `act` is done, in the best of some rounds."""
    found: list[Longest] = []
    for _ in range(rounds):
        await asyncio.sleep(0)  # this very turn is the test's
        with turns_measured() as longest:
            await asyncio.create_task(_awaited(act))
        found.append(longest)
    return min(found, key=lambda each: each.seconds)


async def _awaited(act: Callable[[], Awaitable[object]]) -> None:
    await act()


def _name_of(handle: asyncio.Handle) -> str:
    callback = handle._callback  # type: ignore[attr-defined]
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return str(getattr(owner.get_coro(), "__qualname__", owner))
    return str(getattr(callback, "__qualname__", callback))
