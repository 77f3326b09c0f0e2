"""Processes of Python that run Chorus, forked from one that has imported all of it.

    program = ["-m", "server.cli", "serve", "--port", "0"]
    process = await forked(program, environment, output.fileno(), log.fileno())
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0

    assert run_forked(program, environment, folder, timeout=60).returncode == 0

Importing costs more than all else that a start does, and most tests that start a server ask for
something else. What a cold start does is asked in `tests/server/test_start.py` and `test_cli.py`.

    python -m tests.support.forked SOCKET

is the process that they are forked from. For each connection it reads one line of JSON, which has
the program, the environment and the folder, with the descriptors of the output and of the errors
beside it; it answers a line with the id of the process, and a second one with its exit code. It
ends with its standard input, and whatever it forked with it.
"""

import asyncio
import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Final

import pytest

import server
import storage
from machines.charts import all_machines
from tests.support.shared_weights import load_weights, share_weights

MAX_LINE: Final = 1 << 20
"""Bytes of a request; an environment is a few KiB."""

STDERR: Final = 2

_RUN_BY_OTHERS: Final = ("server.cli", "storage.journal.migrations.")
"""Modules that are not imported: what Python runs, and what alembic does."""


class ForkedProcess:
    """What of `asyncio.subprocess.Process` the tests use; made by `forked`."""

    def __init__(
        self, pid: int, answers: asyncio.StreamReader, connection: asyncio.StreamWriter
    ) -> None:
        self.pid = pid
        self._connection = connection
        self._exit = asyncio.ensure_future(self._ended(answers))

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the signal that ended it as a negative number; None while it runs."""
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> int:
        """Wait for its end; gives `returncode`."""
        return await asyncio.shield(self._exit)

    def send_signal(self, what: signal.Signals) -> None:
        """Send a signal; one that has ended gets none."""
        if self.returncode is None:
            os.kill(self.pid, what)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    async def _ended(self, answers: asyncio.StreamReader) -> int:
        code = int(await answers.readline())
        self._connection.close()
        return code


async def forked(
    program: Sequence[str], environment: Mapping[str, str], output: int, errors: int
) -> ForkedProcess:
    """Run what `python` would run with these arguments, `-m MODULE ...` or `FILE ...`; what it prints
    goes to two descriptors."""
    path = await asyncio.to_thread(_fork_server)
    connection = _asked(path, program, environment, Path.cwd(), (output, errors))
    answers, writer = await asyncio.open_unix_connection(sock=connection)
    pid = int(await answers.readline())
    return ForkedProcess(pid, answers, writer)


class ForkedOutput:
    """A process whose output is read without a loop; made by `forked_output`."""

    def __init__(self, connection: socket.socket, output: int) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")
        self._pid = int(self._answers.readline())
        self._output = os.fdopen(output, encoding="utf-8")

    def line(self) -> str:
        """The next line that it prints."""
        line = self._output.readline()
        assert line, "the process ended: run it by hand to see why"
        return line

    def kill(self) -> str:
        """Send SIGKILL; gives what it printed since the last line, and may have cut its own last one."""
        os.kill(self._pid, signal.SIGKILL)
        with self._output, self._answers, self._connection:
            self._answers.readline()
            return self._output.read()

    def close(self) -> None:
        """Kill it, where that was not done."""
        if not self._output.closed:
            self.kill()


@contextmanager
def forked_output(*program: str) -> Iterator[ForkedOutput]:
    """Run what `python` would run with these arguments, and what never ends by itself."""
    reading, writing = os.pipe()
    connection = _asked(_fork_server(), program, os.environ, Path.cwd(), (writing, STDERR))
    os.close(writing)
    process = ForkedOutput(connection, reading)
    try:
        yield process
    finally:
        process.close()


def run_forked(
    program: Sequence[str], environment: Mapping[str, str], folder: Path, *, timeout: float
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` gives of the same program in a folder, its output captured as text.

    Raises:
        subprocess.TimeoutExpired: after `timeout` seconds; the program is killed.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        written = (output.fileno(), errors.fileno())
        with _asked(_fork_server(), program, environment, folder, written) as connection:
            answers = connection.makefile("rb")
            pid = int(answers.readline())
            connection.settimeout(timeout)
            try:
                code = int(answers.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(program, timeout) from None
        for each in (output, errors):
            each.seek(0)
        return subprocess.CompletedProcess(
            program, code, output.read().decode(), errors.read().decode()
        )


def _asked(
    path: str,
    program: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    written: Sequence[int],
) -> socket.socket:
    """A connection that a child was asked for on; nothing is answered yet."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    request = json.dumps([list(program), dict(environment), str(folder)]).encode() + b"\n"
    sent = socket.send_fds(connection, [request], written)
    connection.sendall(request[sent:])
    return connection


