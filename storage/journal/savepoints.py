"""Many pieces of work in one transaction, each in a savepoint of its own.

What one piece does wrong takes back that piece alone. What the database does wrong takes back the
whole group, and no caller in it is told of success. A piece that is alone has the transaction to
itself.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from machines.models.errors import ChorusError, JournalConflict, JournalError
from machines.models.journal import Batch
from storage.journal.appender import BatchAppender
from storage.journal.failures import first_line, journal_failure
from storage.journal.statements import Statement
from storage.journal.writer import Done, Failed, Outcome, Piece, Work

log = logging.getLogger(__name__)

_SAVE: Final = Statement(text("SAVEPOINT piece"))
_KEEP: Final = Statement(text("RELEASE SAVEPOINT piece"))
_TAKE_BACK: Final = Statement(text("ROLLBACK TO SAVEPOINT piece"))


class SavepointCommitter:
    """Carries out groups on the one connection that writes; a `Committer`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._appender = BatchAppender(engine.dialect.name)
        self._connection: Connection | None = None
        """Kept while it goes well."""

    def commit(self, group: Sequence[Piece]) -> list[Outcome]:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            return carry_out(self._connection, [self._work_of(piece) for piece in group])
        except Exception as error:  # noqa: BLE001 - whatever it was, no caller may be told of success
            self.let_go()
            failure = journal_failure(error)
            log.error("a commit of %d batches failed: %s", len(group), failure.detail)  # noqa: TRY400
            # One error object each: they travel up through different callers.
            return [Failed(journal_failure(error)) for _ in group]

    def rest(self) -> None:
        """Nothing to do: a file does not go away."""

    def let_go(self) -> None:
        """Give the connection back to the pool: what it was in the middle of is taken back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _work_of(self, piece: Piece) -> Work:
        return partial(self._append, batch=piece) if isinstance(piece, Batch) else piece

    def _append(self, connection: Connection, batch: Batch) -> object:
        return self._appender.append(connection, batch)


def carry_out(connection: Connection, group: Sequence[Work]) -> list[Outcome]:
    """All of the group in one transaction. Raises what concerns the whole of it."""
    if len(group) == 1:
        with connection.begin() as transaction:
            outcome = _attempt(connection, group[0])
            if isinstance(outcome, Failed):
                transaction.rollback()
        return [outcome]
    with connection.begin():
        return attempt_each(connection, group)


def attempt_each(connection: Connection, group: Sequence[Work]) -> list[Outcome]:
    """Each in a savepoint of its own, in the transaction under way. Raises as `carry_out`."""
    return [_saved(connection, work) for work in group]


def refused(error: BaseException) -> Failed:
    """A piece that cannot be written, now or ever; the log has why."""
    log.error("the journal cannot write a batch", exc_info=error)
    return Failed(
        JournalError(
            "The journal cannot store this.",
            retryable=False,
            detail=f"{type(error).__name__}: {error}",
        )
    )


def _saved(connection: Connection, work: Work) -> Outcome:
    """`_attempt` in a savepoint of its own."""
    _SAVE.run(connection, {})
    outcome = _attempt(connection, work)
    if isinstance(outcome, Failed):
        _TAKE_BACK.run(connection, {})
    _KEEP.run(connection, {})
    return outcome


def _attempt(connection: Connection, work: Work) -> Outcome:
    """Run `work`; where it failed, what it wrote is still there. Raises what concerns all."""
    try:
        return Done(work(connection))
    except IntegrityError as error:
        return Failed(
            JournalConflict("Another change came first: try again.", detail=first_line(error.orig))
        )
    except (DataError, ProgrammingError) as error:
        return refused(error)
    except DBAPIError:
        raise
    except ChorusError as error:
        return Failed(error)
    except Exception as error:  # noqa: BLE001 - a fault in one piece of work is its caller's alone
        return refused(error)
