"""Waiting for a condition of which no event tells: what another process, or a task behind a port, does.

    await eventually(lambda: nothing_waits(services), "the memory caught up")

Where there is an event, a frame or a task to wait for, a test waits for that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Final

import pytest

PATIENCE: Final = 20.0
"""Seconds until what never comes fails its test; a busy machine is slow, and that is no defect."""

PAUSE: Final = 0.02
"""Seconds between two looks."""


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]],
    what: str | Callable[[], str],
    *,
    within: float = PATIENCE,
) -> None:
    """Look until `condition` holds; after `within` seconds the test fails.

    `what` says what should hold, as a sentence; a function says it when the time is over, and can
    name what was found instead.
    """
    __tracebackhide__ = True
    try:
        async with asyncio.timeout(within):
            while True:
                held = condition()
                if await held if isawaitable(held) else held:
                    return
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        pass
    told = what() if callable(what) else what
    pytest.fail(f"waited {within:g} s in vain until {told}")
