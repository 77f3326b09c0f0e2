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
from collections.abc import Collection, Sequence
from enum import Enum, auto
from itertools import groupby

from machines.models import errors
from machines.models.errors import ChorusError
from machines.models.ids import MessageId, PublicKey, ThreadId
from machines.models.journal import (
    ForgetMessage,
    IndexMessage,
    MemoryTask,
    QueuedTask,
    RecordLinks,
)
from machines.models.message import Message, MessageStatus
from machines.models.outputs import Prior
from machines.models.thread import Thread, Visibility
from server.concurrency.retry import until_done
from server.memory.embeddings import Embedder
from server.memory.health import MemoryHealth
from server.memory.opening import REBUILD
from storage.journal.port import Journal, StoredVector
from storage.memory.memory import Memory
from storage.memory.values import (
    Collection as PointCollection,
)
from storage.memory.values import (
    Delete,
    Failure,
    LinkPayload,
    LinkPoint,
    MessagePayload,
    MessagePoint,
    Point,
    Search,
    SearchScope,
    Store,
    Success,
    Write,
    fingerprint_of,
    message_point_id,
)

log = logging.getLogger(__name__)

EMBED_BATCH = 64
"""Texts embedded at once; their vectors are kept before the next ones are made."""

BATCH = 32
"""Tasks carried out at once: a query waits behind one batch at most."""

CATCH_UP_SECONDS = 2.0
"""How long a search waits for the memory to hold what its thread holds."""

SEARCH_SECONDS = 5.0
"""The longest that a search may take, embedding the query included; a memory that gives no answer
in this time counts as away."""

FLOOR = 0.15
"""Closeness below which a run recalls nothing: it would only take a place in the request."""

PROBE = "Is anybody there?"
"""What is searched for, to see whether the memory and the embedder answer."""

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
    DONE = auto()


