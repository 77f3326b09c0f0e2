"""Brings a journal's tables to this version of the program, by numbered Alembic migrations.

`upgrade` changes the tables, then `go_on` rewrites what they hold, until nothing is left. The
migrations are the modules of `versions/`, each of which says what servers of the release before do
(`steps`); Alembic runs them through `env.py`. There is no alembic.ini: what it would say is said here.
"""

import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from machines.models.errors import JournalError
from storage.journal.migrations import each_text_once
from storage.journal.migrations.steps import Servers, Step
from storage.journal.schema import REVISION

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "OLDEST_REVISION",
    "SERVABLE",
    "UNFINISHED_COPY",
    "VERSIONS",
    "Migrated",
    "finish",
    "go_on",
    "is_rewriting",
    "pending",
    "rewritten",
    "state",
    "steps",
    "upgrade",
]

log = logging.getLogger(__name__)

VERSIONS: Final = (Path(__file__).parent / "versions",)
"""The folders of the migrations."""

OLDEST_REVISION: Final = "oldest_revision"
"""The name in `meta` of the oldest revision whose servers may read and write the tables; where it is
missing, that is the revision of the tables."""

UNFINISHED_COPY: Final = "unfinished_copy"
"""The name in `meta` that is there while another store is copied into this one."""


class Migrated(StrEnum):
    """What a journal's tables are to this version of the program."""

    EMPTY = "empty"
    OLDER = "older"
    """Also where the rewriting that `go_on` does is not finished."""
    CURRENT = "current"
    NEWER = "newer"
    AHEAD = "ahead"
    """Newer, and servers of this version may read and write it all the same."""
    UNFINISHED = "unfinished"
    """Another store is being copied into it."""


SERVABLE: Final = frozenset({Migrated.CURRENT, Migrated.AHEAD})
"""What this version may read and write."""


def state(connection: Connection) -> Migrated:
    """How far a journal is migrated."""
    current = _current(connection)
    if current is None:
        return Migrated.EMPTY
    if current > REVISION and (_noted(connection, OLDEST_REVISION) or current) > REVISION:
        return Migrated.NEWER
    if _is_unfinished(connection):
        return Migrated.UNFINISHED
    if current > REVISION:
        return Migrated.AHEAD
    done = current == REVISION and not is_rewriting(connection)
    return Migrated.CURRENT if done else Migrated.OLDER


def steps() -> tuple[Step, ...]:
    """Every revision of this version, in order."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    return tuple(Step.of(each.module) for each in script.walk_revisions())[::-1]


def pending(connection: Connection) -> tuple[Step, ...]:
    """The revisions that a journal lacks."""
    current = _current(connection) or ""
    return tuple(each for each in steps() if current < each.revision <= REVISION)


def upgrade(connection: Connection, to: str | None = None) -> None:
    """Make or migrate the tables, inside the caller's transaction: all of it, or nothing.

    Args:
        to: The revision to stop at; without it, that of this version.

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
    from alembic.util import CommandError

    config = _config()
    config.attributes["connection"] = connection
    to = to or REVISION
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise JournalError(
            "The journal was written by a newer version of chorus: install that version.",
            retryable=False,
            detail=f"schema revision {current}: {error}",
        ) from error
    stopping = [each.revision for each in steps() if each.servers is Servers.STOP]
    _note_oldest(connection, max(each for each in stopping if each <= to))


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


def is_rewriting(connection: Connection) -> bool:
    """Whether `go_on` has something left to do."""
    return each_text_once.is_begun(connection)


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


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    options = {
        "script_location": str(Path(__file__).parent),
        "path_separator": "newline",
        "version_locations": "\n".join(map(str, VERSIONS)),
    }
    for name, value in options.items():
        config.set_main_option(name, value.replace("%", "%%"))
    return config


def _is_unfinished(connection: Connection) -> bool:
    return _noted(connection, UNFINISHED_COPY) is not None


def _noted(connection: Connection, name: str) -> str | None:
    statement = text("SELECT value FROM meta WHERE name = :name")
    found: str | None = connection.scalar(statement, {"name": name})
    return found


def _note_oldest(connection: Connection, revision: str) -> None:
    connection.execute(text("DELETE FROM meta WHERE name = :name"), {"name": OLDEST_REVISION})
    connection.execute(
        text("INSERT INTO meta (name, value) VALUES (:name, :revision)"),
        {"name": OLDEST_REVISION, "revision": revision},
    )


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)
