"""The memory on the real `qdrant_client`: embedded in a folder, and over HTTP."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest
from qdrant_client import QdrantClient

from machines.models import errors
from machines.models.domain import Role
from machines.models.ids import MessageId, RunId, ThreadId
from machines.models.outputs import Prior
from machines.models.thread import Visibility
from storage.embedded.store import EmbeddedStore
from storage.memory.consistency import (
    collections_to_reset,
    expect,
    points_needed,
    repair_consistency,
    verify_consistency,
)
from storage.memory.facts import JournalFacts, MemoryFacts, VectorHealth
from storage.memory.memory import Memory, VectorStore
from storage.memory.points import (
    Collection,
    LinkPayload,
    LinkPoint,
    MessagePayload,
    MessagePoint,
    Point,
)
from storage.memory.retrier import Retrier
from storage.memory.values import (
    Delete,
    Failure,
    FingerprintMismatch,
    Operation,
    RecoveryPolicy,
    RetryWithBackoff,
    Search,
    SearchScope,
    StorageEffect,
    Store,
    Success,
    Update,
    WaitingOperations,
    WritePoints,
)
from storage.qdrant.client import DatabaseClient, EmbeddedMemory, MemoryServer
from storage.qdrant.remote import ServerStore

DIMENSIONS = 8
EMBEDDER = "test-8"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PUBLIC = SearchScope(include_public=True)


def vector(seed: int) -> tuple[float, ...]:
    random = Random(seed)
    return tuple(random.uniform(-1, 1) for _ in range(DIMENSIONS))


def message(
    number: int,
    *,
    thread: str = "thread",
    visibility: Visibility = Visibility.PUBLIC,
    seq: int = 1,
    content: str = "",
    fingerprint: str = EMBEDDER,
) -> MessagePoint:
    return MessagePoint(
        payload=MessagePayload(
            thread_id=ThreadId(thread),
            message_id=MessageId(f"message-{number}"),
            author=None,
            role=Role.CHORUS,
            visibility=visibility,
            content=content or f"content {number}",
            created_at=AT,
            seq=seq,
            fingerprint=fingerprint,
        ),
        vector=vector(number),
    )


def link(prompt: int, prior: int) -> LinkPoint:
    return LinkPoint(
        payload=LinkPayload(
            run_id=RunId("run"),
            thread_id=ThreadId("thread"),
            prompt_message_id=MessageId(f"message-{prompt}"),
            prior_message_id=MessageId(f"message-{prior}"),
            why="alike",
            created_at=AT,
            seq=1,
        )
    )


async def no_wait(seconds: float) -> None:
    assert seconds >= 0


@asynccontextmanager
async def memory_in(
    folder: Path,
    *,
    fingerprint: str = EMBEDDER,
    accept_other: bool = False,
    embed: Callable[[str], Awaitable[Sequence[float]]] | None = None,
) -> AsyncIterator[DatabaseClient]:
    client = DatabaseClient(
        EmbeddedMemory(folder),
        dimensions=DIMENSIONS,
        fingerprint=fingerprint,
        jitter=lambda: 0.0,
        sleep=no_wait,
        embed=embed,
    )
    await client.open(accept_other_fingerprint=accept_other)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def memory_on(store: VectorStore) -> AsyncIterator[Memory]:
    memory = Memory(store, Retrier(RecoveryPolicy(), no_wait, lambda: 0.0, EMBEDDER))
    await memory.open()
    try:
        yield memory
    finally:
        await memory.close()


@pytest.fixture(params=["embedded", "server"])
async def memory(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Memory]:
    """The memory on each of its stores: what it promises does not depend on where it is."""
    folder = tmp_path / "memory"
    store: VectorStore = (
        EmbeddedStore(folder, DIMENSIONS, EMBEDDER)
        if request.param == "embedded"
        else FilteringStore(folder)
    )
    async with memory_on(store) as memory:
        yield memory


async def done(client: Memory, operation: Operation) -> tuple[Prior, ...]:
    result = await client.execute(operation)
    assert isinstance(result, Success), f"{result.error.message} {result.error.detail}"
    return result.found


async def found(client: Memory, seed: int, scope: SearchScope, limit: int) -> list[str]:
    hits = await done(client, Search(vector=vector(seed), scope=scope, limit=limit))
    return [hit.message_id for hit in hits]


async def test_what_is_stored_is_found_best_first_until_it_is_deleted(
    memory: Memory,
) -> None:
    assert memory.take_made_anew() == frozenset(Collection)
    assert memory.take_made_anew() == frozenset()
    points = tuple(message(number) for number in range(20))
    await done(memory, Store(points=(*points, link(1, 2), link(3, 4))))
    hits = await done(memory, Search(vector=vector(7), scope=PUBLIC, limit=5))
    assert hits[0].message_id == "message-7"
    assert hits[0].score == pytest.approx(1.0, abs=1e-5)
    assert (hits[0].content, hits[0].created_at) == ("content 7", AT)
    assert list(hits) == sorted(hits, key=lambda hit: (-hit.score, hit.message_id))
    assert len(hits) == 5

    await done(memory, Delete(collection=Collection.MESSAGES, ids=(points[7].id, points[2].id)))
    assert "message-7" not in await found(memory, 7, PUBLIC, 20)
    links = await memory.facts(Collection.LINKS)
    assert [fact.id for fact in links.points] == [link(3, 4).id], "links go with their message"


async def test_storing_again_changes_nothing_unless_the_seq_is_higher(
    memory: Memory,
) -> None:
    contents = [("first", 2), ("same seq", 2), ("lower seq", 1)]
    for content, seq in contents:
        await done(memory, Store(points=(message(1, seq=seq, content=content),)))
        hits = await done(memory, Search(vector=vector(1), scope=PUBLIC, limit=1))
        assert hits[0].content == "first"
    await done(memory, Store(points=(message(1, seq=3, content="later"),)))
    hits = await done(memory, Search(vector=vector(1), scope=PUBLIC, limit=9))
    assert [hit.content for hit in hits] == ["later"]


async def test_an_update_replaces_what_is_there_and_brings_nothing_back(
    memory: Memory,
) -> None:
    await done(memory, Store(points=(message(1, seq=5),)))
    changed = message(1, seq=2, content="mended")
    await done(memory, Update(points=(changed, message(2))))
    hits = await done(memory, Search(vector=vector(1), scope=PUBLIC, limit=9))
    assert [hit.content for hit in hits] == ["mended"]
    await done(memory, Delete(collection=Collection.MESSAGES, ids=(changed.id,)))
    await done(memory, Update(points=(changed,)))
    assert await found(memory, 1, PUBLIC, 9) == []


def mixed_messages(count: int, random: Random) -> list[MessagePoint]:
    threads = {
        f"thread-{n}": random.choice([Visibility.PUBLIC, Visibility.PRIVATE]) for n in range(6)
    }
    chosen = [random.choice(list(threads)) for _ in range(count)]
    return [
        message(number, thread=thread, visibility=threads[thread])
        for number, thread in enumerate(chosen)
    ]


def some_scope(random: Random) -> SearchScope:
    names = [ThreadId(f"thread-{n}") for n in range(6)]
    return SearchScope(
        private_thread_ids=frozenset(random.sample(names, random.randrange(3))),
        include_public=random.random() < 0.5,
        thread_id=random.choice([None, None, *names]),
        exclude=frozenset(MessageId(f"message-{random.randrange(60)}") for _ in range(10)),
    )


class FilteringStore(ServerStore):
    """The server's way of searching, on the library's own evaluation of filters in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(MemoryServer("http://unused"), DIMENSIONS, EMBEDDER, 1.0)
        self._folder = folder

    def _connect(self) -> QdrantClient:
        return QdrantClient(path=str(self._folder))


