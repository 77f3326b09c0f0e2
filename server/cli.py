"""The console entry `chorus`: what may be typed.

Nothing is done here: each command is a module of `server.commands`, imported when it is called, so
that `chorus --help` costs the command line alone. Exit codes: 0 done, 1 not done, 2 wrong options
or environment, 130 interrupted. What a person reads of a failure is in `server.commands.errors`;
`python -X dev -m server.cli` shows the traceback.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import typer

from server.commands import standard_streams
from server.commands.errors import DONE, INTERRUPTED, WRONG_USE, explained, refuse
from server.commands.printing import complain, say

if TYPE_CHECKING:
    from server.settings import Settings

_LOG_COLUMNS: Final = 100
"""Of what `ask` tells on its way, where no terminal says how wide it is."""
_MAX_TOKENS: Final = 10**12
"""Of one change; balances stay far below what JSON readers take for exact."""

T = TypeVar("T")

app = typer.Typer(
    name="chorus",
    help="Co-authored conversations with a language model, run by state machines.",
    epilog="Settings come from options, then from CHORUS_* and OPENAI_* variables; "
    "`chorus serve --show-settings` lists them all.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line of this process, and end it."""
    standard_streams.make_usable()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; gives the exit code."""
    # What libraries log is no answer to a person; `serve` sends its log where operators look.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        code = app(list(arguments), prog_name="chorus", standalone_mode=False)
    except typer.TyperException as error:
        return refuse(f"{error.format_message().rstrip('.')}; see chorus --help", WRONG_USE)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return refuse(*explained(error))
    return code if isinstance(code, int) else DONE


# --- Commands ------------------------------------------------------------------------------------


def _version(wanted: bool) -> None:
    if wanted:
        from server import __version__

        say(f"chorus {__version__}")
        raise typer.Exit


def _canonical_uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no id; ids are UUIDs") from None


_Data = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the conversations. Or CHORUS_DATA; else ./chorus-data.",
        show_default=False,
    ),
]
_Journal = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR|URL",
        help="Folder of the conversations, or a database as postgresql://user@host/name. Or CHORUS_DATA, "
        "CHORUS_DATABASE_URL; else ./chorus-data.",
        show_default=False,
    ),
]
_At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="SEQ|TIME",
        help="As it was after this entry, or at this time (RFC 3339).",
        show_default=False,
    ),
]
_Llm = Annotated[
    str | None,
    typer.Option(
        metavar="auto|offline|URL",
        help="Which model answers: the one configured or found on this machine, none, or the one "
        "of an OpenAI-compatible endpoint. Or CHORUS_LLM; else auto.",
        show_default=False,
    ),
]
_Thread = Annotated[
    str, typer.Argument(metavar="THREAD", parser=_canonical_uuid, help="Id of the thread.")
]
_Tokens = Annotated[
    int, typer.Argument(metavar="N", min=1, max=_MAX_TOKENS, help="How many tokens.")
]
_Cause = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; it is kept with the change.", show_default=False)
]


@app.callback(invoke_without_command=True)
def chorus(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Co-authored conversations with a language model, run by state machines."""
    del version  # the callback has seen to it
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
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
    data: _Data = None,
    llm: _Llm = None,
    show_settings: Annotated[
        bool,
        typer.Option("--show-settings", help="Print every setting, secrets masked, and stop."),
    ] = False,
) -> int:
    """Run the server, and print the address of its page."""
    settings = _settings(host=host, port=port, data=data, llm=llm)
    if show_settings:
        _show_settings(settings)
        return DONE
    from server.gc_tuning import gc_paused

    with gc_paused(), _journal_named(settings):
        from server.commands import serve as command

        return command.run(settings)


@app.command()
def ask(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="What to ask; - reads it from standard input.")
    ],
    steps: Annotated[
        bool, typer.Option("--steps", help="Tell each step whole, and not in one line.")
    ] = False,
    data: _Data = None,
    llm: _Llm = None,
) -> int:
    """Ask once, without a server: the steps go to standard error, the answer to standard output."""
    from rich.console import Console

    from machines.models.limits import MAX_CONTENT_LENGTH

    text = _checked(sys.stdin.read() if prompt == "-" else prompt, "PROMPT", MAX_CONTENT_LENGTH)
    settings = _settings(data=data, llm=llm)
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
    _perform(settings, asked)
    return DONE


