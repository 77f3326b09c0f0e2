"""What a contestant measures of itself, and how it tells it. The standard library alone.

Peers run in an environment without Chorus' libraries, so nothing else may be imported here.
"""

import gc
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Spent:
    """What a block of work cost; filled when the block ends."""

    cpu: float = 0.0
    """Seconds of processor time of this process, all threads."""
    wall: float = 0.0
    """Seconds by the clock."""
    written: int = 0
    """Bytes handed to the operating system to be written."""


@contextmanager
def measured() -> Iterator[Spent]:
    """Measure a block. What was garbage before it is collected first, so that it pays for itself."""
    gc.collect()
    spent = Spent()
    written, wall, cpu = _written(), time.perf_counter(), time.process_time()
    yield spent
    spent.cpu = time.process_time() - cpu
    spent.wall = time.perf_counter() - wall
    spent.written = _written() - written


class Waiting:
    """How long a thread that asks for the interpreter every half millisecond waits for it."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds, the most of all waits so far."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "Waiting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        last = time.perf_counter()
        while not self._over.is_set():
            time.sleep(_PAUSE)
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last - _PAUSE), now


_PAUSE = 0.0005


def _written() -> int:
    """`wchar` of proc_pid_io(5)."""
    for line in Path("/proc/self/io").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "wchar":
            return int(value)
    raise OSError("what this process wrote is not told")


def cpu_of(pid: int) -> float:
    """Seconds of processor time that another process used so far, all threads, to the nanosecond.

    Raises:
        OSError: it is gone, or this is not Linux.
    """
    # The clock of a process, as clock_getcpuclockid(3) makes it of a pid; Python wraps no such call.
    return time.clock_gettime((~pid << 3) | 2)


def memory_of(pid: int) -> int:
    """Bytes of memory that a process holds by itself now: what it shares with no other."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Pss":
            return int(value.split()[0]) * 1024
    raise OSError(f"the memory of process {pid} is not told")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values are not above, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def tell(**figures: float) -> None:
    """Print the figures as the last line of standard output; the harness reads that line."""
    sys.stdout.flush()
    print(json.dumps(figures), flush=True)