async def changed_at_random(client: Memory, random: Random) -> list[MessagePoint]:
    """Messages stored, stored again, updated and deleted; gives those that must be left."""
    points = {point.id: point for point in mixed_messages(150, random)}
    await done(client, Store(points=tuple(points.values())))
    for _ in range(8):
        some = random.sample(sorted(points.values(), key=lambda point: point.id), 6)
        moved = [
            point.model_copy(
                update={
                    "vector": vector(random.randrange(1_000, 2_000)),
                    "payload": point.payload.model_copy(update={"seq": random.choice((1, 2))}),
                }
            )
            for point in some
        ]
        kind = random.choice((Store, Update, None))
        if kind is None:
            gone = tuple(point.id for point in some)
            await done(client, Delete(collection=Collection.MESSAGES, ids=gone))
            points = {id_: point for id_, point in points.items() if id_ not in gone}
        else:
            await done(client, kind(points=tuple(moved)))
            points |= {
                point.id: point
                for point in moved
                if kind is Update or point.payload.seq > points[point.id].payload.seq
            }
    return list(points.values())


async def test_a_search_finds_the_best_of_its_scope_and_never_anything_else(
    tmp_path: Path,
) -> None:
    """The same before and after a reopening, and as the library finds it with the store's filter."""
    random = Random(5)
    searches: list[tuple[int, SearchScope, int, tuple[Prior, ...]]] = []
    folder = tmp_path / "embedded"
    async with memory_in(folder) as client:
        points = await changed_at_random(client, random)
        for seed in range(40):
            scope = some_scope(random)
            limit = random.choice((1, 10, 80))
            got = await done(client, Search(vector=vector(seed), scope=scope, limit=limit))
            allowed = {p.payload.message_id for p in points if scope.allows(p.payload)}
            assert {hit.message_id for hit in got} <= allowed
            assert len(got) == min(limit, len(allowed))
            everything = await done(client, Search(vector=vector(seed), scope=scope, limit=80))
            assert got == everything[:limit]
            searches.append((seed, scope, limit, got))
    async with memory_in(folder) as client:
        for seed, scope, limit, got in searches:
            again = await done(client, Search(vector=vector(seed), scope=scope, limit=limit))
            assert again == got
    assert all(got == () for _, scope, _, got in searches if scope.is_empty)
    async with memory_on(FilteringStore(tmp_path / "library")) as filtering:
        await done(filtering, Store(points=tuple(points)))
        for seed, scope, limit, got in searches:
            by_filter = await done(filtering, Search(vector=vector(seed), scope=scope, limit=limit))
            assert_alike(by_filter, got)


