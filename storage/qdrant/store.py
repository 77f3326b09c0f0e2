"""What a store on `qdrant_client` does, wherever its Qdrant is: a `VectorStore`.

Effects become calls of the library, and its exceptions errors of ours. What an operation needs, and
what to do about an error, is decided in `storage.memory.operations`; how a server is reached and searched,
in `storage.qdrant.remote`.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import (
    TYPE_CHECKING,
    ClassVar,
    Concatenate,
    Final,
    Literal,
    ParamSpec,
    TypeVar,
    assert_never,
    cast,
)

from pydantic import ValidationError

from machines.models import errors
from machines.models.ids import PointId
from machines.models.outputs import Prior
from storage.memory.facts import PointFacts
from storage.memory.memory import Prepared
from storage.memory.points import Collection, LinkPayload, MessagePoint
from storage.memory.values import (
    CollectionState,
    PayloadIndex,
    QueryPoints,
    RemovePoints,
    StorageEffect,
    WritePoints,
)
from storage.memory.vectors import EMBEDDED_ANEW, diagnose_vector, must_be_made_anew
from storage.memory.visibility import payload_of
from storage.qdrant.errors import as_storage_error

if TYPE_CHECKING:
    from uuid import UUID

    from qdrant_client import QdrantClient, models

    from storage.embedded.rows import StoredPoint

log = logging.getLogger(__name__)

P = ParamSpec("P")
S = TypeVar("S", bound="QdrantStore")
T = TypeVar("T")

_FACTS_PAGE: Final = 2_000
"""Points read at once for a comparison; searches get their turn between two pages."""

ENDS_OF_LINKS: Final = ("prior_message_id", "prompt_message_id")
"""Payload fields that name the messages which a link ends at."""


def with_our_errors(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Let no exception of the library out of a method of a store."""

    @wraps(method)
    def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except errors.StorageError:
            raise
        except Exception as error:
            raise as_storage_error(error) from error

    return guarded


@dataclass(frozen=True, slots=True)
class Spread:
    """How a collection that is made is spread over a cluster; None leaves it to the server."""

    shards: int | None = None
    replicas: int | None = None
    """Of each shard."""

    @property
    def replicas_that_must_write(self) -> int | None:
        """The others of a shard may be gone: of 3 one, of 2 one too."""
        return None if self.replicas is None else (self.replicas + 1) // 2


