"""The stand-in of a Qdrant server: what it refuses, how it fails when it is told to, and as a program."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from qdrant_client import QdrantClient, models

from tests.standins.qdrant.faults import Does, Fault
from tests.standins.qdrant.standin import StandIn

ROOT: Final = Path(__file__).parents[2]
ID: Final = "6f1c2e3a-0000-4000-8000-000000000000"
VECTORS: Final = {"size": 3, "distance": "Cosine"}

Json = Any


class Asking:
    """A stand-in with one collection, `there`, and plain HTTP to it."""

    def __init__(self, standin: StandIn, session: aiohttp.ClientSession) -> None:
        self.standin = standin
        self._session = session

    async def ask(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        """The status, and what the answer says."""
        async with self._session.request(method, f"{self.standin.url}{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def status(self, method: str, path: str, body: Json = None) -> int:
        return (await self.ask(method, path, body))[0]


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    standin = StandIn()
    await standin.appear()
    try:
        async with aiohttp.ClientSession() as session:
            asking = Asking(standin, session)
            made = await asking.ask("PUT", "/collections/there", {"vectors": VECTORS})
            assert made[0] == 200, made
            yield asking
    finally:
        await standin.disappear()
        standin.answers.close()


def upsert(**point: Json) -> Json:
    whole = {"id": 1, "vector": [1.0, 0.0, 0.0], "payload": {}} | point
    return {"operations": [{"upsert": {"points": [whole]}}]}


BATCH = "/collections/there/points/batch"
QUERY = "/collections/there/points/query"


@pytest.mark.parametrize(
    ("status", "method", "path", "body"),
    [
        pytest.param(400, "PUT", "/collections/new", {"vectors": {"size": "3"}}, id="a kind"),
        pytest.param(400, "PUT", "/collections/new", {"vectors": VECTORS, "x": 1}, id="a field"),
        pytest.param(
            400,
            "PUT",
            "/collections/new",
            {"vectors": {"size": 3, "distance": "Far"}},
            id="a choice",
        ),
        pytest.param(422, "PUT", "/collections/new", {"shard_number": 0}, id="a minimum"),
        pytest.param(422, "PUT", "/collections/new", {"vectors": {**VECTORS, "size": 0}}, id="0"),
        pytest.param(409, "PUT", "/collections/there", {"vectors": VECTORS}, id="made before"),
        pytest.param(404, "GET", "/collections/elsewhere", None, id="not there"),
        pytest.param(404, "POST", "/collections/elsewhere/points/count", {}, id="none to count"),
        pytest.param(404, "GET", "/nothing", None, id="no route"),
        pytest.param(
            400, "PUT", "/collections/there/index", {"field_schema": "keyword"}, id="field"
        ),
        pytest.param(422, "POST", BATCH, upsert(id="abc"), id="no UUID"),
        pytest.param(422, "POST", BATCH, upsert(id=-1), id="below 0"),
        pytest.param(400, "POST", BATCH, upsert(vector=[1.0, 0.0]), id="dimensions"),
        pytest.param(400, "POST", BATCH, upsert(vector={"no": [1.0, 0.0, 0.0]}), id="a name"),
        pytest.param(400, "POST", f"{BATCH}?wait=yes", upsert(), id="wait"),
        pytest.param(400, "POST", f"{BATCH}?ordering=very", upsert(), id="ordering"),
        pytest.param(400, "POST", f"{BATCH}?consistency=all", upsert(), id="of a read"),
        pytest.param(400, "POST", f"{QUERY}?timeout=0", {"query": [1.0, 0.0, 0.0]}, id="timeout"),
        pytest.param(422, "POST", QUERY, {"query": [1.0, 0.0, 0.0], "limit": 0}, id="limit"),
        pytest.param(
            422,
            "POST",
            QUERY,
            {"query": [1.0, 0.0, 0.0], "filter": {"must": [{"has_id": [1, 1]}]}},
            id="an item twice",
        ),
        pytest.param(
            422,
            "POST",
            QUERY,
            {"query": {"nearest": {"indices": [4, 4], "values": [1.0, 1.0]}}, "using": "words"},
            id="an index twice",
        ),
        pytest.param(400, "POST", "/collections/there/points", {"ids": ID}, id="no list"),
    ],
)
async def test_what_the_published_description_refuses_is_refused(
    asking: Asking, status: int, method: str, path: str, body: Json
) -> None:
    told, answer = await (
        asking.ask(method, path, body) if path != "/nothing" else _bare(asking, path)
    )
    assert told == status, answer
    if path != "/nothing":
        assert answer["status"]["error"], "a refusal says why"
    assert asking.standin.count("there") == 0, "what is refused is not carried out"


async def _bare(asking: Asking, path: str) -> tuple[int, Json]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{asking.standin.url}{path}") as answer,
    ):
        return answer.status, None


async def test_the_library_itself_is_answered(asking: Asking) -> None:
    def use() -> tuple[str, list[str]]:
        client = QdrantClient(url=asking.standin.url, check_compatibility=False)
        client.create_collection(
            "words",
            vectors_config=models.VectorParams(size=3, distance=models.Distance.COSINE),
            sparse_vectors_config={"w": models.SparseVectorParams(modifier=models.Modifier.IDF)},
            metadata={"made": "by a test"},
            shard_number=2,
        )
        client.create_payload_index("words", "seq", models.PayloadSchemaType.INTEGER)
        client.batch_update_points(
            "words",
            [
                models.UpsertOperation(
                    upsert=models.PointsList(
                        points=[
                            models.PointStruct(
                                id=ID,
                                vector={
                                    "": [1.0, 0.0, 0.0],
                                    "w": models.SparseVector(indices=[7], values=[1.0]),
                                },
                                payload={"seq": 1},
                            )
                        ]
                    )
                )
            ],
        )
        found = client.query_points(
            "words",
            query=models.SparseVector(indices=[7], values=[1.0]),
            using="w",
            query_filter=models.Filter(
                must=[models.FieldCondition(key="seq", range=models.Range(lt=2))]
            ),
        )
        info = client.get_collection("words")
        client.close()
        assert info.config.params.shard_number == 2
        assert info.config.metadata == {"made": "by a test"}
        return info.payload_schema["seq"].data_type, [str(each.id) for each in found.points]

    assert await asyncio.to_thread(use) == ("integer", [ID])


async def test_a_fault_hits_the_requests_that_it_is_for(asking: Asking) -> None:
    faults = [
        {"does": "status", "status": 429, "retry_after": "7", "requests": "writes", "times": 1},
        {"does": "status", "status": 500, "requests": "reads", "every": 2},
    ]
    assert await asking.status("PUT", "/standin/faults", faults) == 200
    writes = [await asking.status("POST", BATCH, upsert(id=number)) for number in range(3)]
    reads = [await asking.status("GET", "/collections/there") for _ in range(4)]
    assert writes == [429, 200, 200]
    assert reads == [500, 200, 500, 200]
    assert asking.standin.count("there") == 2
    _, counts = await asking.ask("GET", "/standin/counts")
    assert counts["failed"] == 3
    assert counts["requests"] == {"create": 1, "batch": 3, "info": 4}
    assert counts["created"] == {"there": 1}
    assert await asking.ask("DELETE", "/standin/faults") == (200, [])
    assert await asking.status("GET", "/collections/there") == 200


async def test_a_lost_answer_is_of_a_write_that_was_made_and_a_cut_of_none(asking: Asking) -> None:
    for does, there in ((Does.CUT, 0), (Does.LOSE, 1)):
        asking.standin.faults.set(Fault(does=does))
        with pytest.raises(aiohttp.ClientError):
            await asking.ask("POST", BATCH, upsert())
        assert asking.standin.count("there") == there


async def test_a_write_that_may_not_be_made_yet_says_so(asking: Asking) -> None:
    asking.standin.faults.set(Fault(does=Does.UNSURE))
    _, batch = await asking.ask("POST", BATCH, upsert())
    _, delete = await asking.ask("POST", "/collections/there/points/delete", {"points": [2]})
    assert [batch["result"][0]["status"], delete["result"]["status"]] == ["wait_timeout"] * 2
    assert await asking.status("POST", BATCH, {"operations": "none"}) == 400


async def test_a_fault_that_is_none_is_refused(asking: Asking) -> None:
    for wrong in ([{"does": "sulk"}], [{"does": "status", "status": 200}], {"does": "cut"}):
        assert await asking.status("PUT", "/standin/faults", wrong) == 400
    assert await asking.status("POST", "/standin/faults", []) == 405


async def test_a_key_must_be_brought_where_one_is_set() -> None:
    standin = StandIn(api_key="right")
    await standin.appear()
    try:
        async with aiohttp.ClientSession() as session:
            statuses = []
            for headers in ({}, {"api-key": "wrong"}, {"api-key": "right"}):
                where = f"{standin.url}/collections/x/exists"
                async with session.get(where, headers=headers) as answer:
                    statuses.append(answer.status)
            async with session.get(standin.url, headers={"Authorization": "Bearer right"}) as root:
                assert (await root.json())["version"]
        assert statuses == [401, 401, 200]
    finally:
        await standin.disappear()
        standin.answers.close()


async def test_an_older_version_leaves_out_what_it_does_not_know() -> None:
    standin = StandIn(version="1.15.4")
    await standin.appear()
    try:
        async with aiohttp.ClientSession() as session:
            asking = Asking(standin, session)
            metadata = {"vectors": VECTORS, "metadata": {"made": "in vain"}}
            await asking.ask("PUT", "/collections/there", metadata)
            _, info = await asking.ask("GET", "/collections/there")
            only_update = upsert()
            only_update["operations"][0]["upsert"]["update_mode"] = "update_only"
            assert await asking.status("POST", BATCH, only_update) == 200
        assert not info["result"]["config"]["metadata"]
        assert standin.count("there") == 1, "the condition was heeded"
    finally:
        await standin.disappear()
        standin.answers.close()


# ------------------------------------------------------------------------------------ as a program


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.standins.qdrant", *arguments),
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_anyone_can_start_it_with_faults_and_it_keeps_its_folder(tmp_path: Path) -> None:
    for failed in (["--status", "503", "--times", "1"], []):
        program = await start("0", "--folder", str(tmp_path / "held"), *failed)
        assert program.stdout is not None
        url = (await program.stdout.readline()).decode().split()[-1]
        async with aiohttp.ClientSession() as session:

            async def create(session: aiohttp.ClientSession, url: str) -> int:
                body = json.dumps({"vectors": VECTORS})
                async with session.put(f"{url}/collections/kept", data=body) as answer:
                    return answer.status

            statuses = [await create(session, url) for _ in range(2)]
        program.send_signal(signal.SIGTERM)
        _, told = await program.communicate()
        assert (program.returncode, told) == (0, b"")
        assert statuses == ([503, 200] if failed else [409, 409]), "the folder was not kept"


async def test_a_wrong_argument_is_named_in_one_line() -> None:
    program = await start("0", "--status", "200")
    _, told = await program.communicate()
    assert program.returncode == 2
    assert "status" in told.decode().splitlines()[-1]
    assert b"Traceback" not in told