@cache
def _fork_server() -> str:
    """Start the process to fork from, once for each process of tests; gives its socket's path."""
    folder = tempfile.TemporaryDirectory()
    path = str(Path(folder.name) / "socket")
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin is not None
    assert server.stdout is not None
    if server.stdout.readline() != b"ready\n":
        pytest.fail(f"the process to fork servers from ended with {server.wait()}; see above")

    def end() -> None:
        server.communicate()
        folder.cleanup()

    atexit.register(end)
    return path


class _Forks:
    """The side that forks: one connection for each child, until the child has ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._told, woken = socket.socketpair()
        for end in (self._told, woken, listener):
            end.setblocking(False)
        self._woken = woken
        self._children: dict[int, socket.socket] = {}

    def next_child(self) -> list[str] | None:
        """Fork for those who connect. In a child, give what it runs; else None, at the end."""
        signal.set_wakeup_fd(self._woken.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            for watched in (sys.stdin, self._listener, self._told):
                selector.register(watched, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._told in ready:
                    self._told.recv(MAX_LINE)
                    self._bury()
                if self._listener in ready:
                    program = self._fork(self._listener.accept()[0])
                    if program is not None:
                        return program
                if sys.stdin in ready:
                    for pid in self._children:
                        os.kill(pid, signal.SIGKILL)
                    return None

    def _fork(self, connection: socket.socket) -> list[str] | None:
        connection.setblocking(True)
        request, descriptors, _, _ = socket.recv_fds(connection, MAX_LINE, 2)
        while not request.endswith(b"\n"):
            request += connection.recv(MAX_LINE)
        pid = os.fork()
        if pid:
            for descriptor in descriptors:
                os.close(descriptor)
            self._children[pid] = connection
            connection.sendall(b"%d\n" % pid)
            return None
        program, environment, folder = json.loads(request)
        self._forget(connection)
        for standard, descriptor in zip(
            (0, 1, 2), (os.open(os.devnull, os.O_RDONLY), *descriptors), strict=True
        ):
            os.dup2(descriptor, standard)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        return [str(each) for each in program]

    def _forget(self, connection: socket.socket) -> None:
        """Let go, in a child, of what belongs to the process that it comes from."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (*self._children.values(), connection, self._listener, self._told, self._woken):
            each.close()

    def _bury(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            # Who asked for the child may have ended before it.
            with self._children.pop(pid) as connection, suppress(BrokenPipeError):
                connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def main(path: str) -> None:
    """Import, compile and load what servers and commands need, and fork from here.

    A child runs its program.
    """
    for package in (server, storage):
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(_RUN_BY_OTHERS):
                import_module(found.name)
    for machine in all_machines():
        assert machine.table, "compiled"
    share_weights(pytest.MonkeyPatch())
    load_weights()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    gc.freeze()
    print("ready", flush=True)
    match _Forks(listener).next_child():
        case ["-m", module, *arguments]:
            sys.argv = [module, *arguments]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [file, *arguments]:
            sys.argv = [file, *arguments]
            runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
