"""The routes of the stand-in: what each request does, and what is answered.

An older server leaves out of a request what it does not know, and says nothing of it: so does this one
where it is told to be of an older version.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from qdrant_client import QdrantClient, models

from tests.standins.qdrant.shapes import Json, Refused

NEWEST: Final = "1.19.0"

Version = tuple[int, int]


@dataclass(frozen=True)
class Route:
    """One kind of request."""

    method: str
    path: str
    """Behind `/collections/{name}`."""
    kind: str
    answer: Callable[[str, Json], object]
    writes: bool = False


class Answers:
    """What the server holds, and its answers; every method is called from one thread."""

    def __init__(self, version: str = NEWEST, folder: Path | None = None) -> None:
        """`folder` keeps the collections; None keeps them in memory."""
        self.version = version
        major, minor = version.split(".")[:2]
        self._version: Version = (int(major), int(minor))
        self._folder = folder
        self._store = self._opened()
        self._indexed: dict[str, dict[str, str]] = {}
        self._made_with: dict[str, models.CreateCollection] = {}
        self.created: Counter[str] = Counter()
        """How often each collection was made, ever."""

    def close(self) -> None:
        """Let go of the folder."""
        self._store.close()

    def lose_everything(self) -> None:
        """As a server that comes back with an empty disk."""
        for each in self._store.get_collections().collections:
            self._store.delete_collection(each.name)
        self._indexed.clear()
        self._made_with.clear()

    def count(self, collection: str) -> int:
        """Points in a collection; 0 where it is missing."""
        return self._store.count(collection).count if self.has(collection) else 0

    def made_with(self, collection: str) -> models.CreateCollection:
        """The request that made a collection."""
        return self._made_with[collection]

    def has(self, collection: str) -> bool:
        """Whether a collection is there."""
        return self._store.collection_exists(collection)

    def routes(self) -> list[Route]:
        """All of them."""
        found = [
            Route("GET", "/exists", "exists", lambda name, _: {"exists": self.has(name)}),
            Route("GET", "", "info", lambda name, _: self._info(name)),
            Route("PUT", "", "create", self._create, writes=True),
            Route("DELETE", "", "drop", lambda name, _: self._drop(name), writes=True),
            Route("PUT", "/index", "index", self._index, writes=True),
            Route("POST", "/points/batch", "batch", self._batch, writes=True),
            Route("POST", "/points/delete", "delete", self._delete, writes=True),
            Route("POST", "/points/scroll", "scroll", self._scroll),
            Route("POST", "/points/count", "count", lambda name, _: self._store.count(name)),
            Route("POST", "/points", "retrieve", self._retrieve),
        ]
        if self._version >= (1, 10):
            found += [
                Route("POST", "/points/query", "query", self._query),
                Route("POST", "/points/query/batch", "query batch", self._query_batch),
            ]
        return found

    def _opened(self) -> QdrantClient:
        if self._folder is None:
            return QdrantClient(":memory:")
        return QdrantClient(path=str(self._folder))

    # ---------------------------------------------------------------------------------- collections

    def _info(self, name: str) -> Json:
        info = self._store.get_collection(name).model_dump(mode="json")
        info["payload_schema"] = {
            field: {"data_type": kind, "points": 0}
            for field, kind in self._indexed.get(name, {}).items()
        }
        if (made_with := self._made_with.get(name)) is not None:
            info["config"]["params"] |= {
                "shard_number": made_with.shard_number or 1,
                "replication_factor": made_with.replication_factor or 1,
                "write_consistency_factor": made_with.write_consistency_factor or 1,
            }
        return info

    def _create(self, name: str, body: Json) -> object:
        wanted = models.CreateCollection.model_validate(body)
        if self.has(name):
            raise Refused(409, f"Collection `{name}` already exists!")
        self.created[name] += 1
        self._made_with[name] = wanted
        return self._store.create_collection(
            name,
            vectors_config=wanted.vectors or {},
            sparse_vectors_config=wanted.sparse_vectors,
            metadata=wanted.metadata if self._version >= (1, 16) else None,
        )

    def _drop(self, name: str) -> object:
        self._indexed.pop(name, None)
        return self._store.delete_collection(name)

    def _index(self, name: str, body: Json) -> object:
        wanted = models.CreateFieldIndex.model_validate(body)
        kind = wanted.field_schema
        self._indexed.setdefault(name, {})[wanted.field_name] = (
            kind.value if isinstance(kind, models.PayloadSchemaType) else "keyword"
        )
        return done()

    # --------------------------------------------------------------------------------------- points

    def _batch(self, name: str, body: Json) -> object:
        for operation in body["operations"]:
            if "upsert" in operation:
                if self._version < (1, 16):
                    operation["upsert"].pop("update_filter", None)
                if self._version < (1, 17):
                    operation["upsert"].pop("update_mode", None)
        operations = models.UpdateOperations.model_validate(body).operations
        return self._store.batch_update_points(name, operations)

    def _delete(self, name: str, body: Json) -> object:
        kind = models.PointIdsList if "points" in body else models.FilterSelector
        return self._store.delete(name, kind.model_validate(body))

    def _query(self, name: str, body: Json) -> object:
        asked = models.QueryRequest.model_validate(body)
        return self._store.query_batch_points(name, [asked])[0]

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
        return {"points": plain(list(points)), "next_page_offset": following}

    def _retrieve(self, name: str, body: Json) -> object:
        return self._store.retrieve(
            name, body["ids"], with_payload=True, with_vectors=bool(body.get("with_vector"))
        )


def done(status: str = "completed") -> Mapping[str, object]:
    """The result of one write."""
    return {"operation_id": 0, "status": status}


def plain(value: object) -> object:
    """The JSON of what the library gives."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value
