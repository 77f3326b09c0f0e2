"""The console entry `chorus`: what may be typed.

What each command takes is in `server.command_line`. Exit codes: 0 done, 1 not done, 2 wrong options or
environment, 130 interrupted. What a person reads of a failure is in `server.commands.errors`;
`python -X dev -m server.cli` shows the traceback.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from server.command_line import conversing, keeping, looking
from server.command_line.drawing import diagrams_app
from server.commands import standard_streams
from server.commands.errors import DONE, INTERRUPTED, WRONG_USE, explained, refuse
from server.commands.printing import say

COMMANDS: Final = (
    *(conversing.serve, conversing.ask, conversing.chat),
    *(looking.trace, looking.replay, looking.compare, looking.export, looking.heat),
    *(keeping.verify, keeping.credit, keeping.debit, keeping.migrate, keeping.copy),
)
"""In the order in which `chorus --help` lists them."""

app = typer.Typer(
    name="chorus",
    help="Co-authored conversations with a language model, run by state machines.",
    epilog="Settings come from options, then from CHORUS_* and OPENAI_* variables; "
    "`chorus serve --show-settings` lists them all.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


for each in COMMANDS:
    app.command()(each)
app.add_typer(diagrams_app, name="diagrams")


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


def _version(wanted: bool) -> None:
    if wanted:
        from server import __version__

        say(f"chorus {__version__}")
        raise typer.Exit


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


if __name__ == "__main__":
    main()
