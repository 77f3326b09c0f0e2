"""`chorus serve`: the server, until it is told to stop."""

import asyncio
import errno
import logging
import os
from contextlib import suppress

import uvloop

from server.app import serve
from server.commands import logs
from server.commands.errors import CommandFailed
from server.commands.printing import say
from server.llm.choice import ModelNotChosen
from server.settings import Settings, misspelt_variables


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Raises CommandFailed where it cannot listen."""
    logs.set_up()
    for sentence in misspelt_variables(os.environ):
        logging.getLogger(__name__).warning("%s", sentence)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, announce))
    except ModelNotChosen as error:
        raise CommandFailed(f"No model: {error}", exit_code=2) from error
    except OSError as error:
        if error.filename is not None:
            raise  # a file's, not the socket's
        raise CommandFailed(_sentence(error, settings)) from error
    return 0


def announce(line: str) -> None:
    """Print at once, also into a pipe: the address is waited for. A server whose output is closed, or
    is read no more, serves all the same."""
    with suppress(OSError):
        say(line)


def _sentence(error: OSError, settings: Settings) -> str:
    where = f"{settings.host} port {settings.port}"
    # The resolver's codes are below zero; socket.create_server keeps the code and not the class.
    if error.errno is not None and error.errno < 0:
        return f"The host {settings.host} is not known here; choose another with --host."
    match error.errno:
        case errno.EADDRINUSE:
            return f"{where} is in use by another program; choose another with --port."
        case errno.EADDRNOTAVAIL:
            return f"This machine has no address {settings.host}; choose another with --host."
        case errno.EACCES:
            return f"{where} needs more rights than this user has; choose another with --port."
        case _:
            return f"The server cannot run: {os.strerror(error.errno or 0)}."
