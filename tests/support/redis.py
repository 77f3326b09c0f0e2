"""A real Redis, started for the tests of one process and stopped with it. It keeps nothing.

with redis_server() as redis:
    redis.url
    redis.stop(); redis.start()
"""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.postgres import as_somebody, free_port

INSTALL: Final = "Redis is not installed, and the tests need it: apt install redis-server"
PASSWORD: Final = "battery-staple"
TRIES: Final = 1_500
"""Of connecting to one that starts."""


class RedisServer:
    """Made by `redis_server`."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """With the password."""
        return self.url_with(PASSWORD)

    def url_with(self, password: str) -> str:
        """The same with another one."""
        return f"redis://:{password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        found = shutil.which("redis-server") or pytest.fail(INSTALL)
        settings = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "save": "",
            "dir": str(self._folder),
            "requirepass": PASSWORD,
        }
        given = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [*(shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL"), found, *given],
            stdout=(self._folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
            **as_somebody(),
        )
        for _ in range(TRIES):
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            break
        pytest.fail(f"Redis did not start: {(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        """End it, and with it every connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A running server on a free port."""
    folder = Path(tempfile.mkdtemp(prefix="chorus-redis-"))
    folder.chmod(0o777)
    server = RedisServer(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