class MemoryService:
    """Feeds the memory, and searches it."""

    def __init__(self, journal: Journal, memory: Memory, embedder: Embedder) -> None:
        self._journal = journal
        self._memory = memory
        self._embedder = embedder
        self._fingerprint = fingerprint_of(embedder.fingerprint)
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
        tasks = await self._journal.queued_tasks(limit=BATCH)
        self.waiting = len(tasks)
        if not tasks:
            return False
        try:
            await self._carry_out(tasks)
        except ChorusError as error:
            if error.retryable:
                raise
            for task in tasks:
                await self._carry_out_or_drop(task)
        return True

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
        points = await self._points(tasks)
        if points:
            await self._write(Store(points=tuple(points)))
        # After what was to be stored: what counts no more never counts again.
        forgotten = [each.task for each in tasks if isinstance(each.task, ForgetMessage)]
        if forgotten:
            ids = tuple(message_point_id(each.message_id) for each in forgotten)
            await self._write(Delete(collection=PointCollection.MESSAGES, ids=ids))
        await self._journal.finish_tasks([task.position for task in tasks])

    async def _write(self, operation: Write) -> None:
        """Raises StorageError."""
        match await self._memory.execute(operation):
            case Failure(error=error):
                raise error
            case Success():
                pass

    async def _begin_anew_if_due(self) -> None:
        """Where collections were lost and made anew, ask for everything that the journal has.

        The note outlives a crash in the middle; it goes once everything waits again.
        """
        if self._memory.take_made_anew():
            self._filling = Filling.DUE
        if self._filling is Filling.UNKNOWN:
            noted = await self._journal.noted(REBUILD) is not None
            self._filling = Filling.DUE if noted else Filling.DONE
        if self._filling is Filling.DUE:
            await self._journal.note(REBUILD, "due")
            await self._begin_anew()
            await self._journal.note(REBUILD, None)
            self._filling = Filling.DONE

    async def _begin_anew(self) -> None:
        tasks: list[MemoryTask] = [
            IndexMessage(thread_id=thread.id, message_id=message.id)
            async for message, thread, _ in self._journal.approved_messages()
        ]
        tasks.extend([link.task async for link in self._journal.all_links()])
        await self._journal.requeue(tasks)

    async def _points(self, tasks: Sequence[QueuedTask]) -> list[Point]:
        points: list[Point] = []
        for kind, group in groupby(tasks, key=lambda task: type(task.task)):
            batch = tuple(group)
            if kind is IndexMessage:
                points.extend(await self._message_points(batch))
            elif kind is RecordLinks:
                points.extend(await self._link_points(batch))
        return points

    async def _message_points(self, tasks: Collection[QueuedTask]) -> list[MessagePoint]:
        found: list[tuple[Message, Thread, int]] = []
        for task in tasks:
            assert isinstance(task.task, IndexMessage)  # noqa: S101 - grouped by kind
            message = await self._journal.message(task.task.message_id)
            thread = await self._journal.thread(task.thread_id)
            if message is None or thread is None:
                continue
            # One that was written anew meanwhile is not remembered at all.
            if message.status is MessageStatus.APPROVED:
                found.append((message, thread, task.seq))
        return await self.message_points(found)

    async def _link_points(self, tasks: Collection[QueuedTask]) -> list[Point]:
        points: list[Point] = []
        for task in tasks:
            assert isinstance(task.task, RecordLinks)  # noqa: S101 - grouped by kind
            prior_ids = [prior_id for prior_id, _ in task.task.priors]
            approved = await self._journal.approved_among([task.task.prompt_id, *prior_ids])
            # No link ends at a message that was written anew meanwhile.
            points.extend(
                point
                for point in await self.link_points(task.task, task.seq)
                if {point.payload.prompt_message_id, point.payload.prior_message_id} <= approved
            )
        return points

    async def link_points(self, task: RecordLinks, seq: int) -> list[LinkPoint]:
        """The links that one observation recorded."""
        run = await self._journal.run(task.run_id)
        if run is None:
            return []
        return [
            LinkPoint(
                payload=LinkPayload(
                    run_id=task.run_id,
                    thread_id=task.thread_id,
                    prompt_message_id=task.prompt_id,
                    prior_message_id=prior_id,
                    why=why,
                    created_at=run.created_at,
                    seq=seq,
                )
            )
            for prior_id, why in task.priors
        ]

    def message_payload(
        self, message: Message, thread: Thread, seq: int, *, speaker: str = ""
    ) -> MessagePayload:
        """What the memory says of an approved message.

        Args:
            seq: Number of the entry that approved it.
            speaker: Its author's name; what is compared with the journal needs none.
        """
        return MessagePayload(
            thread_id=message.thread_id,
            message_id=message.id,
            author=message.author,
            role=message.role,
            visibility=thread.visibility,
            content=message.content,
            created_at=message.created_at,
            seq=seq,
            fingerprint=self._fingerprint,
            index=message.index,
            repeats=message.is_extractive,
            speaker=speaker,
        )

    async def message_points(
        self, approved: Sequence[tuple[Message, Thread, int]]
    ) -> list[MessagePoint]:
        """Approved messages as the memory holds them, with their authors' names of now."""
        authors = {message.author for message, _, _ in approved if message.author is not None}
        names = await self._journal.names(authors)
        payloads = [
            self.message_payload(
                message,
                thread,
                seq,
                speaker=names.get(message.author, "") if message.author else "",
            )
            for message, thread, seq in approved
        ]
        vectors = await self._vectors_of(payloads)
        return [
            MessagePoint(payload=payload, vector=vectors[payload.message_id])
            for payload in payloads
        ]

    async def _vectors_of(
        self, payloads: Collection[MessagePayload]
    ) -> dict[MessageId, tuple[float, ...]]:
        """Vectors of messages: the kept ones, and new ones for the rest, which are kept."""
        fingerprint = self._fingerprint
        kept = await self._journal.vectors(
            [payload.message_id for payload in payloads], fingerprint=fingerprint
        )
        missing = [payload for payload in payloads if payload.message_id not in kept]
        for begin in range(0, len(missing), EMBED_BATCH):
            some = missing[begin : begin + EMBED_BATCH]
            made = await self._embedder.embed([payload.said for payload in some])
            fresh = {payload.message_id: vector for payload, vector in zip(some, made, strict=True)}
            await self._journal.keep_vectors(
                [
                    StoredVector(message_id=message_id, fingerprint=fingerprint, vector=vector)
                    for message_id, vector in fresh.items()
                ]
            )
            kept = kept | fresh
        return kept

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
                    async with self._progress:
                        await self._progress.wait()
        except TimeoutError:
            log.info("a search went ahead of the memory")
