"""The real server in a process of its own, as an operator runs it, but forked (`tests.support.forked`).

    async with served(folder, llm=model.url, thread_queue=1) as server:
        async with signed_in(server.url) as alice: ...

Settings are passed as their variables. What the server printed to standard error is kept beside its
data folder, and a traceback there fails the test, or an event loop that was held
(`tests.support.watched_server`).
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.support.forked import ForkedProcess, forked
from tests.support.watched_server import HELD

START_SECONDS = 60.0
STOP_SECONDS = 30.0

PROGRAM = ("-m", "tests.support.watched_server", "serve")
"""What Python runs."""

_ADDRESS = re.compile(r"^Chorus is at (http://\S+)$")


class ServerProcess:
    """One server and its data folder; it may be ended and started again."""

    def __init__(
        self,
        folder: Path,
        llm: str,
        settings: Mapping[str, object],
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """Nothing is started yet; `program` is what Python runs."""
        self.url = ""
        """`http://host:port`, another one after each start."""
        self.data = folder / "data"
        self._log = folder / "server.log"
        self._llm = llm
        self._settings = settings
        self._program = program
        self._process: ForkedProcess | None = None
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start, and wait until it says where it is."""
        program = [*self._program, "--data", str(self.data), "--llm", self._llm]
        output, told = os.pipe()
        with self._log.open("ab") as log, os.fdopen(told, "wb"):
            self._process = await forked(program, self.environment(), told, log.fileno())
        printed = await _reader(output)
        try:
            async with asyncio.timeout(START_SECONDS):
                self.url = await _address(printed)
        except TimeoutError:
            pytest.fail(f"the server did not start in time: {self.log()}")
        if not self.url:
            code = await self._process.wait()
            pytest.fail(f"the server ended with {code} instead of starting: {self.log()}")
        self._draining = asyncio.create_task(_drain(printed))

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL: nothing is told, nothing is finished."""
        await self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        assert self._process is not None
        return self._process.pid

    async def ended(self) -> int:
        """Wait for an end that nobody asked for; gives the exit code."""
        assert self._process is not None
        return await self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it does nothing until `revive`, and keeps all that it has."""
        self.tell(signal.SIGSTOP)

    def revive(self) -> None:
        """SIGCONT: it goes on where it was, and knows nothing of the time between."""
        self.tell(signal.SIGCONT)

    def tell(self, what: signal.Signals) -> None:
        """Send a signal, and do not wait."""
        assert self._process is not None
        self._process.send_signal(what)

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        """Run another `chorus` command on the same folder: (exit code, output, errors)."""
        with TemporaryFile() as output, TemporaryFile() as errors:
            process = await forked(
                ["-m", "server.cli", *arguments],
                self.environment() | {"CHORUS_DATA": str(self.data)},
                output.fileno(),
                errors.fileno(),
            )
            try:
                async with asyncio.timeout(START_SECONDS):
                    code = await process.wait()
            except TimeoutError:
                process.kill()
                pytest.fail(f"chorus {' '.join(arguments)} did not end in time")
            for each in (output, errors):
                each.seek(0)
            return code, output.read().decode(), errors.read().decode()

    def environment(self) -> dict[str, str]:
        """This process' variables without any that configure Chorus, and the settings."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHORUS_", "OPENAI_"))
        }
        own = {f"CHORUS_{name.upper()}": str(value) for name, value in self._settings.items()}
        return {**inherited, "CHORUS_MODEL": "scripted-1", **own}

    def log(self) -> str:
        """All that it printed to standard error."""
        return self._log.read_text()

    async def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)  # one that is frozen takes no other signal
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            pytest.fail(f"the server did not stop in time: {self.log()}")
        if self._draining is not None:
            await self._draining
        return code


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    return reader


async def _address(output: asyncio.StreamReader) -> str:
    while line := await output.readline():
        if found := _ADDRESS.match(line.decode().strip()):
            return found[1]
    return ""


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.readline():
        pass


@asynccontextmanager
async def served(
    folder: Path, llm: str = "offline", *, program: Sequence[str] = PROGRAM, **settings: object
) -> AsyncIterator[ServerProcess]:
    """A running server on a free port; rates are not limited unless `settings` say so."""
    unlimited = {
        "prompts_per_minute": 0,
        "frames_per_second": 0,
        "read_kib_per_second": 0,
        "sign_ins_per_minute": 0,
        "connections_per_address": 0,
    }
    server = ServerProcess(folder, llm, {"port": 0, **unlimited, **settings}, program)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
    assert "Traceback" not in server.log(), server.log()
    assert HELD not in server.log(), server.log()
