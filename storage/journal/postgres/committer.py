"""Carries out what waits on the one connection of this process that writes the database.

The connection holds the database (`storage.journal.postgres.locks`), shared with other servers or
alone. Where it is lost, so is the lock; a new connection must have it before anything is written. So
nothing is written beside what holds the database alone, whatever becomes of a connection. Nor into
tables that this version must not write: a new connection looks at them once it has the lock.

A failure is *certain* where nothing was written, and *in doubt* where the connection was lost after
COMMIT was sent. What is certain and may be taken at the next try is tried again at once.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import psycopg
from sqlalchemy import Connection, Engine

from machines.models.errors import ChorusError, JournalConflict, JournalError
from machines.models.journal import Batch
from storage.journal.failures import first_line
from storage.journal.postgres.failures import (
    OutcomeUnknown,
    cause_of,
    ends_connection,
    failure_of,
    is_of_the_data,
    passes,
)
from storage.journal.postgres.group import write_group
from storage.journal.postgres.locks import hold_database, holders
from storage.journal.postgres.lost_commits import EpochKeeper, NewestEntries
from storage.journal.prepared import PreparedBatch
from storage.journal.savepoints import attempt_each, refused
from storage.journal.writer import Done, Failed, Outcome, Piece, Work

log = logging.getLogger(__name__)

MAX_TRIES: Final = 5
"""Of a group whose failures are certain and pass."""

MOST_NAMED: Final = 20
"""Processes that one line names."""

T = TypeVar("T")


class StoreTaken(JournalError):
    """Another process holds the database, and one of the two would be alone with it."""

    def __init__(self, *, alone: bool, holders: Sequence[str] = ()) -> None:
        """
        Args:
            holders: Who holds it, as the database shows them.
        """
        whose = f" ({', '.join(holders[:MOST_NAMED])})" if holders else ""
        super().__init__(
            f"Servers or commands of chorus hold this database: stop them first{whose}."
            if alone
            else f"A command of chorus holds this database for itself: wait until it is done{whose}.",
            certain=True,
        )


def take_database(connection: Connection, *, alone: bool) -> None:
    """Hold the database until this connection ends. Raises StoreTaken where others forbid that."""
    if not hold_database(connection, alone=alone):
        raise StoreTaken(alone=alone, holders=holders(connection))


class PostgresCommitter:
    """A `Committer`. `hold` first."""

    def __init__(
        self,
        engine: Engine,
        origin: str,
        check: Callable[[Connection], None],
        on_taken: Callable[[JournalError], None],
        *,
        newest: NewestEntries,
        epochs: EpochKeeper,
        alone: bool,
    ) -> None:
        """
        Args:
            origin: Of what is announced.
            check: Looks at what was just held; raises JournalError where it must not be written.
            on_taken: Told, on the writer's thread, why the database cannot be held any more.
            newest: Takes note of what became durable.
            epochs: Sees whether a database that is connected to anew lost commits.
            alone: Whether no other process may hold the database meanwhile.
        """
        self._engine = engine
        self._origin = origin
        self._check = check
        self._alone = alone
        self._on_taken = on_taken
        self._newest = newest
        self._epochs = epochs
        self._connection: Connection | None = None
        """The one that holds the lock; None where it is to be made."""
        self._heard_of = 0
        """New epochs that others had told of when it was made."""

    def hold(self) -> Connection:
        """The connection that may write, made where there is none.

        Raises:
            StoreTaken: another process holds the database.
            JournalError: its tables are none that this process may write.
            DBAPIError: the database cannot be reached.
        """
        if self._connection is None:
            heard_of = self._epochs.heard_of
            connection = self._engine.connect()
            try:
                take_database(connection, alone=self._alone)
                self._check(connection)
                connection.commit()
                self._epochs.compare(connection)
            except BaseException:
                # In the pool the connection would keep its lock.
                connection.invalidate()
                connection.close()
                raise
            self._connection, self._heard_of = connection, heard_of
        return self._connection

    def commit(self, group: Sequence[Piece]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        prepared: dict[int, PreparedBatch] = {}
        works: dict[int, Work] = {}
        for place, piece in enumerate(group):
            if not isinstance(piece, Batch):
                works[place] = piece
                continue
            try:
                prepared[place] = PreparedBatch.of(piece)
            except ChorusError as error:
                outcomes[place] = Failed(error)
            except Exception as error:  # noqa: BLE001 - a fault in one batch is its caller's alone
                outcomes[place] = refused(error)
        outcomes.update(zip(prepared, self._write(list(prepared.values())), strict=True))
        outcomes.update(zip(works, self._carry_out(list(works.values())), strict=True))
        return [outcomes[place] for place in range(len(group))]

    def rest(self) -> None:
        """See that the connection is there, and have another where it was lost."""
        with suppress(Exception):
            self._trying(_ping)

    def let_go(self) -> None:
        """End the connection, and with it the lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()

    def _write(self, group: Sequence[PreparedBatch]) -> list[Outcome]:
        if not group:
            return []
        try:
            return self._trying(partial(self._append, group))
        except Exception as error:  # noqa: BLE001 - whatever it was, no caller may be told of success
            if not is_of_the_data(error):
                return _all_failed(error, len(group))
            if len(group) > 1:
                return [outcome for each in group for outcome in self._write([each])]
            if isinstance(cause_of(error), psycopg.IntegrityError):
                detail = first_line(cause_of(error))
                return [
                    Failed(JournalConflict("Another change came first: try again.", detail=detail))
                ]
            return [refused(cause_of(error))]

    def _append(self, group: Sequence[PreparedBatch], connection: Connection) -> list[Outcome]:
        self._epochs.require()
        outcomes = _in_pipeline(connection, group, self._origin)
        for prepared, outcome in zip(reversed(group), reversed(outcomes), strict=True):
            if isinstance(outcome, Done) and prepared.entries:
                self._newest.committed(prepared.entries[-1])
                break
        return outcomes

    def _carry_out(self, works: Sequence[Work]) -> list[Outcome]:
        if not works:
            return []
        try:
            return self._trying(lambda connection: _in_transaction(connection, works))
        except Exception as error:  # noqa: BLE001 - as above
            return _all_failed(error, len(works))

    def _held(self) -> Connection:
        """As `hold`, and made since the newest epoch was heard of; what must not be written any more is
        told."""
        if self._heard_of != self._epochs.heard_of:
            # It may lead to a database that lost its place to another.
            self.let_go()
        try:
            return self.hold()
        except StoreTaken as error:
            self._on_taken(error)
            # Who asked is a user, to whom processes and machines are not named.
            raise StoreTaken(alone=self._alone) from error
        except JournalError as error:
            self._on_taken(error)
            raise

    def _trying(self, write: Callable[[Connection], T]) -> T:
        """What `write` gives; it is called again where its failure is certain and passes."""
        for tried in range(1, MAX_TRIES + 1):
            try:
                return write(self._held())
            except Exception as error:
                lost = self._connection is not None and _is_lost(self._connection, error)
                if lost:
                    self.let_go()
                certain = not isinstance(error, OutcomeUnknown)
                if tried == MAX_TRIES or not certain or not (lost or passes(error)):
                    raise
                log.info("a commit is tried again: %s", first_line(cause_of(error)))
        raise AssertionError("the last try returns or raises")


