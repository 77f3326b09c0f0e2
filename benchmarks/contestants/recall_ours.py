"""Ours: dialogues in an embedded memory, and their questions put to it as runs and users put them.

The memory is fed and asked by `Memory.execute`, and texts are embedded by MiniLM as the server does
it. Without words the vector alone decides, and what is embedded is the bare text: a memory as it is
without any of `storage.memory.ranking`.

    python -m benchmarks.contestants.recall_ours PATH hybrid|vectors
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.measure import tell
from benchmarks.recall_sets import SENT, Answer, Dialogue, dialogues_of, recalled
from machines.models.domain import Role
from machines.models.ids import MessageId, PublicKey, ThreadId
from machines.models.limits import MAX_SEARCH_RESULTS
from machines.models.thread import Visibility
from server.memory.embedders.minilm import MiniLmEmbedder, installed_folder, verified_files
from server.memory.embeddings import Embedder
from server.memory.recall import FLOOR
from storage.memory.memory import Memory
from storage.memory.points import MessagePayload, MessagePoint, fingerprint_of
from storage.memory.values import MAX_BATCH, Search, SearchScope, Store, Success
from storage.qdrant.client import DatabaseClient, EmbeddedMemory

_SCOPE: Final = SearchScope(include_public=True)


async def main(path: Path, mode: str) -> None:
    """Ask every question of a set, and tell how many were answered."""
    embedder = MiniLmEmbedder(verified_files(installed_folder()))
    answers = [
        (dialogue, answer)
        for dialogue in dialogues_of(path)
        for answer in await answers_of(dialogue, embedder, with_words=mode == "hybrid")
    ]
    await embedder.close()
    found = recalled(answers)
    tell(sent=found.sent, first=found.first, five=found.five, best=found.best)


async def answers_of(dialogue: Dialogue, embedder: Embedder, *, with_words: bool) -> list[Answer]:
    """What a memory of its own that holds a dialogue gives for its questions."""
    with TemporaryDirectory() as folder:
        memory = DatabaseClient(
            EmbeddedMemory(Path(folder) / "memory"),
            dimensions=embedder.dimensions,
            fingerprint=fingerprint_of(embedder.fingerprint),
            jitter=lambda: 0.0,
        )
        await memory.open()
        try:
            await _fill(memory, dialogue, embedder, with_words=with_words)
            return await _ask(memory, dialogue, embedder, with_words=with_words)
        finally:
            await memory.close()


async def _fill(
    memory: Memory, dialogue: Dialogue, embedder: Embedder, *, with_words: bool
) -> None:
    payloads = [
        MessagePayload(
            thread_id=ThreadId(turn.session),
            message_id=MessageId(f"{place:06}"),
            author=PublicKey(turn.speaker),
            role=Role.USER,
            visibility=Visibility.PUBLIC,
            content=turn.text,
            created_at=turn.day + timedelta(seconds=place),
            seq=place + 1,
            fingerprint=fingerprint_of(embedder.fingerprint),
            index=place,
            speaker=turn.speaker,
        )
        for place, turn in enumerate(dialogue.turns)
    ]
    vectors = await embedder.embed(
        [payload.said if with_words else payload.content for payload in payloads]
    )
    points = [
        MessagePoint(payload=payload, vector=vector)
        for payload, vector in zip(payloads, vectors, strict=True)
    ]
    for begin in range(0, len(points), MAX_BATCH):
        stored = await memory.execute(Store(points=tuple(points[begin : begin + MAX_BATCH])))
        if not isinstance(stored, Success):
            raise stored.error


async def _ask(
    memory: Memory, dialogue: Dialogue, embedder: Embedder, *, with_words: bool
) -> list[Answer]:
    places = {turn.id: place for place, turn in enumerate(dialogue.turns)}
    queries = await embedder.embed([each.question for each in dialogue.questions])
    answers: list[Answer] = []
    for question, vector in zip(dialogue.questions, queries, strict=True):
        evidence = frozenset(places[id_] for id_ in question.evidence if id_ in places)
        if not evidence:
            continue  # of a set whose evidence names turns that it does not have
        text = question.question if with_words else ""
        found = Search(vector=vector, scope=_SCOPE, limit=MAX_SEARCH_RESULTS, text=text)
        sent = found.model_copy(update={"limit": SENT, "floor": FLOOR if with_words else 0.0})
        answers.append(
            Answer(evidence, sent=await _places(memory, sent), found=await _places(memory, found))
        )
    return answers


async def _places(memory: Memory, search: Search) -> list[int]:
    result = await memory.execute(search)
    if not isinstance(result, Success):
        raise result.error
    return [int(prior.message_id) for prior in result.found]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
