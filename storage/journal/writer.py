"""Group commit: one thread that turns everything that waits into one durable transaction.

A durable commit costs a wait for the disk, whatever it holds. So the thread takes all the work that
has come in while it was busy, gives each piece a savepoint of its own (a piece that is alone has the
transaction to itself), commits once, and only then answers. Nothing here knows what is written: work
is a function of a connection.

    submit --> queue --> [ savepoint | savepoint | savepoint ] --> commit --> answers

What one piece of work does wrong takes back that piece alone. What the database does wrong takes
back the whole group, and no caller in it is told of success.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from machines.models.errors import ChorusError, JournalConflict, JournalError
from storage.journal.dialect import journal_failure
from storage.journal.statements import Statement

log = logging.getLogger(__name__)

T = TypeVar("T")

Work = Callable[[Connection], Any]
"""A piece of work: writes, and returns what its caller waits for."""

MAX_BATCHES: Final = 256
"""Pieces of work in one transaction; bounds how long the first of them waits for the last."""

_SAVE: Final = Statement(text("SAVEPOINT piece"))
_KEEP: Final = Statement(text("RELEASE SAVEPOINT piece"))
_TAKE_BACK: Final = Statement(text("ROLLBACK TO SAVEPOINT piece"))


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    work: Callable[[Connection], T]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[T]


@dataclass(frozen=True, slots=True)
class _Done:
    result: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


_Outcome = _Done | _Failed
_Answers = list[tuple[asyncio.Future[Any], _Outcome]]


class GroupCommitWriter:
    """Runs work on the one connection that writes. Call `start`, then `submit`, then `close`."""

    def __init__(self, engine: Engine, *, keeps_connection: bool) -> None:
        """
        Args:
            keeps_connection: Whether one connection serves all groups. A database server may end
                one that lies idle: there the pool is asked for each group, and looks first.
        """
        self._engine = engine
        self._keeps_connection = keeps_connection
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._connection: Connection | None = None
        """The writer's own while it goes well; of the thread alone."""
        self._commits = 0

    @property
    def commits(self) -> int:
        """Durable transactions so far."""
        return self._commits

    def start(self) -> None:
        """Start the thread; it is a daemon, since a killed process is a case that is provided for."""
        self._thread = Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, once everything that it wrote is durable.

        Who stops waiting does not stop the work: it may have become durable all the same.

        Raises:
            JournalConflict: `work` raised it, or wrote a row whose key is taken.
            JournalError: what `work` wrote may not be relied on; where the commit itself failed, it may
                be durable all the same.
        """
        if self._thread is None:
            raise JournalError("The journal is closed.", retryable=False)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Job(work, loop, answer))
        return await answer

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    # On the writer's thread

    def _run(self) -> None:
        while True:
            group, last = self._gather()
            if group:
                self._answer(group, self._commit(group))
            if last or not self._keeps_connection:
                self._let_go()
            if last:
                return

    def _gather(self) -> tuple[list[_Job[Any]], bool]:
        """Everything that waits, in order, at least one; and whether nothing comes after it."""
        group: list[_Job[Any]] = []
        job = self._queue.get()
        while job is not None:
            group.append(job)
            if len(group) == MAX_BATCHES:
                return group, False
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Job[Any]]) -> list[_Outcome]:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            outcomes = carry_out(self._connection, [job.work for job in group])
        except Exception as error:  # noqa: BLE001 - whatever it was, no caller may be told of success
            self._let_go()
            failure = journal_failure(error)
            log.error("a commit of %d batches failed: %s", len(group), failure.detail)  # noqa: TRY400
            # One error object each: they travel up through different callers.
            return [_Failed(journal_failure(error)) for _ in group]
        self._commits += any(isinstance(outcome, _Done) for outcome in outcomes)
        return outcomes

    def _let_go(self) -> None:
        """Give the connection back to the pool: what it was in the middle of is taken back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    @staticmethod
    def _answer(group: list[_Job[Any]], outcomes: list[_Outcome]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, _Answers] = {}
        for job, outcome in zip(group, outcomes, strict=True):
            by_loop.setdefault(job.loop, []).append((job.answer, outcome))
        for loop, answers in by_loop.items():
            try:
                loop.call_soon_threadsafe(_deliver, answers)
            except RuntimeError:
                # The loop is closed, so no caller waits for these any more.
                log.debug("%d answers of the journal came too late", len(answers))


def carry_out(connection: Connection, group: Sequence[Work]) -> list[_Outcome]:
    """All of the group in one transaction. Raises what concerns the whole of it."""
    if len(group) == 1:
        with connection.begin() as transaction:
            outcome = _attempt(connection, group[0])
            if isinstance(outcome, _Failed):
                transaction.rollback()
        return [outcome]
    with connection.begin():
        return [_saved(connection, work) for work in group]


def _saved(connection: Connection, work: Work) -> _Outcome:
    """`_attempt` in a savepoint of its own."""
    _SAVE.run(connection, {})
    outcome = _attempt(connection, work)
    if isinstance(outcome, _Failed):
        _TAKE_BACK.run(connection, {})
    _KEEP.run(connection, {})
    return outcome


def _attempt(connection: Connection, work: Work) -> _Outcome:
    """Run `work`; where it failed, what it wrote is still there. Raises what concerns all."""
    try:
        return _Done(work(connection))
    except IntegrityError as error:
        return _Failed(
            # PostgreSQL names the values in further lines; they stay in the journal.
            JournalConflict(
                "Another change came first: try again.", detail=str(error.orig).partition("\n")[0]
            )
        )
    except (DataError, ProgrammingError) as error:
        return _refused(error)
    except DBAPIError:
        raise
    except ChorusError as error:
        return _Failed(error)
    except Exception as error:  # noqa: BLE001 - a fault in one piece of work is its caller's alone
        return _refused(error)


def _refused(error: Exception) -> _Failed:
    log.error("the journal cannot write a batch", exc_info=error)
    return _Failed(
        JournalError(
            "The journal cannot store this.",
            retryable=False,
            detail=f"{type(error).__name__}: {error}",
        )
    )


def _deliver(answers: _Answers) -> None:
    """On the loop: give each caller that still waits its answer."""
    for future, outcome in answers:
        if future.done():  # Its caller was cancelled.
            continue
        match outcome:
            case _Done(result):
                future.set_result(result)
            case _Failed(error):
                future.set_exception(error)
