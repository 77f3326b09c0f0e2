"""`chorus serve` on a folder with so many threads of 50 entries: ready, recovered, a thread opened.

    python -m benchmarks.contestants.load_server THREADS

The folder is a copy of one that was made once (`benchmarks.threads` says of what), so its pages are
in the system's cache; the server's own memory is cold. It starts with the offline responder, the
embedder that is installed and the embedded memory. Once it is ready its unfinished runs must go on
and finish by themselves; when it has come to rest a stranger signs in and searches once, so that the
weights of the embedder are loaded whether or not a run recalled anything, and its memory is read.
Then the stranger opens public threads that nobody has touched since the start, one after the other,
over one websocket; a few others come first, so that what is compiled at the first request of all is
not counted. Every answer is checked to be the whole thread. Of a folder without threads only the
start and the memory are told.
"""

import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Final

import aiohttp

from benchmarks.contestants.start_ready import chorus, free_port, wait_until_ready
from benchmarks.measure import cpu_of, memory_of, tell
from benchmarks.threads import (
    ENTRIES,
    copied,
    is_finished,
    person,
    signing_key,
    thread_of,
    unfinished_among,
)
from machines.models.keys import encode_base58

OPENED: Final = 60
"""Threads; those that come first included."""
FIRST: Final = 10
DEADLINE: Final = 120.0

_LOOK_SECONDS: Final = 0.5
_LOOKS: Final = 3
"""One after the other, at which nothing goes on."""
_IDLE: Final = 0.05
"""Of a core."""

_UNLIMITED: Final = {
    "CHORUS_PROMPTS_PER_MINUTE": "0",
    "CHORUS_FRAMES_PER_SECOND": "0",
    "CHORUS_SIGN_INS_PER_MINUTE": "0",
    "CHORUS_CONNECTIONS_PER_ADDRESS": "0",
}


def main() -> None:
    """Start on a copy, and tell."""
    threads = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="chorus-load-") as name:
        data = copied(threads, Path(name) / "data")
        with _started(data) as (port, pid, began):
            ready, cpu = time.perf_counter() - began, cpu_of(pid)
            _wait_for_runs(port, unfinished_among(threads))
            recovered = time.perf_counter() - began
            _wait_until_idle(port, pid)
            visited = asyncio.run(_visit(port, pid, threads))
    tell(ready=ready, cpu=cpu, recovered=recovered, **visited)


@contextmanager
def _started(data: Path) -> Iterator[tuple[int, int, float]]:
    """A server that is ready: its port, its process, and when its command was given."""
    port = free_port()
    began = time.perf_counter()
    command = chorus(data)(port)
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env=os.environ | _UNLIMITED
    ) as process:
        try:
            wait_until_ready(port, process)
            yield port, process.pid, began
        finally:
            process.terminate()
        process.wait(DEADLINE)


def _wait_for_runs(port: int, wanted: int) -> None:
    """Until so many runs have finished. Raises AssertionError where they do not, or some fail."""
    end = time.monotonic() + DEADLINE
    ended: dict[str, float] = {}
    while time.monotonic() < end:
        ended = _series(port, "chorus_runs_total")
        if ended.get("finished", 0) >= wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"of {wanted} runs there ended {ended}")


def _wait_until_idle(port: int, pid: int) -> None:
    """Until what follows the runs is done: their answers are embedded and remembered."""
    end = time.monotonic() + DEADLINE
    idle = 0
    while time.monotonic() < end:
        before = cpu_of(pid)
        time.sleep(_LOOK_SECONDS)
        # Both: who waits for a disk uses no processor, and what nobody looked at yet is no lag.
        rests = cpu_of(pid) - before < _IDLE * _LOOK_SECONDS
        idle = idle + 1 if rests and _series(port, "chorus_memory_lag_tasks") == {"": 0.0} else 0
        if idle == _LOOKS:
            return
    raise AssertionError("the server does not come to rest")


def _series(port: int, name: str) -> dict[str, float]:
    """Values of a series by their one label, as `/metrics` tells them; a bare one is under ''."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    found: dict[str, float] = {}
    for line in lines:
        series, _, value = line.rpartition(" ")
        if series == name:
            found[""] = float(value)
        elif series.startswith(name + "{"):
            found[series.split('"')[1]] = float(value)
    return found


# --- Opening ------------------------------------------------------------------------------------


async def _visit(port: int, pid: int, threads: int) -> dict[str, float]:
    """The memory, and where there are threads what opening one takes; figures by their keys."""
    url = f"http://127.0.0.1:{port}/ws"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, protocols=["chorus.v1"]) as ws:
        line = _Line(ws)
        await line.sign_in()
        await line.search()
        memory = memory_of(pid) / 2**20
        if not threads:
            return {"memory": memory}
        finished = [number for number in range(threads) if is_finished(number)]
        numbers = finished[:: len(finished) // OPENED][:OPENED]
        for number in numbers[:FIRST]:
            await line.open(number)
        before = cpu_of(pid)
        taken = [await line.open(number) for number in numbers[FIRST:]]
        cpu = (cpu_of(pid) - before) / len(taken)
        return {"memory": memory, "opening": 1e3 * median(taken), "opening_cpu": 1e3 * cpu}


class _Line:
    """One websocket, and one request at a time."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._ids = count(1)

    async def sign_in(self) -> None:
        stranger = person("stranger", 0)
        challenge = await self.ask("connect", public_key=stranger)
        signed = signing_key("stranger", 0).sign(challenge["data"]["statement"].encode())
        init = await self.ask("authenticate", signature=encode_base58(signed.signature))
        if init["type"] != "init":
            raise AssertionError(f"signing in was answered {init}")

    async def search(self) -> None:
        reply = await self.ask("search", query="What of the tides?")
        if reply["type"] != "search_results":
            raise AssertionError(f"a search was answered {reply}")

    async def open(self, number: int) -> float:
        """Seconds until the thread is there, whole."""
        began = time.perf_counter()
        reply = await self.ask("get_thread", thread_id=thread_of(number))
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

    async def ask(self, type_: str, **data: Any) -> dict[str, Any]:
        """The whole reply."""
        id_ = f"r{next(self._ids)}"
        await self._ws.send_json({"type": type_, "id": id_, "data": data})
        while True:
            frame: dict[str, Any] = json.loads(await self._ws.receive_str(timeout=DEADLINE))
            if frame.get("re") == id_:
                return frame


if __name__ == "__main__":
    main()