def assert_alike(one: Sequence[Prior], other: Sequence[Prior]) -> None:
    """The same messages in the same order; scores to what float32 keeps."""
    scores = [hit.score for hit in other]
    assert [hit.score for hit in one] == pytest.approx(scores, abs=1e-6)
    assert [hit.model_dump(exclude={"score"}) for hit in one] == [
        hit.model_dump(exclude={"score"}) for hit in other
    ]


async def test_the_one_readable_message_is_found_behind_any_number_of_nearer_ones(
    memory: Memory,
) -> None:
    hidden = [message(n, thread="theirs", visibility=Visibility.PRIVATE) for n in range(250)]
    near = [point.model_copy(update={"vector": vector(0)}) for point in hidden]
    own = message(999, thread="mine", visibility=Visibility.PRIVATE)
    far = own.model_copy(update={"vector": tuple(-x for x in vector(0))})
    await done(memory, Store(points=(*near, far)))
    scope = SearchScope(private_thread_ids=frozenset({ThreadId("mine")}))
    assert await found(memory, 0, scope, 1) == ["message-999"]


async def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as client:
        await done(client, Store(points=(message(1), link(1, 1))))
    closed = await client.execute(Store(points=(message(2),)))
    assert isinstance(closed, Failure)
    assert "closed" in closed.error.message
    async with memory_in(tmp_path) as client:
        assert client.take_made_anew() == frozenset()
        assert await found(client, 1, PUBLIC, 5) == ["message-1"]
        facts = await client.facts(Collection.MESSAGES)
        assert facts.state.fingerprint == EMBEDDER
        (fact,) = facts.points
        assert (fact.id, fact.seq, fact.size) == (message(1).id, 1, DIMENSIONS)
        assert fact.digest == message(1).payload.digest()
        assert fact.health is VectorHealth.SOUND


