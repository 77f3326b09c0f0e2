"""The server as one program: services, sockets in front of them, and an orderly end at a signal."""

import asyncio
import signal
import socket
from collections.abc import Callable

from server.environment import Environment, system_environment
from server.gc_tuning import freeze_gc
from server.http.site import serve_web
from server.services import Services, open_services
from server.settings import Settings


async def serve(
    settings: Settings, announce: Callable[[str], None], environment: Environment | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; `announce` prints a line. The world is the real one unless given.

    The port is bound first, so that a port in use is told before anything is opened.

    Raises:
        OSError: the address cannot be had.
        ChorusError, ModelNotChosen: as `open_services`.
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
                for line in _greeting(services, address):
                    announce(line)
                await told.wait()
                announce("Going away: connections are told, and runs go on at the next start.")


def _greeting(services: Services, address: str) -> list[str]:
    model, embedder = services.model, services.embedder
    meaning = "by meaning" if embedder.embedder.semantic else "by keywords"
    return [
        f"Chorus is at {address}",
        f"  model     {model.model.name}: {model.why}",
        f"            {model.how_to_change}",
        f"  memory    {embedder.embedder.name} (search {meaning}): {embedder.why}",
        f"            {embedder.how_to_change}",
        f"  data      {services.settings.data}",
        f"  terminal  chorus chat {address}",
    ]


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)
