"""Brings a journal's tables to this version of the program, by numbered Alembic migrations.

`upgrade` changes the tables, then `go_on` rewrites what they hold, until nothing is left. The
migrations are the modules of `versions/`; Alembic runs them through `env.py`. There is no alembic.ini:
what it would say is said here.
"""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from machines.models.errors import JournalError
from storage.journal.migrations import each_text_once
from storage.journal.schema import REVISION

__all__ = [
    "UNFINISHED_COPY",
    "Migrated",
    "finish",
    "go_on",
    "is_done",
    "rewritten",
    "state",
    "upgrade",
]

log = logging.getLogger(__name__)

UNFINISHED_COPY: Final = "unfinished_copy"
"""The name in `meta` that is there while another store is copied into this one."""


class Migrated(StrEnum):
    """What a journal's tables are to this version of the program."""

    EMPTY = "empty"
    OLDER = "older"
    """Also where the rewriting that `go_on` does is not finished."""
    CURRENT = "current"
    NEWER = "newer"
    UNFINISHED = "unfinished"
    """Another store is being copied into it."""


def state(connection: Connection) -> Migrated:
    """How far a journal is migrated."""
    current = _current(connection)
    if current is None:
        return Migrated.EMPTY
    if current > REVISION:
        return Migrated.NEWER
    if _is_unfinished(connection):
        return Migrated.UNFINISHED
    return Migrated.CURRENT if is_done(connection) else Migrated.OLDER


def upgrade(connection: Connection) -> None:
    """Make or migrate the tables, inside the caller's transaction: all of it, or nothing.

    Raises:
        JournalError: the tables were written by a version of the program that this one does not know,
            or another store is being copied into them.
    """
    current = _current(connection)
    if current is not None and _is_unfinished(connection):
        raise unfinished()
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
            "The journal was written by a newer version of chorus: install that version.",
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


def finish(connection: Connection) -> None:
    """`go_on` until nothing is left, some rows at a time, each time durably."""
    with connection.begin():
        left = go_on(connection)
    if left:
        log.warning("the entries of an earlier version are rewritten; this is done once")
    while left:
        with connection.begin():
            left = go_on(connection)


def is_done(connection: Connection) -> bool:
    """Whether the journal is as this version writes it."""
    return _current(connection) == REVISION and not each_text_once.is_begun(connection)


def rewritten(body: str) -> str:
    """The body of an entry of any version, as this one writes it. Raises ValueError where it is none."""
    return each_text_once.rewritten(body)


def unfinished() -> JournalError:
    """Why a store is not opened that another one is being copied into."""
    return JournalError(
        "It holds an unfinished copy: go on with `chorus copy`, or remove it.",
        retryable=False,
        certain=True,
    )


def _is_unfinished(connection: Connection) -> bool:
    found = connection.scalar(
        text("SELECT 1 FROM meta WHERE name = :name"), {"name": UNFINISHED_COPY}
    )
    return found is not None


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)
