"""What a failed database means: the driver's exceptions become errors of the tree.

Both drivers are known by what their exceptions carry (`sqlite_errorcode`, `sqlstate`), so neither is
imported here. The database's own words go to the log alone, and of them the first line: in further
ones PostgreSQL names the values of a row.
"""

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError

from machines.models.errors import JournalError

_LOCKED: Final = "The journal is locked by another program."

_OF_SQLITE: Final = {
    sqlite3.SQLITE_FULL: "The disk is full: nothing more can be stored.",
    sqlite3.SQLITE_IOERR: "The disk failed to read or write.",
    sqlite3.SQLITE_READONLY: "The data folder cannot be written: check its permissions.",
    sqlite3.SQLITE_PERM: "The data folder cannot be written: check its permissions.",
    sqlite3.SQLITE_CANTOPEN: "The journal cannot be opened: check the data folder's permissions.",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
}
DAMAGED_VALUE: Final = "The journal holds a damaged value: run `chorus verify --repair`."

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_OF_POSTGRESQL: Final = {
    "53100": "The database's disk is full: nothing more can be stored.",
    "53200": "The database is out of memory.",
    "53300": "The database takes no more connections.",
    "25006": "The database can only be read: check that it is the primary.",
    "42501": "The database's user lacks a right: let it own the tables.",
    "55P03": _LOCKED,
    "57014": "The database took too long.",
    "XX001": "The database is damaged: restore it from a backup.",
    "XX002": "The database is damaged: rebuild its indices, or restore it from a backup.",
}
"""By SQLSTATE; see PostgreSQL's appendix A."""

_OF_CONNECTING: Final = (
    (
        ("authentication failed", "no password supplied", "role ", "pg_hba.conf"),
        "The database refuses this user or password: check its URL.",
    ),
    (
        ("database ",),
        "There is no such database on this server: make it, or check its URL.",
    ),
    (
        ("starting up", "shutting down", "in recovery", "terminating connection"),
        "The database is starting or stopping: try again later.",
    ),
    (
        ("too many clients", "connection slots", "too many connections"),
        "The database takes no more connections.",
    ),
    (
        ("invalid connection option", "invalid uri", "invalid integer value", "invalid sslmode"),
        "The database's URL has an option that PostgreSQL does not know.",
    ),
    (
        ("closed the connection", "connection is closed", "connection is lost", "consuming input"),
        "The connection to the database was lost.",
    ),
)
"""What an exception without an SQLSTATE is, by words in it. libpq tells why it has no connection in
the server's words alone; where they are in another language, the general sentence is given."""

_UNREACHABLE: Final = "The database cannot be reached: check that it runs, and its URL."


def journal_failure(error: BaseException, *, certain: bool = False) -> JournalError:
    """What a failed statement means to a user.

    Args:
        certain: Whether nothing of what was being written is durable.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    detail = f"{type(cause).__name__}: {first_line(cause)}"
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        code &= 0xFF  # The primary code; the rest tells its varieties apart.
        if code in _DAMAGE:
            return JournalError(
                "The journal file is damaged: restore the data folder from a backup, or run "
                "`chorus verify --repair`, which keeps the file and saves what is whole of it.",
                retryable=False,
                detail=detail,
            )
        if code in _OF_SQLITE:
            return JournalError(_OF_SQLITE[code], detail=detail)
    if isinstance(cause, sqlite3.OperationalError) and "decode" in str(cause):
        # The driver's own: a text that is no UTF-8 any more.
        return JournalError(DAMAGED_VALUE, retryable=False, detail=detail)
    state = getattr(cause, "sqlstate", None)
    message = _OF_POSTGRESQL.get(str(state), "The journal is not available.")
    if state is None and type(cause).__module__.startswith("psycopg"):
        message = _why_no_connection(str(cause).lower())
    return JournalError(message, certain=certain, detail=detail)


def _why_no_connection(words: str) -> str:
    for parts, message in _OF_CONNECTING:
        if any(part in words for part in parts):
            return message
    return _UNREACHABLE


def first_line(cause: BaseException | None) -> str:
    """The driver's words without the values of a row; sqlite3 names one where it is no UTF-8."""
    return str(cause).partition("\n")[0].partition(" with text ")[0]
