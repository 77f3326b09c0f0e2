"""What psycopg raises, by what is to be done about it."""

from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from machines.models.errors import ChorusError, JournalError
from storage.journal.failures import journal_failure

_PASSING: Final = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock: the transaction was taken back, and may be tried again at once."""

_FATAL: Final = frozenset({"FATAL", "PANIC"})

_OF_THE_DATA: Final = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.ProgrammingError,
    psycopg.NotSupportedError,
)


class OutcomeUnknown(Exception):
    """The connection was lost after COMMIT was sent: what was written may be durable or not."""


def cause_of(error: BaseException) -> BaseException:
    """The driver's own exception."""
    if isinstance(error, OutcomeUnknown) and error.__cause__ is not None:
        error = error.__cause__
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def passes(error: BaseException) -> bool:
    """Whether the same may be taken at the next try, at once."""
    return getattr(cause_of(error), "sqlstate", None) in _PASSING


def ends_connection(error: BaseException) -> bool:
    """Whether the connection is of no more use: its server ended it, or it is no server's any more."""
    cause = cause_of(error)
    return isinstance(cause, psycopg.OperationalError) and (
        cause.sqlstate is None or cause.diag.severity_nonlocalized in _FATAL
    )


def is_of_the_data(error: BaseException) -> bool:
    """Whether what was written is to blame, and not the database."""
    cause = cause_of(error)
    if isinstance(cause, psycopg.Error):
        return isinstance(cause, _OF_THE_DATA)
    return not isinstance(cause, ChorusError | SQLAlchemyError)


def failure_of(error: Exception) -> JournalError:
    """What a failed commit means to its callers."""
    if isinstance(error, JournalError):
        return JournalError(
            error.message, retryable=error.retryable, certain=error.certain, detail=error.detail
        )
    certain = not isinstance(error, OutcomeUnknown)
    return journal_failure(cause_of(error), certain=certain)
