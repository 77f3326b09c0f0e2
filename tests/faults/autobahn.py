"""The Autobahn suite's fuzzing client against an echo that is made like the server's sockets.

The suite needs Python 2.7 (pyenv has it) and is installed into an environment of its own, once; where
it cannot be had, the scenario says so and counts nothing. The echo takes its websocket from
`server.sockets.websocket` and answers through `server.sockets.outbox`, so what is judged is the set-up
that clients meet: the parser, the bounds, the heartbeat, and the way frames are written.
"""

import asyncio
import json
import os
import shutil
import socket
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import WSMsgType, web

from server.sockets.flusher import Flusher
from server.sockets.outbox import Outbox
from server.sockets.pacing import PacedSite
from server.sockets.websocket import new_websocket
from tests.faults.campaign import Campaign, scenario

ENVIRONMENT: Final = Path.home() / ".cache" / "chorus-autobahn"
"""Kept between campaigns: installing compiles for a minute."""

INSTALL_SECONDS: Final = 600.0
RUN_SECONDS: Final = 900.0

CASES: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*")
"""12 and 13 are about compression, which is off unless an operator allows it."""

TOLERATED: Final = frozenset({"OK", "INFORMATIONAL", "NON-STRICT"})
KNOWN: Final = frozenset({"7.9.5"})
"""aiohttp's own: it takes a close code that the standard leaves to nobody."""

ECHO_BYTES: Final = 17_000_000
"""Cases of group 9 send 16 MiB. That our clients' frames end at 384 KiB is tested elsewhere."""


class SuiteMissing(Exception):
    """The suite cannot be had on this machine; the text says why."""


async def suite() -> Path:
    """The suite's command, installed where it was not. Raises SuiteMissing."""
    command = ENVIRONMENT / "bin" / "wstest"
    if command.exists():
        return command
    python = await _python2()
    await _install(python, "-m", "pip", "install", "--user", "virtualenv")
    await _install(python, "-m", "virtualenv", str(ENVIRONMENT))
    await _install(str(ENVIRONMENT / "bin" / "pip"), "install", "autobahntestsuite")
    if not command.exists():
        raise SuiteMissing(f"autobahntestsuite was installed without {command}")
    return command


async def _python2() -> str:
    """An interpreter of Python 2.7."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(versions.glob("2.7.*/bin/python2.7"))
    if installed:
        return str(installed[-1])
    found = shutil.which("python2.7")
    if found is None:
        raise SuiteMissing("it needs Python 2.7: pyenv install 2.7.18")
    return found


async def _install(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    try:
        async with asyncio.timeout(INSTALL_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise SuiteMissing(f"{' '.join(command)} took too long") from None
    if process.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise SuiteMissing(f"{' '.join(command)} failed: {last}")


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """An echo on a free port."""
    flusher = Flusher(asyncio.get_running_loop())
    app = web.Application()
    app.router.add_get("/", lambda request: _echo(request, flusher))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        # The site closes it, while the loop still knows it.
        listening = socket.create_server(("127.0.0.1", 0))
        await PacedSite(runner, listening).start()
        yield int(listening.getsockname()[1])
    finally:
        await runner.cleanup()


async def _echo(request: web.Request, flusher: Flusher) -> web.WebSocketResponse:
    ws = new_websocket(compress=False, max_frame_bytes=ECHO_BYTES)
    await ws.prepare(request)
    assert request.transport is not None
    outbox = Outbox(ws, request.transport, flusher, on_overflow=lambda: None)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            outbox.reply(message.data)
            await outbox.room()
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
        elif message.type is WSMsgType.PING:
            outbox.pong(message.data)
    return ws


async def judge(command: Path, folder: Path) -> dict[str, str]:
    """Run the suite; gives its verdict by the number of the case.

    Raises:
        AssertionError: it did not run to its end.
    """
    async with echo() as port:
        specification = {
            "outdir": str(folder / "reports"),
            "servers": [{"agent": "chorus", "url": f"ws://127.0.0.1:{port}/"}],
            "cases": list(CASES),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        spec = folder / "spec.json"
        await asyncio.to_thread(spec.write_text, json.dumps(specification))
        process = await asyncio.create_subprocess_exec(
            *(str(command), "-m", "fuzzingclient", "-s", str(spec)),
            cwd=folder,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        try:
            async with asyncio.timeout(RUN_SECONDS):
                _, complaint = await process.communicate()
        except TimeoutError:
            process.kill()
            raise AssertionError("the suite did not come to its end") from None
    index = folder / "reports" / "index.json"
    assert index.exists(), f"the suite left no report: {complaint.decode(errors='replace')[-500:]}"
    verdicts = json.loads(await asyncio.to_thread(index.read_text))["chorus"]
    return {
        case: found["behavior"] if found["behavior"] not in TOLERATED else found["behaviorClose"]
        for case, found in verdicts.items()
    }


@scenario("autobahn")
async def autobahn(campaign: Campaign) -> None:
    """Every case; one that fails and is not known counts as not survived."""
    if campaign.short:
        print("   not run: the whole suite is for the long campaign", flush=True)
        return
    try:
        command = await suite()
    except SuiteMissing as missing:
        print(f"   not run: {missing}", flush=True)
        return
    verdicts = await judge(command, campaign.folder)
    print("  ", json.dumps(Counter(verdicts.values())), flush=True)
    failed = {
        case for case, verdict in verdicts.items() if verdict not in TOLERATED and case not in KNOWN
    }
    if failed:
        campaign.failed(f"Autobahn cases failed: {', '.join(sorted(failed))}")
    campaign.injected(
        "a case of the Autobahn suite", len(verdicts), survived=len(verdicts) - len(failed)
    )
