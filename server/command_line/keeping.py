"""`chorus verify`, `credit`, `debit`, `migrate` and `copy`: what keeps a journal in order."""

from typing import Annotated

import typer

from server.command_line.options import Cause, Data, Journal, Thread, Tokens, checked
from server.command_line.performing import journal_named, perform, settings_from
from server.commands.errors import DONE, WRONG_USE, refuse
from server.commands.printing import say


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
    data: Journal = None,
) -> int:
    """Check that journal, memory and runs agree; exit code 1 where they do not."""
    from server.commands.journal_file import settings_of

    settings = settings_of(data, "--data")
    if properties:
        if repair or restored:
            return refuse("--properties only reads: leave out --repair and --restored", WRONG_USE)
        from server.commands import properties as judging

        return perform(settings, judging.run(settings, say=say))
    from server.commands import verify as command
    from server.environment import system_environment

    verified = command.run(
        settings, system_environment(), repair=repair, restored=restored, say=say
    )
    return perform(settings, verified)


def credit(thread: Thread, amount: Tokens, cause: Cause, data: Data = None) -> int:
    """Add tokens to a thread's balance; no server may run meanwhile."""
    return _change_balance(thread, amount, cause, data)


def debit(thread: Thread, amount: Tokens, cause: Cause, data: Data = None) -> int:
    """Take tokens from a thread's balance, which never goes below zero."""
    return _change_balance(thread, -amount, cause, data)


def migrate(data: Data = None) -> int:
    """Bring the journal of a folder or database to this version; see Upgrade in the operations page."""
    settings = settings_from(data=data)
    from server.commands import migrate as command
    from server.environment import system_environment

    with journal_named(settings):
        return command.run(settings, system_environment(), say=say)


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


def _change_balance(thread: str, amount: int, cause: str, data: str | None) -> int:
    from machines.models.ids import ThreadId
    from machines.models.limits import MAX_REASON_LENGTH

    text = checked(cause, "--cause", MAX_REASON_LENGTH)
    settings = settings_from(data=data)
    from server.commands import balance as command
    from server.environment import system_environment

    changed = command.change_balance(settings, system_environment(), ThreadId(thread), amount, text)
    say(f"The balance is {perform(settings, changed)} tokens now.")
    return DONE
