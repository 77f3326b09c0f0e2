"""A watch on event loops: who holds one for long, and where in the code.

    with watched_loops() as holds:
        ...         # whatever runs a loop
    holds           # what held one for more than `MOST_SECONDS`

A thread of its own posts a mark to the loop and looks when it is taken. What the loop's thread has
computed in between is how long everybody else has waited, whatever else the machine did: CPU time is
measured, and no wall clock. The garbage collector's time is taken off: how long it looks depends on the
heap of all that the process has run, not on the callback that it happens in. While a mark waits, the
stack of the loop's thread is looked at now and then, so that what held it can be named.
"""

import asyncio
import gc
import sys
import threading
import time
import traceback
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

import pytest
import uvloop

ROOT: Final = Path(__file__).parents[2]

SLOWED_BY_COVERAGE: Final = 3
"""Measuring branches makes code two to three times as slow; that time is no fault of its own."""

MOST_SECONDS: Final = 0.05 * (SLOWED_BY_COVERAGE if "coverage" in sys.modules else 1)
"""CPU time of the loop's thread within one turn."""

PAUSE_SECONDS: Final = 0.01
"""Between a mark that was taken and the next one."""

LOOK_SECONDS: Final = 0.01
"""Between two looks at a loop that has not taken its mark."""


@dataclass(frozen=True)
class Hold:
    """The loop was held."""

    seconds: float
    """CPU time of its thread."""
    stack: tuple[str, ...]
    """Where it was found most often, `path:function:line`, the outermost first: our own frames and
    the innermost of all. Empty where it was not found at all: then it was held in C code."""

    def is_in(self, *folders: str) -> bool:
        """Whether code of one of these folders of the project was running."""
        roots = tuple(f"{ROOT / folder}/" for folder in folders)
        return any(each.startswith(roots) for each in self.stack)

    def __str__(self) -> str:
        where = " > ".join(each.removeprefix(f"{ROOT}/") for each in self.stack) or "C code"
        return f"{self.seconds * 1000:.0f} ms in {where}"


class LoopWatch:
    """Watches the loop of the thread that enters it; `holds` is complete behind the block."""

    def __init__(self, loop: AbstractEventLoop, most_seconds: float = MOST_SECONDS) -> None:
        self.holds: list[Hold] = []
        self._loop = loop
        self._most = most_seconds
        self._ended = threading.Event()
        self._taken = threading.Event()
        self._taken_at = 0.0
        self._thread = threading.Thread(target=self._watch, name="loop watch", daemon=True)
        self._watched = 0
        self._clock = 0
        self._collecting = 0.0
        """CPU time that the garbage collector took in the loop's thread."""

    def __enter__(self) -> "LoopWatch":
        self._watched = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._watched)
        gc.callbacks.append(self._collected)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        gc.callbacks.remove(self._collected)

    def _watch(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            self._taken.clear()
            begun = time.clock_gettime(self._clock) - self._collecting
            try:
                self._loop.call_soon_threadsafe(self._take)
            except RuntimeError:  # it is closed
                return
            seen: Counter[tuple[str, ...]] = Counter()
            while not self._taken.wait(LOOK_SECONDS):
                if self._ended.is_set() and not self._taken.is_set():
                    return
                frame = sys._current_frames().get(self._watched)
                if frame is not None and time.clock_gettime(self._clock) - begun > LOOK_SECONDS / 2:
                    seen[_stack(frame)] += 1
            held = self._taken_at - begun
            if held > self._most:
                stack = seen.most_common(1)[0][0] if seen else ()
                self.holds.append(Hold(held, stack))

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        if threading.get_ident() == self._watched:
            now = time.thread_time()
            self._collecting += now if phase == "stop" else -now

    def _take(self) -> None:
        self._taken_at = time.thread_time() - self._collecting
        self._taken.set()


@contextmanager
def watched_loops() -> Iterator[list[Hold]]:
    """Watch every loop that runs in the block, of asyncio and uvloop; gives what held one."""
    holds: list[Hold] = []
    with pytest.MonkeyPatch.context() as patch:
        for kind in (asyncio.BaseEventLoop, uvloop.Loop):
            patch.setattr(kind, "run_forever", _watched(kind.run_forever, holds))
        yield holds


def _watched(
    run_forever: Callable[..., None], holds: list[Hold]
) -> Callable[[AbstractEventLoop], None]:
    def run(loop: AbstractEventLoop) -> None:
        with LoopWatch(loop) as watch:
            run_forever(loop)
        holds.extend(watch.holds)

    return run


def _stack(frame: FrameType) -> tuple[str, ...]:
    """The frames of a stack as `Hold` has them."""
    found = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
    return tuple(
        f"{each.filename}:{each.name}:{each.lineno}"
        for place, each in reversed(tuple(enumerate(found)))
        if place == 0 or (each.filename.startswith(f"{ROOT}/") and "/.venv/" not in each.filename)
    )