async def test_another_embedder_is_refused_with_the_command_that_mends_it(
    tmp_path: Path,
) -> None:
    async with memory_in(tmp_path) as client:
        await done(client, Store(points=(message(1),)))
    with pytest.raises(FingerprintMismatch, match="chorus verify --repair"):
        async with memory_in(tmp_path, fingerprint="another"):
            pytest.fail("it must not open")
    points = {point.id: point for point in (message(n, fingerprint="another") for n in range(3))}
    journal = JournalFacts(
        DIMENSIONS, "another", tuple(expect(p.payload) for p in points.values()), ()
    )
    async with memory_in(tmp_path, fingerprint="another", accept_other=True) as client:
        refused = await client.execute(Store(points=(message(1, fingerprint="another"),)))
        assert isinstance(refused, Failure)
        differences = verify_consistency(journal, await both(client))
        for name in collections_to_reset(differences):
            await client.reset(name)
        needed = {id_: points[id_] for id_ in points_needed(differences)}
        for operation in repair_consistency(differences, needed):
            await done(client, operation)
        assert verify_consistency(journal, await both(client)) == []
    async with memory_in(tmp_path, fingerprint="another") as client:
        assert await found(client, 2, PUBLIC, 1) == ["message-2"]


async def both(client: Memory) -> MemoryFacts:
    return MemoryFacts(
        messages=await client.facts(Collection.MESSAGES),
        links=await client.facts(Collection.LINKS),
    )


async def test_a_repair_mends_a_memory_that_went_its_own_way(memory: Memory) -> None:
    wanted: list[Point] = [*(message(n, seq=2) for n in range(6)), link(0, 1)]
    right = {point.id: point for point in wanted}
    await done(
        memory,
        Store(
            points=(
                message(0, seq=2),
                message(1, seq=9),
                message(2, seq=2, content="other"),
                message(77),
                link(0, 1),
                link(0, 77),
            )
        ),
    )
    messages = tuple(expect(p.payload) for p in right.values() if isinstance(p, MessagePoint))
    journal = JournalFacts(DIMENSIONS, EMBEDDER, messages, (expect(link(0, 1).payload),))
    differences = verify_consistency(journal, await both(memory))
    assert {item.kind for item in differences} == {
        "missing_point",
        "orphan_point",
        "drifted_point",
        "dangling_link",
    }
    for operation in repair_consistency(differences, right):
        await done(memory, operation)
    assert verify_consistency(journal, await both(memory)) == []


async def test_a_vector_that_is_no_use_is_embedded_again(tmp_path: Path) -> None:
    async def embed(content: str) -> Sequence[float]:
        return vector(int(content.split()[-1]))

    bad = message(3).model_copy(update={"vector": (0.0,) * DIMENSIONS})
    async with memory_in(tmp_path, embed=embed) as client:
        await done(client, Store(points=(bad,)))
        assert client.state.error_state is None
        assert await found(client, 3, PUBLIC, 1) == ["message-3"]
    async with memory_in(tmp_path) as client:
        result = await client.execute(Store(points=(bad,)))
        assert isinstance(result, Failure)
        assert isinstance(result.error, errors.VectorError)


class BusyStore(EmbeddedStore):
    """An embedded store that works until it is told to come to an end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, DIMENSIONS, EMBEDDER)
        self.begun, self.to_end = threading.Event(), threading.Event()

    def perform(self, effect: StorageEffect) -> tuple[Prior, ...]:
        self.begun.set()
        assert self.to_end.wait(20), "the event loop waits for the store: nobody told it to end"
        return super().perform(effect)


async def test_the_event_loop_goes_on_while_the_store_works(tmp_path: Path) -> None:
    store = BusyStore(tmp_path)
    memory = Memory(store, Retrier(RecoveryPolicy(), no_wait, lambda: 0.0, EMBEDDER))
    await memory.open()
    working = asyncio.ensure_future(memory.execute(Store(points=(message(1),))))
    assert await asyncio.to_thread(store.begun.wait, 20)
    assert not working.done()
    store.to_end.set()
    assert isinstance(await working, Success)
    await memory.close()


class FlakyStore(EmbeddedStore):
    """An embedded store that cannot be reached while `away`, and notes what it carried out."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, DIMENSIONS, EMBEDDER)
        self.away = False
        self.written: list[str] = []

    def perform(self, effect: StorageEffect) -> tuple[Prior, ...]:
        if self.away:
            raise errors.ConnectionError("away")
        if isinstance(effect, WritePoints):
            self.written += [point.id for point in effect.points]
        return super().perform(effect)


