"""`chorus serve`, `ask` and `chat`."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from server.command_line.options import At, Data, Llm, checked
from server.command_line.performing import journal_named, perform, settings_from
from server.commands.errors import DONE, WRONG_USE, refuse
from server.commands.printing import complain, say

if TYPE_CHECKING:
    from server.settings import Settings

_LOG_COLUMNS: Final = 100
"""Of what `ask` tells on its way, where no terminal says how wide it is."""


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Address to listen on. Or CHORUS_HOST; else 127.0.0.1.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Port to listen on; 0 takes a free one. Or CHORUS_PORT; else 8080.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    llm: Llm = None,
    show_settings: Annotated[
        bool,
        typer.Option("--show-settings", help="Print every setting, secrets masked, and stop."),
    ] = False,
) -> int:
    """Run the server, and print the address of its page."""
    settings = settings_from(host=host, port=port, data=data, llm=llm)
    if show_settings:
        _show_settings(settings)
        return DONE
    from server.gc_tuning import gc_paused

    with gc_paused(), journal_named(settings):
        from server.commands import serve as command

        return command.run(settings)


def ask(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="What to ask; - reads it from standard input.")
    ],
    steps: Annotated[
        bool, typer.Option("--steps", help="Tell each step whole, and not in one line.")
    ] = False,
    data: Data = None,
    llm: Llm = None,
) -> int:
    """Ask once, without a server: the steps go to standard error, the answer to standard output."""
    from rich.console import Console

    from machines.models.limits import MAX_CONTENT_LENGTH

    text = checked(sys.stdin.read() if prompt == "-" else prompt, "PROMPT", MAX_CONTENT_LENGTH)
    settings = settings_from(data=data, llm=llm)
    from server.commands import ask as command
    from server.commands.errors import CommandFailed
    from server.environment import system_environment

    if not sys.stdout.writable():
        raise CommandFailed("Standard output is closed: an answer would be lost.")

    asked = command.ask(
        settings,
        system_environment(),
        text,
        out=Console(highlight=False, soft_wrap=not sys.stdout.isatty()),
        progress=Console(
            stderr=True, highlight=False, width=None if sys.stderr.isatty() else _LOG_COLUMNS
        ),
        steps=steps,
    )
    perform(settings, asked)
    return DONE


def chat(
    url: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help="Address of the server.", show_default=False),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option(
            metavar="THREAD",
            help="Open this thread at once: its number among yours, its name, or its id.",
            show_default=False,
        ),
    ] = None,
    at: At = None,
) -> int:
    """Chat with a server; without URL, with the one that the settings describe."""
    if at is not None and thread is None:
        return refuse("--at is a moment of a thread: name it by --thread", WRONG_USE)
    from server.chat import command

    dialled = url if url is not None else _own_address(settings_from())
    return asyncio.run(command.chat(dialled, thread, None, at))


def _show_settings(settings: "Settings") -> None:
    from server.settings import misspelt_variables
    from server.telemetry.variables import export_settings, shown_variables

    export_settings(os.environ)
    for line in (*settings.show(), *shown_variables(os.environ)):
        say(line)
    for sentence in misspelt_variables(os.environ):
        complain(sentence)


def _own_address(settings: "Settings") -> str:
    """Where the server of these settings is dialled from this machine."""
    if settings.public_url is not None:
        return settings.public_url
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - listens there, if asked to
    host = everywhere.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
