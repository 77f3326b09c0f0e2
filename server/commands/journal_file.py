"""The journal's file, for commands that have nothing to do where there is none."""

from pathlib import Path

from server.commands.errors import CommandFailed
from server.settings import Settings
from storage.journal.sqlite import JOURNAL_FILE


def existing_journal(settings: Settings) -> Path:
    """The journal's file in the data folder.

    Raises CommandFailed. Blocks on the disk.
    """
    file = settings.data / JOURNAL_FILE
    if not file.is_file():
        raise CommandFailed(
            f"There is no journal in {settings.data}; name the folder with --data or CHORUS_DATA."
        )
    return file