async def test_what_waited_is_written_first_when_the_store_is_back(tmp_path: Path) -> None:
    store = FlakyStore(tmp_path)
    memory = Memory(store, Retrier(RecoveryPolicy(), no_wait, lambda: 0.0, EMBEDDER))
    await memory.open()
    store.away = True
    for number in (1, 2):
        assert isinstance(await memory.execute(Store(points=(message(number),))), Failure)
    assert len(memory.state.cache.operations) == 2
    store.away = False
    assert isinstance(await memory.execute(Store(points=(message(3),))), Success)
    assert store.written == [message(number).id for number in (1, 2, 3)]
    assert memory.state.cache == WaitingOperations()
    assert memory.state.error_state is None
    await memory.close()


# -------------------------------------------------------------------------------------- over HTTP


@contextmanager
def scripted_server(status: int, headers: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything alike, and notes what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_any(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.dumps({"status": {"error": "SECRET upstream text"}}).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_any  # noqa: N815 - names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def remote(url: str, slept: list[float]) -> DatabaseClient:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return DatabaseClient(
        MemoryServer(url),
        dimensions=DIMENSIONS,
        fingerprint=EMBEDDER,
        jitter=lambda: 1.0,
        sleep=sleep,
        timeout_seconds=5,
    )


@pytest.mark.parametrize(
    ("status", "headers", "waits"),
    [
        (503, {}, [0.1, 0.2, 0.4]),
        (429, {"retry-after": "1"}, [1.1, 1.2, 1.4]),
        (503, {"retry-after": "1"}, [1.1, 1.2, 1.4]),
        (429, {"retry-after": "99"}, []),
        (429, {}, [0.1, 0.2, 0.4]),
        (401, {}, []),
        (200, {}, [0.1, 0.2, 0.4]),
    ],
)
async def test_a_server_that_fails_is_tried_a_bounded_number_of_times(
    status: int, headers: dict[str, str], waits: list[float]
) -> None:
    slept: list[float] = []
    with scripted_server(status, headers) as (url, asked):
        client = remote(url, slept)
        with pytest.raises(errors.ConnectionError) as caught:
            await client.open()
        if caught.value.retryable:
            asked.clear()
            result = await client.execute(Store(points=(message(1),)))
            assert isinstance(result, Failure)
            assert isinstance(result.error, errors.ConnectionError)
            assert "SECRET" not in result.error.message
            assert isinstance(result.recovery, RetryWithBackoff)
            assert not result.recovery.allowed
            assert len(asked) == len(waits) + 1
            assert len(client.state.cache.operations) == 1
        assert slept == waits
        await client.close()


async def test_writes_that_wait_are_noted_once_while_the_server_is_away() -> None:
    with scripted_server(503, {}) as (url, _):
        pass  # nothing listens there any more
    slept: list[float] = []
    client = remote(url, slept)
    with pytest.raises(errors.ConnectionError, match="cannot be reached"):
        await client.open()
    for number in (1, 2, 2):
        result = await client.execute(Store(points=(message(number),)))
        assert isinstance(result, Failure)
    search = await client.execute(Search(vector=vector(1), scope=PUBLIC, limit=1))
    assert isinstance(search, Failure)
    assert client.state.cache.operations == (
        Store(points=(message(1),)),
        Store(points=(message(2),)),
    )
    assert client.state.error_state is not None
    await client.close()


async def test_an_address_that_is_no_url_is_one_clear_error() -> None:
    with pytest.raises(errors.ConnectionError, match="CHORUS_QDRANT_URL"):
        await remote("ftp://example.org", []).open()
