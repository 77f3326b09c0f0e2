"""`chorus diagrams`."""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from server.commands.printing import say

diagrams_app: Final = typer.Typer(invoke_without_command=True)


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
    source: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="Where a revision has the source of its charts: a package, or one module.",
        ),
    ] = "machines",
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
            metavar="removed,changed,code,live",
            help="Exit code 1 where a state or an edge is gone (removed) or declared otherwise"
            " (changed), a guard or an action has other code (code), or something live does not go"
            " on as before (live).",
            show_default=False,
        ),
    ] = "",
) -> int:
    """Show what changed in the machines, as a drawing of each and a summary in Markdown."""
    failing = tuple(each for each in fail_on.split(",") if each)
    if unknown := [each for each in failing if each not in {"removed", "changed", "code", "live"}]:
        raise typer.BadParameter(
            f"{unknown[0]!r} is none of removed, changed, code and live", param_hint="--fail-on"
        )
    from server.commands import diagrams_diff as command

    return command.run(
        old,
        new,
        folder=folder,
        source=source,
        out=out,
        journal=journal,
        fail_on=failing,
        say=say,
    )
