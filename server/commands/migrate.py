"""`chorus migrate`: brings the journal to this version's tables."""

from collections.abc import Callable
from typing import assert_never

from server.commands.journal_file import require_journal
from server.environment import Environment
from server.settings import Settings
from server.stores import address_of
from storage.journal import sqlite
from storage.journal.migrations import Migrated
from storage.journal.sqlite import JOURNAL_FILE


def run(settings: Settings, environment: Environment, *, say: Callable[[str], None]) -> int:
    """Migrate; several may do so at once to a database. Gives the exit code.

    Raises:
        CommandFailed: there is no journal in the folder.
        JournalError: servers run on it that must stop, it is of a newer version, or it cannot be opened.
    """
    if settings.database_url is None:
        require_journal(settings)
        before = sqlite.migrate(settings.data / JOURNAL_FILE, environment.new_id)
    else:
        # The driver is loaded where it is needed alone.
        from storage.journal.postgres.journal import migrate

        before = migrate(address_of(settings.database_url), environment.new_id)
    say(f"{settings.journal_place} is {_told(before)}.")
    return 0


def _told(before: Migrated) -> str:
    match before:
        case Migrated.CURRENT:
            return "of this version already"
        case Migrated.AHEAD:
            return "of a newer version, beside whose servers those of this one go on"
        case Migrated.EMPTY | Migrated.OLDER | Migrated.NEWER | Migrated.UNFINISHED:
            return "migrated"
        case never:
            assert_never(never)
