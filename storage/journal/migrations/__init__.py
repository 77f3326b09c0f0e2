"""Brings a journal's tables to this version of the program, by numbered Alembic migrations.

`upgrade` changes the tables, then `go_on` rewrites what they hold, until nothing is left. The migrations are the modules of `versions/`; Alembic runs them
through `env.py`. There is no alembic.ini: what it would say is said here.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from machines.models.errors import JournalError
from storage.journal.migrations import each_text_once
from storage.journal.schema import REVISION

__all__ = ["upgrade"]


def upgrade(connection: Connection) -> None:
    """Make or migrate the tables, inside the caller's transaction: all of it, or nothing.

    Raises:
        JournalError: the tables were written by a version of the program that this one does not know.
    """
    current = _current(connection)
    # Alembic costs a tenth of a second to import; most starts have nothing for it to do.
    if current == REVISION:
        return

    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, REVISION)
    except CommandError as error:
        raise JournalError(
            "The data folder was written by a newer version of chorus: install that version.",
            retryable=False,
            detail=f"schema revision {current}: {error}",
        ) from error


def go_on(connection: Connection) -> bool:
    """Rewrite some of the rows of an earlier version, inside the caller's transaction.

    What is durable need not be done again: a journal whose migration was interrupted goes on with it.

    Returns:
        Whether to call again; False where nothing is left to do.
    """
    return each_text_once.go_on(connection)


def is_done(connection: Connection) -> bool:
    """Whether the journal is as this version writes it."""
    return _current(connection) == REVISION and not each_text_once.is_begun(connection)


def rewritten(body: str) -> str:
    """The body of an entry of any version, as this one writes it. Raises ValueError where it is none."""
    return each_text_once.rewritten(body)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)
