"""`chorus migrate`: brings the journal to this version's tables."""

from collections.abc import Callable

from server.commands.journal_file import require_journal
from server.environment import Environment
from server.settings import Settings
from server.stores import address_of
from storage.journal import sqlite
from storage.journal.sqlite import JOURNAL_FILE


def run(settings: Settings, environment: Environment, *, say: Callable[[str], None]) -> int:
    """Migrate; several may do so at once to a database. Gives the exit code.

    Raises:
        CommandFailed: there is no journal in the folder.
        JournalError: servers run on it, it is of a newer version, or it cannot be opened.
    """
    if settings.database_url is None:
        require_journal(settings)
        done = sqlite.migrate(settings.data / JOURNAL_FILE, environment.new_id)
    else:
        # The driver is loaded where it is needed alone.
        from storage.journal.postgres.journal import migrate

        done = migrate(address_of(settings.database_url), environment.new_id)
    place = settings.journal_place
    say(f"{place} is migrated." if done else f"{place} is of this version already.")
    return 0