def _in_pipeline(
    connection: Connection, group: Sequence[PreparedBatch], origin: str
) -> list[Outcome]:
    driver = _driver_of(connection)
    driver.autocommit = True  # of the client alone: BEGIN and COMMIT go with the statements
    try:
        return write_group(driver, group, origin)
    finally:
        if not driver.closed:
            driver.autocommit = False


def _in_transaction(connection: Connection, works: Sequence[Work]) -> list[Outcome]:
    with connection.begin() as transaction:
        outcomes = attempt_each(connection, works)
        try:
            transaction.commit()
        except Exception as error:
            if _is_lost(connection, error):
                raise OutcomeUnknown from error
            raise
    return outcomes


def _ping(connection: Connection) -> None:
    with connection.begin():
        connection.exec_driver_sql("SELECT 1")


def _driver_of(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine's driver is psycopg
    return driver


def _is_lost(connection: Connection, error: Exception) -> bool:
    """Whether the failure leaves no connection."""
    if connection.invalidated or ends_connection(error):
        return True
    return bool(_driver_of(connection).closed)


def _all_failed(error: Exception, how_many: int) -> list[Outcome]:
    failure = failure_of(error)
    log.error("a commit of %d batches failed: %s", how_many, failure.detail)
    # One error object each: they travel up through different callers.
    return [Failed(failure_of(error)) for _ in range(how_many)]
