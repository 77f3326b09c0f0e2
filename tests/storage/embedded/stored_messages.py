"""Messages for an embedded store, each of which follows from its number."""

from datetime import UTC, datetime
from random import Random

from machines.models.domain import Role
from machines.models.ids import MessageId, ThreadId
from machines.models.thread import Visibility
from storage.memory.points import MessagePayload, MessagePoint

DIMENSIONS = 8
EMBEDDER = "test-8"


def vector(seed: int) -> tuple[float, ...]:
    random = Random(seed)
    return tuple(random.uniform(-1, 1) for _ in range(DIMENSIONS))


def message(number: int, *, seq: int = 1, content: str = "", thread: str = "") -> MessagePoint:
    words = Random(number).choices(("keel", "mast", "rope", "the", "keys", "rot"), k=5)
    return MessagePoint(
        payload=MessagePayload(
            thread_id=ThreadId(thread or f"thread-{number % 5}"),
            message_id=MessageId(f"message-{number}"),
            author=None,
            role=Role.CHORUS,
            visibility=Visibility.PUBLIC,
            content=content or f"{' '.join(words)} {number}",
            created_at=datetime(2026, 1, 2, tzinfo=UTC),
            seq=seq,
            fingerprint=EMBEDDER,
            index=number // 5,
            speaker=("Olu", "Ines", "")[number % 3],
        ),
        vector=vector(number),
    )
