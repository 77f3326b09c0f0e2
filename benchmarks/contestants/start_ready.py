"""A server from its command to the first 200 of `/readyz`, in a process of its own.

    fresh   `chorus serve` in a folder that does not exist yet
    known   `chorus serve` in a folder that it made before, and left in order
    empty   an aiohttp server on uvloop that does nothing, with the same imports

The imports are those that a `chorus serve` has once it is ready, asked of a real one; the empty
server imports every one of them, in the same order, before it binds its port. Both are asked again
and again until they are ready, by the same client. One start for the disk's sake comes first. Chorus
runs with the offline responder and the embedder that is installed.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.measure import cpu_of, memory_of, tell

STARTS: Final = 3
DEADLINE: Final = 60.0
_PAUSE: Final = 0.002
"""Seconds between two tries."""

Command = Callable[[int], Sequence[str]]
"""The command line for a port."""


def started(command: Command) -> tuple[float, float, float]:
    """Start once: seconds to ready, seconds of CPU until then, MiB held then.

    Raises:
        AssertionError: it does not become ready, or does not end when it is told.
    """
    port = free_port()
    began = time.perf_counter()
    with subprocess.Popen(command(port), stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_ready(port, process)
            wall = time.perf_counter() - began
            cpu, memory = cpu_of(process.pid), memory_of(process.pid)
        finally:
            process.terminate()
        process.wait(DEADLINE)
    return wall, cpu, memory / 2**20


def free_port() -> int:
    """A port of loopback without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until `/readyz` answers 200. Raises AssertionError where it does not in time."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(_PAUSE)
    raise AssertionError("the server did not become ready in time")


def chorus(data: Path) -> Command:
    """`chorus serve` on a data folder."""
    program = str(Path(sys.executable).with_name("chorus"))
    return lambda port: (
        *(program, "serve", "--port", str(port)),
        *("--data", str(data), "--llm", "offline"),
    )


def empty(folder: Path) -> Command:
    """The server that does nothing, with the imports of a real one that was ready."""
    modules = folder / "modules.json"
    listing = [sys.executable, "-m", "benchmarks.contestants.start_listed", str(modules)]
    listed = os.environ | {"CHORUS_DATA": str(folder / "listed")}
    subprocess.run(listing, check=True, stdout=subprocess.DEVNULL, env=listed)
    if "server.http.site" not in json.loads(modules.read_text()):
        raise AssertionError("what a ready server imports was not listed")
    program = (sys.executable, "-m", "benchmarks.contestants.start_empty", str(modules))
    return lambda port: (*program, str(port))


def main() -> None:
    """Start several times and tell the medians."""
    which = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="chorus-start-") as name:
        folder = Path(name)
        if which == "fresh":
            commands = [chorus(folder / str(number)) for number in range(STARTS + 1)]
        else:
            commands = [empty(folder) if which == "empty" else chorus(folder / "known")]
            commands *= STARTS + 1
        _, *taken = [started(command) for command in commands]
    wall, cpu, memory = (median(each) for each in zip(*taken, strict=True))
    tell(wall=wall, cpu=cpu, memory=memory)


if __name__ == "__main__":
    main()
