"""An HTTP server that speaks the part of Qdrant's REST API that we use, and fails as it is told.

What it holds is in the library's own in-memory mode: filters, conditional upserts and scores are
Qdrant's, and only the network and the answers are ours.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from qdrant_client import QdrantClient, models

Json = Any

_DRIP_SECONDS = 0.01


class Failing(StrEnum):
    """What it does instead of its work."""

    STALLS = "stalls"
    """It takes the request, and never answers."""
    DRIPS = "sends an answer that never ends"
    """A byte now and then, so that it is never silent for long."""
    TOO_MANY_REQUESTS = "answers 429"
    SERVER_ERROR = "answers 500"
    KEY_REFUSED = "answers 401"
    READ_ONLY = "answers 500 to writes"
    """As a server whose disk is full."""
    LOSES_THE_ANSWER = "carries out, and loses the answer"
    """Of every other request."""


class FakeQdrant:
    """What `fake_qdrant` gives; its `url` is for CHORUS_QDRANT_URL."""

    def __init__(self) -> None:
        self.url = ""
        self.failing: Failing | None = None
        self.failed = 0
        """Requests that it failed."""
        self._store = QdrantClient(":memory:")
        self._indexed: dict[str, set[str]] = {}
        self._requests = 0
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def appear(self) -> None:
        """Listen, at the same place as before."""
        app = web.Application()
        for method, path, answer in self._routes():
            app.router.add_route(method, f"/collections/{{name}}{path}", self._guarded(answer))
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = int(self._runner.addresses[0][1])
        self.url = f"http://127.0.0.1:{self._port}"

    async def disappear(self) -> None:
        """Refuse connections, and end those that are open."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def lose_everything(self) -> None:
        """As a server that comes back with an empty disk."""
        self._store = QdrantClient(":memory:")
        self._indexed.clear()

    def count(self, collection: str) -> int:
        """Points in a collection."""
        if not self._store.collection_exists(collection):
            return 0
        return self._store.count(collection).count

    # Requests

    def _routes(self) -> list[tuple[str, str, Callable[[str, Json], object]]]:
        return [
            ("GET", "/exists", lambda name, _: {"exists": self._store.collection_exists(name)}),
            ("GET", "", lambda name, _: self._info(name)),
            ("PUT", "", self._create),
            ("DELETE", "", lambda name, _: self._store.delete_collection(name)),
            ("PUT", "/index", self._index),
            ("POST", "/points/batch", self._batch),
            ("POST", "/points/delete", self._delete),
            ("POST", "/points/query", self._query),
            ("POST", "/points/query/batch", self._query_batch),
            ("POST", "/points/scroll", self._scroll),
            ("POST", "/points/count", lambda name, _: self._store.count(name)),
            ("POST", "/points", self._retrieve),
        ]

    def _guarded(self, answer: Callable[[str, Json], object]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._requests += 1
            match self.failing:
                case Failing.STALLS:
                    self.failed += 1
                    await asyncio.Event().wait()
                case Failing.DRIPS:
                    self.failed += 1
                    return await _drip(request)
                case Failing.TOO_MANY_REQUESTS:
                    self.failed += 1
                    return web.json_response(
                        {"status": {"error": "slow down"}}, status=429, headers={"Retry-After": "1"}
                    )
                case Failing.KEY_REFUSED:
                    self.failed += 1
                    return web.json_response({"status": {"error": "who are you?"}}, status=401)
                case Failing.READ_ONLY if not _is_reading(request):
                    self.failed += 1
                    return web.json_response({"status": {"error": "no space left"}}, status=500)
                case Failing.SERVER_ERROR:
                    self.failed += 1
                    return web.json_response({"status": {"error": "sorry"}}, status=500)
                case _:
                    pass
            body = await request.json() if request.can_read_body else None
            name = request.match_info["name"]
            if request.path.endswith(name) and request.method == "GET" and not self._has(name):
                return web.json_response({"status": {"error": "no such collection"}}, status=404)
            try:
                result = answer(name, body)
            except ValueError as error:
                return web.json_response({"status": {"error": str(error)}}, status=404)
            if self.failing is Failing.LOSES_THE_ANSWER and self._requests % 2:
                self.failed += 1
                assert request.transport is not None
                request.transport.abort()
            return web.json_response({"result": _plain(result), "status": "ok", "time": 0.0})

        return handle

    def _has(self, name: str) -> bool:
        return self._store.collection_exists(name)

    def _info(self, name: str) -> Json:
        info = self._store.get_collection(name).model_dump(mode="json")
        info["payload_schema"] = {
            field: {"data_type": "keyword", "points": 0} for field in self._indexed.get(name, ())
        }
        return info

    def _create(self, name: str, body: Json) -> object:
        wanted = models.CreateCollection.model_validate(body)
        return self._store.create_collection(
            name,
            vectors_config=wanted.vectors or {},
            sparse_vectors_config=wanted.sparse_vectors,
            metadata=wanted.metadata,
        )

    def _index(self, name: str, body: Json) -> object:
        self._indexed.setdefault(name, set()).add(body["field_name"])
        return {"operation_id": 0, "status": "completed"}

    def _batch(self, name: str, body: Json) -> object:
        operations = models.UpdateOperations.model_validate(body).operations
        return self._store.batch_update_points(name, operations)

    def _delete(self, name: str, body: Json) -> object:
        kind = models.PointIdsList if "points" in body else models.FilterSelector
        return self._store.delete(name, kind.model_validate(body))

    def _query(self, name: str, body: Json) -> object:
        asked = models.QueryRequest.model_validate(body)
        return self._store.query_points(
            name,
            query=body["query"] if isinstance(body["query"], list) else body["query"]["nearest"],
            query_filter=asked.filter,
            limit=asked.limit or 10,
            with_payload=True,
        )

    def _query_batch(self, name: str, body: Json) -> object:
        asked = models.QueryRequestBatch.model_validate(body)
        return self._store.query_batch_points(name, asked.searches)

    def _scroll(self, name: str, body: Json) -> object:
        asked = models.ScrollRequest.model_validate(body)
        points, following = self._store.scroll(
            name,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=True,
            with_vectors=bool(asked.with_vector),
        )
        return {"points": [_plain(point) for point in points], "next_page_offset": following}

    def _retrieve(self, name: str, body: Json) -> object:
        return self._store.retrieve(
            name, body["ids"], with_payload=True, with_vectors=bool(body.get("with_vector"))
        )


async def _drip(request: web.Request) -> web.StreamResponse:
    """Answer as if it were well, and go on until the caller is gone."""
    response = web.StreamResponse(headers={"content-type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")  # white space, which JSON may begin with
        await asyncio.sleep(_DRIP_SECONDS)


def _is_reading(request: web.Request) -> bool:
    if request.method == "POST":
        return not request.path.endswith(("/points/batch", "/points/delete"))
    return request.method == "GET"


def _plain(value: object) -> object:
    """The JSON of what the library returns."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


@asynccontextmanager
async def fake_qdrant() -> AsyncIterator[FakeQdrant]:
    """A running one, on a free port of this machine."""
    fake = FakeQdrant()
    await fake.appear()
    try:
        yield fake
    finally:
        await fake.disappear()
