"""The memory follows the journal, and answers searches with the rights of the caller.

Memory tasks are rows beside the journal, written with the entries that ask for them. They are
carried out here in order: embed (each text once, vectors are kept beside the journal), store, and
only then is the row gone. While the memory or the embedder is away the rows wait; conversations go
on. Searches never give an invented result: they raise where they could not search.

A memory that stalls delays a step by `CATCH_UP_SECONDS` and `SEARCH_SECONDS` at most. Once the stall is
known there is no delay: searches are refused at once until a probe is answered
(`server.memory.health`). `MemoryService.run`, which feeds the memory, probes too.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import assert_never

from machines.models import errors
from machines.models.errors import ChorusError, StorageError
from machines.models.ids import MessageId, PointId, PublicKey, ThreadId
from machines.models.journal import (
    ForgetMessage,
    IndexMessage,
    MemoryTask,
    QueuedTask,
)
from machines.models.outputs import Prior
from machines.models.thread import Thread, Visibility
from server.concurrency.retry import until_done
from server.memory.embeddings import Embedder
from server.memory.health import MemoryHealth
from server.memory.opening import COMPARED, REBUILD
from server.memory.points import PointMaker, points_of
from storage.journal.epochs import COMMITS_LOST
from storage.journal.port import Journal
from storage.memory.memory import Memory
from storage.memory.points import Collection as PointCollection
from storage.memory.points import LinkPayload, MessagePayload, Point, message_point_id
from storage.memory.values import Delete, Failure, Search, SearchScope, Store, Success, Write

log = logging.getLogger(__name__)

BATCH = 32
"""Tasks carried out at once: a query waits behind one batch at most."""

CLAIM_SECONDS = 60.0
"""How long no other server carries out what this one took: a batch of texts, embedded one by one."""

LOOK_SECONDS = 1.0
"""Where servers share the journal: between two looks for what others left undone."""

PROGRESS_SECONDS = 0.05
"""There too: between two looks at whether what a search waits for was done elsewhere."""

CATCH_UP_SECONDS = 2.0
"""How long a search waits for the memory to hold what its thread holds."""

SEARCH_SECONDS = 5.0
"""The longest that a search may take, embedding the query included; a memory that gives no answer
in this time counts as away."""

FLOOR = 0.15
"""Closeness below which a run recalls nothing: it would only take a place in the request."""

PROBE = "Is anybody there?"
"""What is searched for, to see whether the memory and the embedder answer."""

DROPPED = 500
"""Points that are taken out at once."""

RETRY_SECONDS = 0.5
"""The first wait while the memory or the embedder is away."""


class Feeding(Enum):
    """How far the memory follows."""

    KEEPING_UP = auto()
    LAGGING = auto()
    """The last try to feed it failed."""


class Filling(Enum):
    """Whether the memory must be filled from the beginning."""

    UNKNOWN = auto()
    """The journal's note says."""
    DUE = auto()
    """It must, and the journal has no note of it yet."""
    DONE = auto()


