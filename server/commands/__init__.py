"""What each command of `chorus` does, one module each; `server.cli` says how they are called.

A command takes settings and values that are checked already, prints, and gives an exit code. What
it cannot do it raises: `server.cli` turns that into one line. `CommandFailed` is for what no error
of the tree says.
"""

from pathlib import Path

from server.settings import Settings


class CommandFailed(Exception):
    """The command cannot be carried out; the text is the line that a person reads."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """2 where the options or the environment are to blame."""


def existing_journal(settings: Settings) -> Path:
    """The journal's file, for commands that have nothing to do where there is none.

    Raises CommandFailed. Blocks on the disk.
    """
    from storage.sql_journal import JOURNAL_FILE

    file = settings.data / JOURNAL_FILE
    if not file.is_file():
        raise CommandFailed(
            f"There is no journal in {settings.data}; name the folder with --data or CHORUS_DATA."
        )
    return file