class QdrantStore(ABC):
    """The library's sync client as a `VectorStore`.

    A write is told when it can be searched (`wait`), and writes of one point are made in one order by
    all that write it (`ordering=strong`).
    """

    calls_at_once: int = 1
    indexed: ClassVar[Mapping[Collection, Mapping[str, Literal["keyword", "integer"]]]] = {}
    """Payload fields that the store itself filters a collection by, and so must index."""
    spread: Spread

    def __init__(self, dimensions: int, fingerprint: str) -> None:
        self.spread = Spread()
        self._dimensions = dimensions
        self._fingerprint = fingerprint
        self._client: QdrantClient | None = None
        self._connecting = threading.Lock()
        self._preparing = threading.Lock()
        self._made: set[Collection] = set()
        """Collections that are there empty, and were not reported yet."""

    @property
    def _connected(self) -> "QdrantClient":
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
            return self._client

    @abstractmethod
    def _connect(self) -> "QdrantClient":
        """A client; a server is connected to with its first call."""

    @abstractmethod
    def _query(self, effect: QueryPoints) -> tuple[Prior, ...]:
        """The best of what the scope allows, best first, then by id."""

    @abstractmethod
    def _verify_server(self) -> None:
        """Raises ConnectionError, not retryable, where this is no server that will do."""

    def _sparse_vectors(self) -> "dict[str, models.SparseVectorParams] | None":
        """What messages have beside their vector, if anything."""
        return None

    def _vectors(self, point: MessagePoint) -> "models.VectorStruct":
        """A message's vector, and what stands beside it."""
        return list(point.vector)

    @with_our_errors
    def close(self) -> None:
        """Let go of it; the next call connects again."""
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # ------------------------------------------------------------------------------ collections

    @with_our_errors
    def prepare(self, *, accept_other: bool) -> Prepared:
        """Make what is missing; tell what was made, and what is there now."""
        with self._preparing:
            return self._prepare(accept_other=accept_other)

    def _prepare(self, *, accept_other: bool) -> Prepared:
        self._verify_server()
        for name in Collection:
            if self._make(name):
                self._made.add(name)
        if not accept_other:
            self._refuse_or_replace_other_vectors()
        described = [self._describe(name) for name in Collection]
        points = {name: self._connected.count(name, exact=True).count for name in Collection}
        made = frozenset(self._made)
        self._made.clear()
        return Prepared(
            made=made,
            collections=tuple(state for state, _ in described),
            indices=tuple(index for _, fields in described for index in fields),
            points=points,
        )

    def _refuse_or_replace_other_vectors(self) -> None:
        """Make the collection of the messages anew where it must be. Raises FingerprintMismatch."""
        state, _ = self._describe(Collection.MESSAGES)
        if not must_be_made_anew(state, self._dimensions, self._fingerprint):
            return
        log.warning(EMBEDDED_ANEW)
        self.drop(Collection.MESSAGES)
        if self._make(Collection.MESSAGES):
            self._made.add(Collection.MESSAGES)

    def _make(self, name: Collection) -> bool:
        from qdrant_client import models
        from qdrant_client.http.exceptions import UnexpectedResponse

        if self._connected.collection_exists(name):
            return False
        with_vectors = name is Collection.MESSAGES
        try:
            self._connected.create_collection(
                name,
                vectors_config=(
                    models.VectorParams(size=self._dimensions, distance=models.Distance.COSINE)
                    if with_vectors
                    else {}
                ),
                sparse_vectors_config=self._sparse_vectors() if with_vectors else None,
                metadata={"fingerprint": self._fingerprint} if with_vectors else {},
                shard_number=self.spread.shards,
                replication_factor=self.spread.replicas,
                write_consistency_factor=self.spread.replicas_that_must_write,
            )
        except UnexpectedResponse as error:
            if error.status_code == HTTPStatus.CONFLICT:
                return False  # another server made it at the same moment
            raise
        return True

    def _describe(self, name: Collection) -> tuple[CollectionState, list[PayloadIndex]]:
        from qdrant_client import models

        info = self._connected.get_collection(name)
        wanted = self.indexed.get(name, {})
        for field in sorted(wanted.keys() - info.payload_schema.keys()):
            made = self._connected.create_payload_index(
                name,
                field,
                field_schema=models.PayloadSchemaType(wanted[field]),
                wait=True,
                ordering=models.WriteOrdering.STRONG,
            )
            _must_be_done(made)
        vectors = info.config.params.vectors
        fingerprint = (info.config.metadata or {}).get("fingerprint")
        state = CollectionState(
            name=name,
            dimensions=vectors.size if isinstance(vectors, models.VectorParams) else None,
            fingerprint=fingerprint if isinstance(fingerprint, str) else None,
            filtered_by=frozenset(wanted),
        )
        indexed = wanted.keys() | info.payload_schema.keys()
        return state, [PayloadIndex(collection=name, field=field) for field in sorted(indexed)]

    @with_our_errors
    def drop(self, name: Collection) -> None:
        """Remove a collection with all that is in it."""
        self._connected.delete_collection(name)

    # ---------------------------------------------------------------------------------- effects

    @with_our_errors
    def perform(self, effect: StorageEffect) -> tuple[Prior, ...]:
        """Carry out an effect; what a query found, else nothing."""
        match effect:
            case WritePoints():
                self._write(effect)
            case QueryPoints():
                return self._query(effect)
            case RemovePoints():
                self._remove(effect)
            case _:
                assert_never(effect)
        return ()

    def _write(self, effect: WritePoints) -> None:
        from qdrant_client import models

        # A batch may end half written. Each point of it is conditional and has a derived id, so
        # that writing it again finishes it.
        upserts = [
            models.PointsList(
                points=[
                    models.PointStruct(
                        id=point.id,
                        vector=self._vectors(point) if isinstance(point, MessagePoint) else {},
                        payload=point.payload.model_dump(mode="json"),
                    )
                ],
                update_mode=models.UpdateMode.UPDATE_ONLY if effect.when == "present" else None,
                update_filter=(
                    models.Filter(
                        must=[
                            models.FieldCondition(
                                key="seq", range=models.Range(lt=point.payload.seq)
                            )
                        ]
                    )
                    if effect.when == "newer"
                    else None
                ),
            )
            for point in effect.points
        ]
        written = self._connected.batch_update_points(
            effect.collection,
            [models.UpsertOperation(upsert=upsert) for upsert in upserts],
            wait=True,
            ordering=models.WriteOrdering.STRONG,
        )
        _must_be_done(*written)

    def _remove(self, effect: RemovePoints) -> None:
        from qdrant_client import models

        ids: list[int | str | UUID] = list(effect.ids)
        if effect.with_links:
            there = self._connected.retrieve(effect.collection, ids, with_payload=["message_id"])
            messages = [str((record.payload or {}).get("message_id")) for record in there]
            if messages:
                ends: list[models.Condition] = [
                    models.FieldCondition(key=field, match=models.MatchAny(any=messages))
                    for field in ENDS_OF_LINKS
                ]
                self._delete(
                    Collection.LINKS, models.FilterSelector(filter=models.Filter(should=ends))
                )
        self._delete(effect.collection, models.PointIdsList(points=ids))

    def _delete(self, name: Collection, which: "models.PointsSelector") -> None:
        from qdrant_client import models

        removed = self._connected.delete(
            name, which, wait=True, ordering=models.WriteOrdering.STRONG
        )
        _must_be_done(removed)

    def _stored(self, ids: Sequence[PointId]) -> "list[StoredPoint]":
        """What Qdrant holds of messages under these ids."""
        records = self._connected.retrieve(
            Collection.MESSAGES, ids, with_payload=True, with_vectors=True
        )
        return [stored_point(record) for record in records]

    # ------------------------------------------------------------------------------------ facts

    @with_our_errors
    def facts_page(
        self, name: Collection, after: PointId | None
    ) -> tuple[list[PointFacts], PointId | None]:
        """A page of facts, and where the next one begins; None at the end."""
        records, following = self._connected.scroll(
            name, limit=_FACTS_PAGE, offset=after, with_payload=True, with_vectors=True
        )
        if name is Collection.MESSAGES:
            facts = [_message_fact(record, self._dimensions) for record in records]
        else:
            facts = [_link_fact(record) for record in records]
        return facts, None if following is None else PointId(str(following))


