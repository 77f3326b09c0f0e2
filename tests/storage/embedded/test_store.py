"""The embedded store: what it finds after any history, and what is left by a kill, damage or a full
disk."""

import asyncio
import errno
import os
import resource
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from machines.models import errors
from machines.models.ids import PointId
from machines.models.outputs import Prior
from storage.embedded import database, vector_file
from storage.embedded.hybrid_index import index_of
from storage.embedded.rows import StoredPoint
from storage.embedded.store import DATABASE_FILE, VECTORS_FILE, EmbeddedStore
from storage.memory import word_index
from storage.memory.points import Collection, MessagePoint
from storage.memory.values import QueryPoints, RemovePoints, SearchScope, WritePoints
from tests.storage.embedded.memory_process import BATCH
from tests.storage.embedded.stored_messages import DIMENSIONS, EMBEDDER, message, vector

EVERYTHING = SearchScope(include_public=True)
KILLS = 5


@contextmanager
def store_in(folder: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(folder, DIMENSIONS, EMBEDDER)
    store.prepare(accept_other=False)
    try:
        yield store
    finally:
        store.close()


def write(store: EmbeddedStore, *points: MessagePoint) -> None:
    store.perform(WritePoints(collection=Collection.MESSAGES, points=points, when="newer"))


def remove(store: EmbeddedStore, *ids: PointId) -> None:
    store.perform(RemovePoints(collection=Collection.MESSAGES, ids=ids, with_links=True))


def everything(store: EmbeddedStore) -> dict[str, int]:
    """The `seq` of each message that a search finds."""
    found = store.perform(QueryPoints(vector=vector(0), scope=EVERYTHING, limit=1_000))
    facts, _ = store.facts_page(Collection.MESSAGES, None)
    seqs = {fact.id: fact.seq for fact in facts}
    assert len(found) == len(facts), "what is found and what is there differ"
    points = {message(int(prior.message_id.removeprefix("message-"))).id for prior in found}
    assert points == seqs.keys()
    return {str(id_): seq for id_, seq in seqs.items()}


QUERIES = [
    QueryPoints(vector=vector(seed), scope=scope, limit=limit, text=text, floor=floor)
    for seed, (scope, limit, text, floor) in enumerate(
        (scope, limit, text, floor)
        for scope in (
            EVERYTHING,
            SearchScope(include_public=True, exclude=frozenset({message(3).payload.message_id})),
            SearchScope(include_public=True, thread_id=message(2).payload.thread_id),
        )
        for limit in (1, 12, 80)
        for text in ("", "rotten keels", "what did Olu say of the keys", "7")
        for floor in (0.0, 0.3)
    )
]


def answers(store: EmbeddedStore) -> list[tuple[Prior, ...]]:
    return [store.perform(query) for query in QUERIES]


@pytest.mark.parametrize("seed", range(3))
def test_a_search_finds_the_same_before_and_after_a_start_and_as_an_index_in_memory_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whatever was held in memory, read from the file, sorted into segments, replaced or removed."""
    dice = Random(seed)
    monkeypatch.setattr(word_index, "SEGMENT", dice.choice((4, 16, 4_096)))
    monkeypatch.setattr(vector_file, "_READ", dice.choice((2, 16, 512)))
    monkeypatch.setattr(vector_file, "_FEW", dice.choice((1, 16)))
    held = dice.choice((0, 40, 10_000)) * 4 * DIMENSIONS
    monkeypatch.setattr(vector_file.VectorFile.__init__, "__kwdefaults__", {"held_bytes": held})
    points = {message(number).id: message(number) for number in range(150)}
    with store_in(tmp_path) as store:
        left = list(points.values())
        while left:
            some, left = left[: (size := dice.randint(1, 40))], left[size:]
            write(store, *some)
        for number in dice.sample(range(150), 30):
            point = message(number, seq=dice.choice((1, 2)), content=f"a new rope {number}")
            write(store, point)
            if point.payload.seq == 2:
                # Of equals the one that was remembered first comes first.
                points.pop(point.id)
                points[point.id] = point
        gone = dice.sample(sorted(points), 20)
        remove(store, *gone)
        before = answers(store)
    kept = [point for id_, point in points.items() if id_ not in gone]
    with store_in(tmp_path) as store:
        assert answers(store) == before
    plain = index_of(
        [StoredPoint(p.id, p.vector, p.payload.model_dump(mode="json")) for p in kept], DIMENSIONS
    )
    for query, found in zip(QUERIES, before, strict=True):
        expected = (
            plain.find(query)
            if query.text
            else plain.search(query.vector, query.scope, query.limit)
        )
        assert [hit.message_id for hit in found] == [hit.message_id for hit in expected]
        assert [hit.score for hit in found] == pytest.approx(
            [hit.score for hit in expected], abs=1e-6
        )


async def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """Nor half a batch, wherever it was: a write is there whole, or not at all."""
    dice = Random(17)
    folder = tmp_path / "memory"
    first, told = 0, ""
    for _ in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.storage.embedded.memory_process",
            str(folder),
            str(first),
            stdout=PIPE,
        )
        assert process.stdout is not None
        for _ in range(dice.randint(1, 12)):
            told = (await process.stdout.readline()).decode() or told
        process.kill()
        told = (await process.stdout.read()).decode().rpartition("\n")[0].rpartition("\n")[
            2
        ] or told
        await process.wait()
        begun, seq = map(int, told.split())
        with store_in(folder) as store:
            there = everything(store)
        assert len(there) % BATCH == 0
        for number in range(begun + BATCH):
            least = seq if number >= begun else 2
            assert there[message(number).id] >= least
        first = begun
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == [folder], "taken for damage"


HOLDER = """
import sys
from pathlib import Path
from storage.embedded.database import MemoryDatabase
database = MemoryDatabase(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_folder_that_another_process_holds_is_one_clear_error(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path / DATABASE_FILE), stdin=PIPE, stdout=PIPE
    )
    try:
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(errors.ConnectionError, match="in use by another process") as caught,
            store_in(tmp_path),
        ):
            pytest.fail("it must not open")
        assert str(tmp_path) not in caught.value.message
    finally:
        await holder.communicate(b"")  # ends its input, and so the process
    with store_in(tmp_path) as store:
        assert everything(store) == {}