@app.command()
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
    at: _At = None,
) -> int:
    """Chat with a server; without URL, with the one that the settings describe."""
    if at is not None and thread is None:
        return refuse("--at is a moment of a thread: name it by --thread", WRONG_USE)
    from server.chat import command

    dialled = url if url is not None else _own_address(_settings())
    return asyncio.run(command.chat(dialled, thread, None, at))


@app.command()
def trace(
    id_: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            parser=_canonical_uuid,
            help="Id of the run; or of a message, thread, invitation, link, removal or branch.",
        ),
    ],
    at: _At = None,
    data: _Journal = None,
) -> int:
    """Print every transition of a run and why it was taken; a server may be running."""
    from rich.console import Console

    from server.commands import trace as command
    from server.commands.journal_file import settings_of

    settings = settings_of(data, "--data")
    found = _perform(settings, command.trace(settings, id_, at))
    command.show(found, command.console_for(Console(highlight=False)))
    return DONE


@app.command()
def replay(
    id_: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            parser=_canonical_uuid,
            help="Id of the run; or of a message, thread, invitation, link, removal or branch.",
        ),
    ],
    data: _Journal = None,
) -> int:
    """Go through what a run did once more, by its journal alone; exit code 1 where that leads elsewhere."""
    from server.commands import replay as command
    from server.commands.journal_file import settings_of

    settings = settings_of(data, "--data")
    return _perform(settings, command.run(settings, id_, say=say))


@app.command()
def export(
    run_id: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", parser=_canonical_uuid, help="Id of a run.", show_default=False
        ),
    ] = None,
    otel: Annotated[
        bool, typer.Option("--otel", help="As traces of OpenTelemetry; it must be given.")
    ] = False,
    thread: Annotated[
        str | None,
        typer.Option(
            metavar="THREAD",
            parser=_canonical_uuid,
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
    data: _Journal = None,
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
    return _perform(settings, exported)


@app.command()
def heat(
    machine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="This machine alone.", show_default=False),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option(
            metavar="THREAD",
            parser=_canonical_uuid,
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
    data: _Journal = None,
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
    return _perform(settings, answered)


@app.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is found; embed again where needed.")
    ] = False,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored",
            help="The folder was put back from a backup: end its sessions, and let clients read"
            " anew what they remember.",
        ),
    ] = False,
    properties: Annotated[
        bool,
        typer.Option(
            "--properties",
            help="Only judge what is recorded by the temporal rules; a server may be running.",
        ),
    ] = False,
    data: _Data = None,
) -> int:
    """Check that journal, memory and runs agree; exit code 1 where they do not."""
    settings = _settings(data=data)
    if properties:
        if repair or restored:
            return refuse("--properties only reads: leave out --repair and --restored", WRONG_USE)
        from server.commands import properties as judging

        return _perform(settings, judging.run(settings, say=say))
    from server.commands import verify as command
    from server.environment import system_environment

    verified = command.run(
        settings, system_environment(), repair=repair, restored=restored, say=say
    )
    return _perform(settings, verified)


@app.command()
def credit(thread: _Thread, amount: _Tokens, cause: _Cause, data: _Data = None) -> int:
    """Add tokens to a thread's balance; no server may run meanwhile."""
    return _change_balance(thread, amount, cause, data)


@app.command()
def debit(thread: _Thread, amount: _Tokens, cause: _Cause, data: _Data = None) -> int:
    """Take tokens from a thread's balance, which never goes below zero."""
    return _change_balance(thread, -amount, cause, data)


@app.command()
def migrate(data: _Data = None) -> int:
    """Bring the journal of a folder or database to this version; see Upgrade in the operations page."""
    settings = _settings(data=data)
    from server.commands import migrate as command
    from server.environment import system_environment

    with _journal_named(settings):
        return command.run(settings, system_environment(), say=say)


@app.command()
def copy(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="DIR|URL",
            help="A data folder, or a database as postgresql://user@host/name. The password is "
            "best in the file that PGPASSFILE names: others can see what is typed.",
            show_default=False,
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="DIR|URL",
            help="A folder that is made, or an empty database.",
            show_default=False,
        ),
    ],
) -> int:
    """Copy the journal of a folder or database into another; once more goes on where it stopped."""
    from rich.console import Console

    from server.commands import copy as command
    from server.environment import system_environment

    progress = Console(stderr=True, highlight=False)
    return command.run(source, target, system_environment(), say=say, progress=progress)


