"""`chorus migrate`: brings a PostgreSQL database to this version's tables."""

from collections.abc import Callable

from server.commands.errors import WRONG_USE, CommandFailed
from server.environment import Environment
from server.settings import Settings, variable
from server.stores import address_of
from storage.journal.postgres.journal import migrate


def run(settings: Settings, environment: Environment, *, say: Callable[[str], None]) -> int:
    """Migrate; several may do so at once. Gives the exit code.

    Raises:
        CommandFailed: no database is named.
        JournalError: servers run on it, it is of a newer version, or it cannot be reached.
    """
    if settings.database_url is None:
        raise CommandFailed(
            f"{variable('database_url')} is not set; the journal of a folder is migrated by the "
            "server that opens it.",
            exit_code=WRONG_USE,
        )
    done = migrate(address_of(settings.database_url), environment.new_id)
    place = settings.journal_place
    say(f"{place} is migrated." if done else f"{place} is of this version already.")
    return 0
