"""Group commit: one thread that turns everything that waits into one durable transaction.

A durable commit costs a wait for the disk, whatever it holds. So the thread takes all the pieces that
have come in while it was busy, lets a `Committer` make them durable together, and only then answers.
How that is done is the database's own way: `storage.journal.savepoints` for SQLite,
`storage.journal.postgres.committer` for PostgreSQL.

    submit --> queue --> [ piece | piece | piece ] --> Committer.commit --> answers
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from machines.models.errors import JournalError
from machines.models.journal import Batch

log = logging.getLogger(__name__)

Work = Callable[[Connection], Any]
"""Writes, and returns what its caller waits for."""

Piece = Batch | Work
"""What a caller wants to have durable."""

MAX_PIECES: Final = 256
"""Pieces in one transaction; bounds how long the first of them waits for the last."""


@dataclass(frozen=True, slots=True)
class Done:
    """A piece that is durable."""

    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A piece of which nothing may be relied on."""

    error: Exception


Outcome = Done | Failed


class Committer(Protocol):
    """Makes pieces durable. Called on the writer's thread alone."""

    def commit(self, group: Sequence[Piece]) -> list[Outcome]:
        """What became of each piece, in order; nothing is raised."""

    def rest(self) -> None:
        """Nothing has come for a while."""

    def let_go(self) -> None:
        """Nothing comes any more: give back what is held."""


@dataclass(frozen=True, slots=True)
class _Job:
    piece: Piece
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


_Answers = list[tuple[asyncio.Future[Any], Outcome]]


class GroupCommitWriter:
    """Has a committer carry out pieces on a thread. Call `start`, then `submit`, then `close`."""

    def __init__(
        self,
        committer: Committer,
        *,
        rest_seconds: float | None = None,
        most_waiting: int | None = None,
    ) -> None:
        """
        Args:
            rest_seconds: How long nothing comes before the committer hears of it; None never tells.
            most_waiting: Pieces that may wait; None sets no bound.
        """
        self._committer = committer
        self._rest_seconds = rest_seconds
        self._most_waiting = most_waiting
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._commits = 0

    @property
    def commits(self) -> int:
        """Groups of which anything became durable so far."""
        return self._commits

    def start(self) -> None:
        """Start the thread; it is a daemon, since a killed process is a case that is provided for."""
        self._thread = Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def submit(self, piece: Piece) -> Any:
        """What `piece` results in, once everything that it wrote is durable.

        Who stops waiting does not stop the work: it may have become durable all the same.

        Raises:
            JournalConflict: it lost a race, or wrote a row whose key is taken.
            JournalError: what it wrote may not be relied on; unless the error is `certain`, it may
                be durable all the same.
        """
        if self._thread is None:
            raise JournalError("The journal is closed.", retryable=False)
        if self._most_waiting is not None and self._queue.qsize() >= self._most_waiting:
            raise JournalError("The journal has too much to write: try again later.", certain=True)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._queue.put(_Job(piece, loop, answer))
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
                outcomes = self._committer.commit([job.piece for job in group])
                self._commits += any(isinstance(outcome, Done) for outcome in outcomes)
                self._answer(group, outcomes)
            if last:
                self._committer.let_go()
                return

    def _gather(self) -> tuple[list[_Job], bool]:
        """Everything that waits, in order, at least one; and whether nothing comes after it."""
        group: list[_Job] = []
        job = self._next()
        while job is not None:
            group.append(job)
            if len(group) == MAX_PIECES:
                return group, False
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _next(self) -> _Job | None:
        while True:
            try:
                return self._queue.get(timeout=self._rest_seconds)
            except Empty:
                self._committer.rest()

    @staticmethod
    def _answer(group: list[_Job], outcomes: list[Outcome]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, _Answers] = {}
        for job, outcome in zip(group, outcomes, strict=True):
            by_loop.setdefault(job.loop, []).append((job.answer, outcome))
        for loop, answers in by_loop.items():
            try:
                loop.call_soon_threadsafe(_deliver, answers)
            except RuntimeError:
                # The loop is closed, so no caller waits for these any more.
                log.debug("%d answers of the journal came too late", len(answers))


def _deliver(answers: _Answers) -> None:
    """On the loop: give each caller that still waits its answer."""
    for future, outcome in answers:
        if future.done():  # Its caller was cancelled.
            continue
        match outcome:
            case Done(result):
                future.set_result(result)
            case Failed(error):
                future.set_exception(error)
