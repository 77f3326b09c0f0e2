"""The journal's file, for commands that have nothing to do where there is none."""

from server.commands.errors import CommandFailed
from server.settings import Settings
from storage.journal.sqlite import JOURNAL_FILE


def require_journal(settings: Settings, named_by: str = "--data or CHORUS_DATA") -> None:
    """Raises CommandFailed where the journal is a file, and not there. Blocks on the disk."""
    if settings.database_url is None and not (settings.data / JOURNAL_FILE).is_file():
        raise CommandFailed(
            f"There is no journal in {settings.data}; name the folder with {named_by}."
        )
