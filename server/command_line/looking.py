"""`chorus trace`, `replay`, `compare`, `export` and `heat`: what the machines did, and why."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from server.command_line.options import At, Instance, Journal, canonical_uuid
from server.command_line.performing import perform
from server.commands.errors import DONE, WRONG_USE, refuse
from server.commands.printing import complain, say


def trace(
    id_: Instance,
    at: At = None,
    data: Journal = None,
) -> int:
    """Print every transition of a run and why it was taken; a server may be running."""
    from rich.console import Console

    from server.commands import trace as command
    from server.commands.journal_file import settings_of

    settings = settings_of(data, "--data")
    found = perform(settings, command.trace(settings, id_, at))
    command.show(found, command.console_for(Console(highlight=False)))
    return DONE


def replay(
    id_: Instance,
    data: Journal = None,
) -> int:
    """Go through what a run did once more, by its journal alone; exit code 1 where that leads elsewhere."""
    from server.commands import replay as command
    from server.commands.journal_file import settings_of

    settings = settings_of(data, "--data")
    return perform(settings, command.run(settings, id_, say=say))


def compare(
    one: Annotated[str, typer.Argument(metavar="RUN", parser=canonical_uuid, help="Id of a run.")],
    other: Annotated[
        str,
        typer.Argument(
            metavar="OTHER", parser=canonical_uuid, help="Id of another one of its thread."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg", help="Draw the ways of both into a file.", show_default=False
        ),
    ] = None,
    data: Journal = None,
) -> int:
    """Show where the answers of two runs differ, or draw both ways; a server may be running."""
    from rich.console import Console

    from machines.models.ids import RunId
    from server.commands import compare_runs as command
    from server.commands import trace
    from server.commands.journal_file import settings_of

    settings = settings_of(data, "--data")
    console = trace.console_for(Console(highlight=False))
    pair = command.Pair(RunId(one), RunId(other))
    return perform(settings, command.run(settings, pair, out=out, console=console, say=say))


def export(
    run_id: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", parser=canonical_uuid, help="Id of a run.", show_default=False
        ),
    ] = None,
    otel: Annotated[
        bool, typer.Option("--otel", help="As traces of OpenTelemetry; it must be given.")
    ] = False,
    thread: Annotated[
        str | None,
        typer.Option(
            metavar="THREAD",
            parser=canonical_uuid,
            help="All runs and approvals of this thread.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Those that anything became of since then, such as 2026-11-30T08:00:00Z.",
            show_default=False,
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Of the collector. Or OTEL_EXPORTER_OTLP_ENDPOINT.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write lines of OTLP's JSON in place of sending them; - is standard output.",
            show_default=False,
        ),
    ] = None,
    data: Journal = None,
) -> int:
    """Send the traces of past runs to a collector, or write them to a file; a server may be running."""
    if not otel:
        return refuse("name the format: --otel", WRONG_USE)
    if endpoint is not None and out is not None:
        return refuse("--endpoint and --out are two places: name one", WRONG_USE)
    from server.commands import export as command
    from server.commands.journal_file import settings_of

    asked = command.wanted(run_id, thread, since)
    settings = settings_of(data, "--data")
    from rich.console import Console

    told = complain if out == command.STANDARD_OUTPUT else say
    progress = Console(stderr=True, highlight=False)
    exported = command.run(settings, asked, endpoint=endpoint, out=out, say=told, progress=progress)
    return perform(settings, exported)


def heat(
    machine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="This machine alone.", show_default=False),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option(
            metavar="THREAD",
            parser=canonical_uuid,
            help="In this thread alone.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="From then on, such as 2026-11-30T08:00:00Z, or 24h or 7d ago; by whole hours.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Until then, likewise.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg|DIR",
            help="Draw the machine into a file, or each into a folder, which is made.",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        Literal["table", "json", "svg"], typer.Option("--format", help="What is printed.")
    ] = "table",
    data: Journal = None,
) -> int:
    """Show how often the machines took each edge and how long they stayed in each state; a server may be
    running."""
    from rich.console import Console

    from server.commands import heat as command
    from server.commands import trace
    from server.commands.journal_file import settings_of
    from server.environment import system_environment

    now = system_environment().now()
    asked = command.asked(machine=machine, thread=thread, since=since, until=until, now=now)
    settings = settings_of(data, "--data")
    console = trace.console_for(Console(highlight=False))
    answered = command.run(settings, asked, format_=format_, out=out, console=console, say=say)
    return perform(settings, answered)
