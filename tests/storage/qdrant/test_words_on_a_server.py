"""A Qdrant server finds candidates by vector and by words, and they are ranked as anywhere else."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random

import pytest

from machines.models.domain import Role
from machines.models.ids import MessageId, ThreadId
from machines.models.thread import Visibility
from storage.memory.facts import VectorHealth
from storage.memory.points import Collection, MessagePayload, MessagePoint
from storage.memory.sparse_words import of_message, of_question
from storage.memory.values import Search, SearchScope, Store, Success
from storage.qdrant.client import DatabaseClient, MemoryServer
from tests.support.fake_qdrant import fake_qdrant

DIMENSIONS = 8
EVERYTHING = SearchScope(include_public=True)
QUERY = (1.0, *[0.0] * (DIMENSIONS - 1))
FAR = (-1.0, *[0.0] * (DIMENSIONS - 1))


def said(
    number: int,
    content: str,
    vector: tuple[float, ...],
    visibility: Visibility = Visibility.PUBLIC,
    at: datetime = datetime(2026, 1, 2, tzinfo=UTC),
) -> MessagePoint:
    payload = MessagePayload(
        thread_id=ThreadId(f"thread-{number}"),
        message_id=MessageId(f"message-{number}"),
        author=None,
        role=Role.CHORUS,
        visibility=visibility,
        content=content,
        created_at=at,
        seq=1,
        fingerprint="test",
    )
    return MessagePoint(payload=payload, vector=vector)


@pytest.fixture
async def memory() -> AsyncIterator[DatabaseClient]:
    """A memory of 200 messages that are all nearer than those that a test stores."""
    dice = Random(3)
    points = [
        said(
            number,
            f"remark number {number}",
            (1.0, *(dice.gauss(0, 0.5) for _ in range(DIMENSIONS - 1))),
        )
        for number in range(100, 300)
    ]
    async with fake_qdrant() as qdrant:
        client = DatabaseClient(
            MemoryServer(qdrant.url),
            dimensions=DIMENSIONS,
            fingerprint="test",
            jitter=lambda: 0.0,
        )
        await client.open()
        await stored(client, *points)
        yield client
        await client.close()


async def stored(memory: DatabaseClient, *points: MessagePoint) -> None:
    result = await memory.execute(Store(points=points))
    assert isinstance(result, Success)


async def found(
    memory: DatabaseClient, text: str, scope: SearchScope = EVERYTHING, limit: int = 5
) -> list[str]:
    result = await memory.execute(Search(vector=QUERY, scope=scope, limit=limit, text=text))
    assert isinstance(result, Success)
    return [prior.message_id for prior in result.found]


async def test_a_rare_word_is_found_though_hundreds_are_nearer(memory: DatabaseClient) -> None:
    await stored(memory, said(1, "Two keel bolts were rusty.", FAR))
    assert "message-1" not in await found(memory, "what of the remarks?")
    assert (await found(memory, "What of the bolt in the keel?"))[0] == "message-1"


async def test_a_day_is_found_though_hundreds_are_nearer(memory: DatabaseClient) -> None:
    then = datetime(2025, 6, 14, 12, tzinfo=UTC)
    await stored(memory, said(1, "Two keel bolts were rusty.", FAR, at=then))
    assert (await found(memory, "What happened on 14 June 2025?"))[0] == "message-1"


async def test_words_find_nothing_that_may_not_be_read(memory: DatabaseClient) -> None:
    await stored(memory, said(1, "Two keel bolts were rusty.", FAR, Visibility.PRIVATE))
    assert "message-1" not in await found(memory, "What of the bolt in the keel?")
    mine = EVERYTHING.model_copy(update={"private_thread_ids": frozenset({ThreadId("thread-1")})})
    assert (await found(memory, "What of the bolt in the keel?", mine))[0] == "message-1"


async def test_what_is_known_and_what_says_the_same_take_no_place(memory: DatabaseClient) -> None:
    again = [said(number, "Which keel bolts?", QUERY) for number in range(1, 40)]
    await stored(memory, *again)
    known = EVERYTHING.model_copy(update={"exclude": frozenset({MessageId("message-1")})})
    shown = await found(memory, "Tell of keel bolts", known)
    assert len(shown) == 5, "what says the same took their places"
    assert not {f"message-{number}" for number in range(1, 40)} & {*shown}


async def test_vectors_that_stand_beside_words_are_compared_with_the_journal(
    memory: DatabaseClient,
) -> None:
    facts = await memory.facts(Collection.MESSAGES)
    assert {point.health for point in facts.points} == {VectorHealth.SOUND}
    assert {point.size for point in facts.points} == {DIMENSIONS}


@pytest.mark.parametrize(
    ("message", "question"),
    [
        ("She painted the greenhouses", "Who paints a greenhouse?"),
        ("Die Häuser sind verkauft", "Wem gehört das Haus?"),
        ("Rope", "Où est le rope ?"),
        ("温室の鍵", "温室はどこですか"),
    ],
)
def test_a_question_names_the_words_of_a_message_as_the_message_does(
    message: str, question: str
) -> None:
    assert set(of_message(message, None).indices) & set(of_question(question).indices)


def test_a_text_without_words_has_no_sparse_vector_and_no_index_is_there_twice() -> None:
    assert of_message("!?", None) == of_question("...") == ([], [])
    indices = of_message("rope rope keel rope", None).indices
    assert len(indices) == len(set(indices)) == 2