diagrams_app = typer.Typer(invoke_without_command=True)
app.add_typer(diagrams_app, name="diagrams")


@diagrams_app.callback()
def diagrams(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Only say which drawings are not up to date.")
    ] = False,
    chart: Annotated[
        str | None,
        typer.Option(help="Draw this chart in place of ours: package.module:Class."),
    ] = None,
    format_: Annotated[
        Literal["scxml", "xstate", "mermaid"] | None,
        typer.Option(
            "--format", help="Write this instead of drawings, into the current folder or --out."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to draw into; made where it is missing.")
    ] = None,
) -> None:
    """Draw every state machine into diagrams/, check the drawings there, or draw a chart of yours."""
    if context.invoked_subcommand is not None:
        if check or chart or format_ or out:
            raise typer.BadParameter(
                f"options of {context.invoked_subcommand} stand behind its name"
            )
        return
    from server.commands import diagrams as command

    command.run(check=check, chart=chart, format_=format_, out=out, say=say)


@diagrams_app.command()
def diff(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD", help="A revision of git, a folder of declarations, or one of them."
        ),
    ],
    new: Annotated[
        str | None,
        typer.Argument(
            metavar="[NEW]", help="Likewise; without it, the working tree.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the drawings and summary.md.")
    ] = Path("diagrams-diff"),
    folder: Annotated[
        str,
        typer.Option(metavar="DIR", help="Where a revision has its declarations (*.json)."),
    ] = "diagrams",
    journal: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|URL",
            help="Count in this journal, a data folder or a database, what took each changed edge, and"
            " what stands where. A password is best in the file that PGPASSFILE names.",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        str,
        typer.Option(
            metavar="removed,live",
            help="Exit code 1 where a state or an edge is gone (removed), or something live does"
            " not go on as before (live).",
            show_default=False,
        ),
    ] = "",
) -> int:
    """Show what changed in the machines, as a drawing of each and a summary in Markdown."""
    failing = tuple(each for each in fail_on.split(",") if each)
    if unknown := [each for each in failing if each not in {"removed", "live"}]:
        raise typer.BadParameter(
            f"{unknown[0]!r} is neither removed nor live", param_hint="--fail-on"
        )
    from server.commands import diagrams_diff as command

    return command.run(old, new, folder=folder, out=out, journal=journal, fail_on=failing, say=say)


# --- What commands share -------------------------------------------------------------------------


def _settings(**flags: str | None) -> "Settings":
    from server.settings import load_settings

    return load_settings(flags)


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


def _checked(text: str, name: str, limit: int) -> str:
    """`text`, if the journal takes it. Raises BadParameter.

    Args:
        name: What a person calls the option or argument.
        limit: Code points.
    """
    from machines.models.blank import is_blank

    if is_blank(text):
        problem = "it is blank"
    elif len(text) > limit:
        problem = f"it has {len(text)} characters, and at most {limit} are taken"
    elif any("\ud800" <= character <= "\udfff" for character in text):
        problem = "it is not text in UTF-8"
    elif "\0" in text:
        problem = "it has the character U+0000"
    else:
        return text
    raise typer.BadParameter(problem, param_hint=name)


def _change_balance(thread: str, amount: int, cause: str, data: str | None) -> int:
    from machines.models.ids import ThreadId
    from machines.models.limits import MAX_REASON_LENGTH

    text = _checked(cause, "--cause", MAX_REASON_LENGTH)
    settings = _settings(data=data)
    from server.commands import balance as command
    from server.environment import system_environment

    changed = command.change_balance(settings, system_environment(), ThreadId(thread), amount, text)
    say(f"The balance is {_perform(settings, changed)} tokens now.")
    return DONE


def _perform(settings: "Settings", work: Coroutine[Any, Any, T]) -> T:
    with _journal_named(settings):
        return asyncio.run(work)


@contextmanager
def _journal_named(settings: "Settings") -> Iterator[None]:
    """Let a failure of the journal say which one it is about."""
    from machines.models.errors import JournalError
    from server.commands.errors import CommandFailed

    try:
        yield
    except JournalError as error:
        raise CommandFailed(f"{settings.journal_place}: {error.message}") from error


if __name__ == "__main__":
    main()