class MemoryService:
    """Feeds the memory, and searches it."""

    def __init__(self, journal: Journal, memory: Memory, embedder: Embedder) -> None:
        self._journal = journal
        self._memory = memory
        self._embedder = embedder
        self._points = PointMaker(journal, embedder)
        self._asked = asyncio.Event()
        self._health = MemoryHealth(on_loss=self._asked.set)
        self._progress = asyncio.Condition()
        self._filling = Filling.UNKNOWN
        self._feeding = Feeding.KEEPING_UP
        self.waiting = 0
        """Tasks seen waiting when it was last looked at, at most one batch."""

    @property
    def away(self) -> bool:
        """Whether searches are refused, since the last one was not answered."""
        return self._health.away

    # Feeding

    def wake(self) -> None:
        """Tasks were made durable."""
        self._asked.set()

    def look_again(self) -> None:
        """The journal lost commits: the memory may hold points of what is no more."""
        self._filling = Filling.UNKNOWN
        self.wake()

    async def run(self) -> None:
        """Carry out what waits, until cancelled."""
        while True:
            worked = await until_done(
                self._carry_out_some,
                passing=lambda error: isinstance(error, Exception),
                first_wait=RETRY_SECONDS,
                on_failure=self._fall_behind,
            )
            self._feeding = Feeding.KEEPING_UP
            async with self._progress:
                self._progress.notify_all()
            if not worked:
                await self._rest()

    async def _rest(self) -> None:
        """Return once something may be to be done: others may leave it undone."""
        if not self._journal.shared:
            await self._asked.wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._asked.wait()

    def _fall_behind(self, error: BaseException) -> None:
        self._feeding = Feeding.LAGGING
        if isinstance(error, ChorusError):
            log.warning("the memory lags behind: %s", error.message)
        else:
            log.error("the memory could not be fed", exc_info=error)

    async def _carry_out_some(self) -> bool:
        """One batch; False where nothing waited."""
        self._asked.clear()
        if self._feeding is Feeding.LAGGING or self.away:
            await self._probe()
        await self._begin_anew_if_due()
        tasks = await self._journal.claim_tasks(limit=BATCH, seconds=CLAIM_SECONDS)
        self.waiting = len(tasks)
        if not tasks:
            return False
        try:
            await self._carry_out_all(tasks)
        except BaseException:
            # Nobody must wait for the end of a claim; where the journal is away, it ends by itself.
            with suppress(StorageError):
                await self._journal.release_tasks([task.position for task in tasks])
            raise
        return True

    async def _carry_out_all(self, tasks: Sequence[QueuedTask]) -> None:
        try:
            await self._carry_out(tasks)
        except ChorusError as error:
            if error.retryable:
                raise
            for task in tasks:
                await self._carry_out_or_drop(task)

    async def _probe(self) -> None:
        """Raises ChorusError where the memory does not answer, or the embedder does not embed."""
        async with self._health.probed(SEARCH_SECONDS):
            try:
                (vector,) = await self._embedder.embed([PROBE])
                scope = SearchScope(include_public=True)
                await self._found(Search(vector=vector, scope=scope, limit=1))
            except errors.ConnectionError:
                raise
            except errors.StorageError as error:
                log.info("the memory answers, and refuses a probe: %s", error.message)

    async def _carry_out_or_drop(self, task: QueuedTask) -> None:
        """One task that must not hold up the others where it can never succeed."""
        try:
            await self._carry_out((task,))
        except ChorusError as error:
            if error.retryable:
                raise
            # A key that is refused is not the task's fault: then the probe raises, and it waits.
            await self._probe()
            log.error("a memory task was dropped (`chorus verify` names it): %s", error.message)  # noqa: TRY400 - the reason is the message; a trace would add paths
            await self._journal.finish_tasks((task.position,))

    async def _carry_out(self, tasks: Sequence[QueuedTask]) -> None:
        points = await self._points.of_tasks(tasks)
        if points:
            await self._write(Store(points=tuple(points)))
        # After what was to be stored: what counts no more never counts again.
        forgotten = [each.task for each in tasks if isinstance(each.task, ForgetMessage)]
        if forgotten:
            await self._forget(each.message_id for each in forgotten)
        if self._journal.shared:
            await self._take_back(points)
        await self._journal.finish_tasks([task.position for task in tasks])

    async def _take_back(self, points: Sequence[Point]) -> None:
        """Forget what is approved no more: another server may have forgotten it before it was stored
        here."""
        stored: set[MessageId] = set()
        for point in points:
            match point.payload:
                case MessagePayload(message_id=message_id):
                    stored.add(message_id)
                case LinkPayload(prompt_message_id=prompt_id, prior_message_id=prior_id):
                    stored |= {prompt_id, prior_id}
                case _:
                    assert_never(point.payload)
        if stored:
            await self._forget(stored - await self._journal.approved_among(stored))

    async def _forget(self, message_ids: Iterable[MessageId]) -> None:
        """Take messages out of the memory, and the links that end at them. Raises StorageError."""
        ids = tuple(map(message_point_id, message_ids))
        if ids:
            await self._write(Delete(collection=PointCollection.MESSAGES, ids=ids))

    async def _write(self, operation: Write) -> None:
        """Raises StorageError."""
        match await self._memory.execute(operation):
            case Failure(error=error):
                raise error
            case Success():
                pass

    async def _begin_anew_if_due(self) -> None:
        """Where collections were lost and made anew, ask for everything that the journal has.

        The note outlives a crash in the middle; it goes once everything waits again. Of servers that
        share the journal, and so the note, one does it.
        """
        if self._memory.take_made_anew():
            self._filling = Filling.DUE
        if self._filling is Filling.DUE:
            await self._journal.note(REBUILD, "due")
            self._filling = Filling.UNKNOWN
        if self._filling is Filling.UNKNOWN:
            # Before it is looked: what is lost meanwhile is to be looked for again.
            self._filling = Filling.DONE
            try:
                if await self._is_due():
                    async with self._journal.alone_with_memory():
                        if await self._is_due():
                            await self._begin_anew()
            except BaseException:
                self._filling = Filling.UNKNOWN
                raise

    async def _is_due(self) -> bool:
        """Whether the memory must be filled from the beginning, or may hold what the journal lost."""
        return await self._journal.noted(REBUILD) is not None or (
            await self._journal.noted(COMMITS_LOST) != await self._journal.noted(COMPARED)
        )

    async def _begin_anew(self) -> None:
        lost = await self._journal.noted(COMMITS_LOST)
        # The memory is read first: what comes into it meanwhile is in the journal.
        held = await self._held() if lost != await self._journal.noted(COMPARED) else {}
        tasks: list[MemoryTask] = [
            IndexMessage(thread_id=thread.id, message_id=message.id)
            async for message, thread, _ in self._journal.approved_messages()
        ]
        tasks.extend([link.task async for link in self._journal.all_links()])
        strange = await asyncio.to_thread(_strange, held, tasks)
        for collection, ids in strange.items():
            for some in (ids[n : n + DROPPED] for n in range(0, len(ids), DROPPED)):
                await self._write(Delete(collection=collection, ids=some))
        await self._journal.requeue(tasks)
        await self._journal.note(COMPARED, lost)
        await self._journal.note(REBUILD, None)

    async def _held(self) -> dict[PointCollection, frozenset[PointId]]:
        """The points that the memory holds. Raises StorageError."""
        return {
            collection: frozenset(each.id for each in (await self._memory.facts(collection)).points)
            for collection in PointCollection
        }

    # Searching

    async def recall(
        self,
        thread: Thread,
        query: str,
        *,
        exclude: Collection[MessageId],
        quoted: Collection[MessageId],
        limit: int,
    ) -> tuple[Prior, ...]:
        """What a run in this thread may recall, best first.

        Its own thread, public threads, and, if its thread is private, private threads whose
        co-authors include all of this one's: its priors are shown to every co-author.

        Left out is what is far from the query, what only repeats others, and what says the same as
        something better or as a message of `exclude`. What says the same as one of `quoted` comes
        only where there is nothing else.

        Raises:
            ChorusError: the memory or the embedder is away, or took too long.
        """
        async with self._health.expected(CATCH_UP_SECONDS + SEARCH_SECONDS):
            await self._catch_up(thread.id)
            private: frozenset[ThreadId] = frozenset()
            if thread.visibility is Visibility.PRIVATE:
                private = await self._journal.private_threads_shared_by(thread.co_authors)
            scope = SearchScope(
                private_thread_ids=private,
                include_public=True,
                exclude=frozenset({*exclude, *quoted}),
                with_repeating=False,
            )
            (vector,) = await self._embedder.embed([query])
            search = Search(vector=vector, scope=scope, limit=limit, text=query, floor=FLOOR)
            found = await self._found(search)
            if found or not quoted:
                return found
            known = scope.model_copy(update={"exclude": frozenset(exclude)})
            return await self._found(search.model_copy(update={"scope": known}))

    async def search(
        self, reader: PublicKey, query: str, *, thread_id: ThreadId | None, limit: int
    ) -> tuple[Prior, ...]:
        """What this person may read, each text once. Raises as `recall`."""
        private = await self._journal.private_threads_shared_by((reader,))
        scope = SearchScope(private_thread_ids=private, include_public=True, thread_id=thread_id)
        async with self._health.expected(SEARCH_SECONDS):
            (vector,) = await self._embedder.embed([query])
            found = await self._found(Search(vector=vector, scope=scope, limit=limit, text=query))
        # Rights are read last as well: a thread may have been left meanwhile.
        left = frozenset(private) - frozenset(
            await self._journal.private_threads_shared_by((reader,)) if private else ()
        )
        return tuple(each for each in found if each.thread_id not in left)

    async def _found(self, search: Search) -> tuple[Prior, ...]:
        result = await self._memory.execute(search)
        if self._memory.made_anew:
            self.wake()
        match result:
            case Failure(error=error):
                raise error
            case Success(found=found):
                return found

    async def _catch_up(self, thread_id: ThreadId) -> None:
        """Wait until nothing of the thread waits, at most `CATCH_UP_SECONDS`; not where no wait helps."""
        if self._feeding is Feeding.LAGGING:
            return
        self.wake()
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while await self._journal.first_queued((thread_id,)) is not None:
                    await self._some_progress()
        except TimeoutError:
            log.info("a search went ahead of the memory")

    async def _some_progress(self) -> None:
        """Return once something was carried out, or may have been at another server."""
        seconds = PROGRESS_SECONDS if self._journal.shared else None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._progress:
                await self._progress.wait()


def _strange(
    held: Mapping[PointCollection, frozenset[PointId]], tasks: Iterable[MemoryTask]
) -> dict[PointCollection, tuple[PointId, ...]]:
    """The points of each collection that no task asked for."""
    known = frozenset(point_id for task in tasks for point_id in points_of(task))
    return {collection: tuple(sorted(ids - known)) for collection, ids in held.items()}
