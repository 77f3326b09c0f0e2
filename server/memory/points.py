"""What the memory holds of messages and of runs, made from the journal.

Each text is embedded once: its vector is kept beside the journal.
"""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Final, assert_never

from machines.models.ids import MessageId, PointId
from machines.models.journal import (
    ForgetMessage,
    IndexMessage,
    MemoryTask,
    QueuedTask,
    RecordLinks,
)
from machines.models.message import Message, MessageStatus
from machines.models.thread import Thread
from server.memory.embeddings import Embedder
from storage.journal.answers import StoredVector
from storage.journal.port import Journal
from storage.memory.points import (
    LinkPayload,
    LinkPoint,
    MessagePayload,
    MessagePoint,
    Point,
    fingerprint_of,
    link_point_id,
    message_point_id,
)

EMBED_BATCH: Final = 64
"""Texts embedded at once; their vectors are kept before the next ones are made."""


def points_of(task: MemoryTask) -> tuple[PointId, ...]:
    """The points that a task is about."""
    match task:
        case IndexMessage(message_id=message_id) | ForgetMessage(message_id=message_id):
            return (message_point_id(message_id),)
        case RecordLinks(run_id=run_id, prompt_id=prompt_id, priors=priors):
            return tuple(link_point_id(run_id, prompt_id, prior_id) for prior_id, _ in priors)
        case _:
            assert_never(task)


class PointMaker:
    """Makes points. Everything may raise JournalError, and what the embedder raises."""

    def __init__(self, journal: Journal, embedder: Embedder) -> None:
        self._journal = journal
        self._embedder = embedder
        self._fingerprint = fingerprint_of(embedder.fingerprint)

    async def of_tasks(self, tasks: Sequence[QueuedTask]) -> list[Point]:
        """What the memory is to hold for these tasks."""
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
