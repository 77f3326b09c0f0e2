"""`chorus serve` on a data folder, and one visitor on one websocket; for several questions.

The server is a process of its own, and what it costs is asked of the system. A visitor sends one
request at a time and checks nothing: what an answer must be is its contestant's to say.
"""

import http.client
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.contestants.start_ready import chorus, free_port, wait_until_ready
from benchmarks.measure import cpu_of
from benchmarks.threads import person, signing_key
from machines.models.keys import encode_base58

DEADLINE: Final = 120.0
"""Seconds after which something that never comes fails the contestant."""

_LOOK_SECONDS: Final = 0.5
_LOOKS: Final = 3
"""One after the other, at which nothing goes on."""
_IDLE: Final = 0.05
"""Of a core."""

_UNLIMITED: Final = {
    "CHORUS_PROMPTS_PER_MINUTE": "0",
    "CHORUS_FRAMES_PER_SECOND": "0",
    "CHORUS_READ_KIB_PER_SECOND": "0",
    "CHORUS_SIGN_INS_PER_MINUTE": "0",
    "CHORUS_CONNECTIONS_PER_ADDRESS": "0",
    "CHORUS_PENDING_PER_USER": "0",
}


@contextmanager
def started(
    data: Path, *, quiet: bool = False, **settings: str
) -> Iterator[tuple[int, int, float]]:
    """A server that is ready: its port, its process, and when its command was given.

    Args:
        quiet: whether its log is dropped.
        settings: of its environment, beside those that lift the limits that are about abuse.
    """
    port = free_port()
    began = time.perf_counter()
    command = chorus(data)(port)
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if quiet else None,
        env=os.environ | _UNLIMITED | settings,
    ) as process:
        try:
            wait_until_ready(port, process)
            yield port, process.pid, began
        finally:
            process.terminate()
        process.wait(DEADLINE)


def wait_until_idle(port: int, pid: int) -> None:
    """Until what follows the runs is done: their answers are embedded and remembered."""
    end = time.monotonic() + DEADLINE
    idle = 0
    while time.monotonic() < end:
        before = cpu_of(pid)
        time.sleep(_LOOK_SECONDS)
        # Both: who waits for a disk uses no processor, and what was not looked at yet is no lag.
        rests = cpu_of(pid) - before < _IDLE * _LOOK_SECONDS
        idle = idle + 1 if rests and series(port, "chorus_memory_lag_tasks") == {"": 0.0} else 0
        if idle == _LOOKS:
            return
    raise AssertionError("the server does not come to rest")


def series(port: int, name: str) -> dict[str, float]:
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


class Line:
    """One websocket, and one request at a time."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._ids = count(1)

    async def sign_in(self, role: str) -> None:
        """As the person of that role."""
        challenge = await self.ask("connect", public_key=person(role, 0))
        signed = signing_key(role, 0).sign(challenge["data"]["statement"].encode())
        init = await self.ask("authenticate", signature=encode_base58(signed.signature))
        if init["type"] != "init":
            raise AssertionError(f"signing in was answered {init}")

    async def ask(self, type_: str, **data: Any) -> dict[str, Any]:
        """The whole reply."""
        id_ = f"r{next(self._ids)}"
        await self._ws.send_json({"type": type_, "id": id_, "data": data})
        return await self.until(lambda frame: frame.get("re") == id_)

    async def until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next frame that it is; those before it are dropped."""
        while True:
            frame: dict[str, Any] = json.loads(await self._ws.receive_str(timeout=DEADLINE))
            if is_it(frame):
                return frame