def _must_be_done(*told: "models.UpdateResult") -> None:
    """Raises ConnectionError, retryable, where a server does not say that a write can be searched.

    After a wait of its own that was too long it says so with a status and not with an error: then the
    write is made or will be, and making it again changes nothing.
    """
    from qdrant_client import models

    if any(each.status is models.UpdateStatus.WAIT_TIMEOUT for each in told):
        raise errors.ConnectionError(
            "The vector store does not say whether it has written.", detail=str(told)
        )


def stored_point(record: "models.Record | models.ScoredPoint") -> "StoredPoint":
    """A message's point for an index."""
    from storage.embedded.rows import StoredPoint

    return StoredPoint(PointId(str(record.id)), vector_of(record), record.payload)


def vector_of(record: "models.Record | models.ScoredPoint") -> list[float] | None:
    """The one dense vector of a point; None where it has none."""
    vectors = record.vector
    # A server gives the one without a name among the named ones.
    vector = vectors.get("") if isinstance(vectors, dict) else vectors
    return cast("list[float]", vector) if isinstance(vector, list) else None


def _message_fact(record: "models.Record", dimensions: int) -> PointFacts:
    message = payload_of(record.payload)
    vector = vector_of(record) or []
    return PointFacts(
        id=PointId(str(record.id)),
        seq=message.seq if message else 0,
        digest=message.digest() if message else "",
        health=diagnose_vector(vector, dimensions),
        size=len(vector),
        fingerprint=message.fingerprint if message else None,
    )


def _link_fact(record: "models.Record") -> PointFacts:
    id_ = PointId(str(record.id))
    try:
        link = LinkPayload.model_validate(record.payload)
    except ValidationError:
        return PointFacts(id=id_, seq=0, digest="")
    return PointFacts(id=id_, seq=link.seq, digest=link.digest(), ends=link.ends)
