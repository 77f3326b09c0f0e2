"""`chorus serve` on a folder with so many threads of 50 entries: ready, recovered, a thread opened.

    python -m benchmarks.contestants.load_server THREADS

The folder is a copy of one that was made once (`benchmarks.threads` says of what), so its pages are
in the system's cache; the server's own memory is cold. It starts with the offline responder, the
embedder that is installed and the embedded memory. Once it is ready its unfinished runs must go on
and finish by themselves; when it has come to rest a stranger signs in and searches once, so that the
weights of the embedder are loaded whether or not a run recalled anything, and its memory is read.
Then the stranger opens public threads that were not touched since the start, one after the other,
over one websocket; a few others come first, so that what is compiled at the first request of all is
not counted. Every answer is checked to be the whole thread. Of a folder without threads only the
start and the memory are told.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import aiohttp

from benchmarks.contestants.served import DEADLINE, Line, series, started, wait_until_idle
from benchmarks.measure import cpu_of, memory_of, tell
from benchmarks.threads import ENTRIES, copied, is_finished, thread_of, unfinished_among

OPENED: Final = 60
"""Threads; those that come first included."""
FIRST: Final = 10


def main() -> None:
    """Start on a copy, and tell."""
    threads = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="chorus-load-") as name:
        data = copied(threads, Path(name) / "data")
        with started(data) as (port, pid, began):
            ready, cpu = time.perf_counter() - began, cpu_of(pid)
            _wait_for_runs(port, unfinished_among(threads))
            recovered = time.perf_counter() - began
            wait_until_idle(port, pid)
            visited = asyncio.run(_visit(port, pid, threads))
    tell(ready=ready, cpu=cpu, recovered=recovered, **visited)


def _wait_for_runs(port: int, wanted: int) -> None:
    """Until so many runs have finished. Raises AssertionError where they do not, or some fail."""
    end = time.monotonic() + DEADLINE
    ended: dict[str, float] = {}
    while time.monotonic() < end:
        ended = series(port, "chorus_runs_total")
        if ended.get("finished", 0) >= wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"of {wanted} runs there ended {ended}")


# --- Opening ------------------------------------------------------------------------------------


async def _visit(port: int, pid: int, threads: int) -> dict[str, float]:
    """The memory, and where there are threads what opening one takes; figures by their keys."""
    url = f"http://127.0.0.1:{port}/ws"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, protocols=["chorus.v1"]) as ws:
        line = Line(ws)
        await line.sign_in("stranger")
        found = await line.ask("search", query="What of the tides?")
        if found["type"] != "search_results":
            raise AssertionError(f"a search was answered {found}")
        memory = memory_of(pid) / 2**20
        if not threads:
            return {"memory": memory}
        finished = [number for number in range(threads) if is_finished(number)]
        numbers = finished[:: len(finished) // OPENED][:OPENED]
        for number in numbers[:FIRST]:
            await _open(line, number)
        before = cpu_of(pid)
        taken = [await _open(line, number) for number in numbers[FIRST:]]
        cpu = (cpu_of(pid) - before) / len(taken)
        return {"memory": memory, "opening": 1e3 * median(taken), "opening_cpu": 1e3 * cpu}


async def _open(line: Line, number: int) -> float:
    """Seconds until a thread is there, whole."""
    began = time.perf_counter()
    reply = await line.ask("get_thread", thread_id=thread_of(number))
    taken = time.perf_counter() - began
    data = reply["data"]
    if (
        reply["type"] != "thread_messages"
        or data["head_seq"] != ENTRIES
        or len(data["messages"]) != data["thread"]["message_count"]
        or data["runs"]
    ):
        raise AssertionError(f"thread {number} was answered {reply}")
    return taken


if __name__ == "__main__":
    main()