@pytest.mark.parametrize("seed", range(12))
def test_damage_of_any_kind_is_noticed_at_the_start_and_what_is_whole_is_found(
    tmp_path: Path, seed: int
) -> None:
    """Bytes changed, cut off or added anywhere: never a wrong message, and never an end of the process."""
    dice = Random(seed)
    folder = tmp_path / "memory"
    with store_in(folder) as store:
        for start in range(0, 120, 40):
            write(store, *(message(number) for number in range(start, start + 40)))
    file = folder / dice.choice((DATABASE_FILE, VECTORS_FILE))
    whole = file.read_bytes()
    place = dice.randrange(len(whole))
    match seed % 4:
        case 0:
            file.write_bytes(whole[:place])
        case 1:
            file.write_bytes(whole[:place] + dice.randbytes(64) + whole[place + 64 :])
        case 2:
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        case _:
            file.write_bytes(whole[: place // 512 * 512] + bytes(4_096) + whole[place + 4_096 :])
    with store_in(folder) as store:
        contents = {message(number).payload.content for number in range(120)}
        for query in QUERIES:
            try:
                found = store.perform(query)
            except errors.ConnectionError:
                break  # as `Memory` does then, the store is opened once more below
            assert {prior.content for prior in found} <= contents
    with store_in(folder) as store:
        write(store, *(message(number) for number in range(120)))
        assert len(everything(store)) == 120
        for query in QUERIES:
            assert {prior.content for prior in store.perform(query)} <= contents


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk, a file that exists can grow to `size` bytes and no further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_a_write_fails_whole_and_searches_go_on(tmp_path: Path) -> None:
    with store_in(tmp_path) as store:
        write(store, *(message(number) for number in range(40)))
        size = max(each.stat().st_size for each in tmp_path.iterdir())

        def fill() -> None:
            for start in range(40, 400, 40):
                write(store, *(message(number) for number in range(start, start + 40)))

        with files_of_at_most(size), pytest.raises(errors.ConnectionError):
            fill()
        there = everything(store)
        assert len(there) % 40 == 0
        write(store, *(message(number) for number in range(400)))
        found = store.perform(QueryPoints(vector=vector(399), scope=EVERYTHING, limit=1))
        assert found[0].message_id == "message-399"


def test_a_disk_that_fails_is_told_and_the_store_opens_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "SECRET path")

    with store_in(tmp_path) as store:
        write(store, message(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fails)
            with pytest.raises(errors.ConnectionError) as told:
                write(store, message(2))
        assert "SECRET" not in told.value.message
        assert len(everything(store)) == 1
        write(store, message(2))
        assert len(everything(store)) == 2


def test_rows_of_messages_that_are_gone_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.embedded.store._GONE_ROWS", 20)
    with store_in(tmp_path) as store:
        for seq in range(1, 9):
            write(store, *(message(number, seq=seq) for number in range(10)))
    store = EmbeddedStore(tmp_path, DIMENSIONS, EMBEDDER)
    prepared = store.prepare(accept_other=False)
    assert prepared.made == {Collection.MESSAGES}, "who feeds the memory must fill it again"
    assert (tmp_path / VECTORS_FILE).stat().st_size == 0
    store.close()


def test_a_folder_of_another_format_is_kept_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "memory"
    with store_in(folder) as store:
        write(store, message(1))
    monkeypatch.setattr(database, "FORMAT", database.FORMAT + 1)
    with store_in(folder) as store:
        assert everything(store) == {}
    assert (tmp_path / "memory.damaged-1" / DATABASE_FILE).exists()


def test_searches_of_a_large_file_read_what_may_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of the file in which the reader may see nothing are not read."""
    monkeypatch.setattr(vector_file, "_READ", 16)
    monkeypatch.setattr(vector_file.VectorFile.__init__, "__kwdefaults__", {"held_bytes": 0})
    with store_in(tmp_path) as store:
        for start in range(0, 320, 64):
            write(store, *(message(n, thread=f"room-{n // 16}") for n in range(start, start + 64)))
        read: list[tuple[int, int]] = []
        preadv = os.preadv

        def noted(descriptor: int, buffers: Sequence[memoryview], offset: int) -> int:
            read.append((offset, sum(map(len, buffers))))
            return preadv(descriptor, buffers, offset)

        monkeypatch.setattr(os, "preadv", noted)
        scope = SearchScope(
            include_public=True, thread_id=message(1, thread="room-3").payload.thread_id
        )
        found = store.perform(QueryPoints(vector=vector(1), scope=scope, limit=80))
    assert len(found) == 16
    width = 4 * DIMENSIONS
    assert {offset // width // 16 for offset, _ in read} == {3}
