"""The server as one program: services, sockets in front of them, and an orderly end at a signal."""

import asyncio
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from machines.models.errors import ChorusError, JournalError
from server.addresses import is_loopback
from server.environment import Environment, system_environment
from server.gc_tuning import freeze_gc
from server.http.site import serve_web
from server.services import Services, open_services
from server.settings import Settings

PROGRAM: Final = "chorus"

HIDDEN: Final = (
    "  others    are refused: set CHORUS_PUBLIC_URL to the address that their browsers use"
)
"""Printed where the server listens to other machines, and knows itself by its loopback names alone."""


async def serve(
    settings: Settings, announce: Callable[[str], None], environment: Environment | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; `announce` prints a line. The world is the real one unless given.

    The port is bound first, so that a port in use is told before anything is opened.

    Raises:
        OSError: the address cannot be had.
        ChorusError, InvalidSettings, ModelNotChosen: as `open_services`.
        JournalError: a command has taken the database for itself, or changed its tables.
    """
    environment = environment or system_environment()
    with _bind(settings.host, settings.port) as listening:
        async with open_services(settings, environment) as services:
            told = asyncio.Event()
            loop = asyncio.get_running_loop()
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, told.set)
            async with serve_web(services, listening) as address:
                freeze_gc()
                for line in greeting(services, address):
                    announce(line)
                await _until_told_or_ended(told, services)
                shared = services.journal.shared
                where = "at another server, or the next start" if shared else "at the next start"
                announce(f"Going away: connections are told, and runs go on {where}.")
                if shared:
                    # Before the sockets are closed: others go on with the runs meanwhile.
                    await services.takeover.hand_over()


async def _until_told_or_ended(told: asyncio.Event, services: Services) -> None:
    """Wait for the signal to end.

    Raises:
        JournalError: the database is not this server's to write any more: there is nothing to serve.
        ChorusError: a task ended without which it is not safe to go on.
    """
    taken = asyncio.create_task(services.journal.taken())
    ended = asyncio.create_task(services.background.ended())
    waiting = {asyncio.create_task(told.wait()), taken, ended}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    if told.is_set():
        return
    if ended.done():
        raise ChorusError(
            f"The server ends: its task {ended.result()} ended by a defect, and it is not safe to go on"
            " without it."
        )
    if taken.done():
        raise JournalError(taken.result(), retryable=False)


def greeting(services: Services, address: str) -> list[str]:
    """What an operator reads at a start, line by line."""
    model, embedder = services.model, services.embedder
    settings = services.settings
    hidden = settings.public_url is None and not is_loopback(f"http://{_bracketed(settings.host)}")
    meaning = "by meaning" if embedder.embedder.semantic else "by keywords"
    return [
        f"Chorus is at {address}",
        f"  model     {model.model.name}: {model.why}",
        f"            {model.how_to_change}",
        f"  memory    {embedder.embedder.name} (search {meaning}): {embedder.why}",
        f"            {embedder.how_to_change}",
        f"  data      {services.settings.journal_place}",
        f"  terminal  {_program()} chat {address}",
        *([HIDDEN] if hidden else []),
    ]


def _program() -> str:
    """How this program is called from the operator's shell: the line can be pasted."""
    own = Path(sys.argv[0])
    found = shutil.which(PROGRAM)
    if own.name != PROGRAM or (found is not None and Path(found).resolve() == own.resolve()):
        return PROGRAM
    try:
        return shlex.quote(str(own.absolute().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(own.absolute()))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)
