"""The memory on a Qdrant server or cluster, over HTTP: the server keeps, filters and searches."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from machines.models import errors
from machines.models.outputs import Prior
from machines.models.thread import Visibility
from storage.memory.points import Collection, MessagePoint, message_point_id
from storage.memory.sparse_words import of_message, of_question
from storage.memory.values import QueryPoints, SearchScope
from storage.memory.visibility import readable
from storage.qdrant.store import ENDS_OF_LINKS, QdrantStore, Spread, stored_point
from storage.qdrant.versions import not_qdrant, verify_server

if TYPE_CHECKING:
    from uuid import UUID

    from qdrant_client import QdrantClient, models

_WORDS: Final = "words"
"""Name of the sparse vectors."""

_MORE_CANDIDATES: Final = 48
"""Messages that are asked of the server by vector and by words each, beyond those that are shown."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class MemoryServer:
    """A Qdrant server or cluster."""

    url: str
    """Port 6333 unless it names another, as everywhere with Qdrant."""
    api_key: str | None = None
    connections: int = 8
    """As many requests are under way at once."""
    spread: Spread = field(default_factory=Spread)
    keepalive_seconds: float = 60.0
    request_seconds: float = 30.0
    """The longest that one request may take, however steadily bytes of its answer come. A page of
    points is some 20 MB."""


class ServerStore(QdrantStore):
    """A store behind a URL."""

    indexed: ClassVar[Mapping[Collection, Mapping[str, Literal["keyword", "integer"]]]] = {
        Collection.MESSAGES: {"thread_id": "keyword", "visibility": "keyword", "seq": "integer"},
        Collection.LINKS: {**dict.fromkeys(ENDS_OF_LINKS, "keyword"), "seq": "integer"},
    }

    def __init__(
        self, server: MemoryServer, dimensions: int, fingerprint: str, timeout_seconds: float
    ) -> None:
        """`timeout_seconds` is the longest silence of the server; whole seconds, rounded up."""
        super().__init__(dimensions, fingerprint)
        self._server = server
        self._timeout_seconds = timeout_seconds
        self.calls_at_once = server.connections
        self.spread = server.spread

    def _verify_server(self) -> None:
        from qdrant_client.http.exceptions import UnexpectedResponse

        try:
            told = self._connected.info()
        except UnexpectedResponse as error:
            if error.status_code == HTTPStatus.NOT_FOUND:
                raise not_qdrant(repr(error)) from error
            raise
        verify_server(told.title, told.version)

    def _sparse_vectors(self) -> "dict[str, models.SparseVectorParams]":
        from qdrant_client import models

        return {_WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)}

    def _vectors(self, point: MessagePoint) -> "models.VectorStruct":
        from qdrant_client import models

        words = of_message(point.payload.said, point.payload.day)
        return {
            "": list(point.vector),
            _WORDS: models.SparseVector(indices=words.indices, values=words.values),
        }

    def _connect(self) -> "QdrantClient":
        import httpx
        from qdrant_client import QdrantClient

        from storage.qdrant.bounded_http import proxy_for
        from storage.qdrant.transport import Transport

        server = self._server
        try:
            url = httpx.URL(server.url)
            return QdrantClient(
                url=server.url,
                # Not as `api_key`, with which the library prints warnings of its own.
                headers={"api-key": server.api_key} if server.api_key else None,
                timeout=math.ceil(self._timeout_seconds),
                check_compatibility=False,
                # The library's own keeps no connection to localhost alive, and waits for ever for an
                # answer that never ends.
                transport=Transport(
                    seconds=server.request_seconds,
                    limits=httpx.Limits(
                        max_connections=server.connections,
                        max_keepalive_connections=server.connections,
                        keepalive_expiry=server.keepalive_seconds,
                    ),
                    # A proxy for the outside must not be asked for this machine.
                    proxy=None if url.host in _LOOPBACK else proxy_for(url),
                ),
            )
        except (ValueError, httpx.InvalidURL) as error:
            raise errors.ConnectionError(
                "The vector store's address is not a URL: check CHORUS_QDRANT_URL.",
                retryable=False,
                detail=repr(error),
            ) from error

    def _query(self, effect: QueryPoints) -> tuple[Prior, ...]:
        if effect.text:
            return self._ranked(effect)
        hits = self._connected.query_points(
            Collection.MESSAGES,
            query=list(effect.vector),
            query_filter=scope_filter(effect.scope),
            limit=effect.limit,
            with_payload=True,
        ).points
        return readable(((hit.score, hit.payload) for hit in hits), effect.scope, effect.limit)

    def _ranked(self, effect: QueryPoints) -> tuple[Prior, ...]:
        """The candidates that the server finds, ranked as an embedded memory ranks all it has."""
        from qdrant_client import models

        from storage.embedded.hybrid_index import index_of

        words = of_question(effect.text)
        queries: list[models.QueryRequest] = [
            self._candidates(effect, models.NearestQuery(nearest=list(effect.vector)), None)
        ]
        if words.indices:
            sparse = models.SparseVector(indices=words.indices, values=words.values)
            queries.append(self._candidates(effect, models.NearestQuery(nearest=sparse), _WORDS))
        answers = self._connected.query_batch_points(Collection.MESSAGES, queries)
        found = [stored_point(hit) for answer in answers for hit in answer.points]
        if effect.scope.exclude:
            # What is known is not shown, and neither is what says the same.
            found += self._stored([message_point_id(id_) for id_ in sorted(effect.scope.exclude)])
        each_once = list({point.id: point for point in found}.values())
        return index_of(each_once, self._dimensions).find(effect)

    def _candidates(
        self, effect: QueryPoints, query: "models.NearestQuery", using: str | None
    ) -> "models.QueryRequest":
        from qdrant_client import models

        return models.QueryRequest(
            query=query,
            using=using,
            filter=scope_filter(effect.scope),
            limit=effect.limit + _MORE_CANDIDATES,
            with_payload=True,
            with_vector=True,
        )


def scope_filter(scope: SearchScope) -> "models.Filter":
    """`SearchScope.allows` in Qdrant's terms, for a scope that is not empty."""
    from qdrant_client import models

    def equals(field: str, value: str) -> models.FieldCondition:
        return models.FieldCondition(key=field, match=models.MatchValue(value=value))

    allowed: list[models.Condition] = []
    if scope.private_thread_ids:
        threads: list[str] = sorted(scope.private_thread_ids)
        allowed.append(models.FieldCondition(key="thread_id", match=models.MatchAny(any=threads)))
    if scope.include_public:
        allowed.append(equals("visibility", Visibility.PUBLIC))
    must: list[models.Condition] = [models.Filter(should=allowed)]
    if scope.thread_id is not None:
        must.append(equals("thread_id", scope.thread_id))
    excluded: list[int | str | UUID] = [message_point_id(id_) for id_ in sorted(scope.exclude)]
    return models.Filter(
        must=must, must_not=[models.HasIdCondition(has_id=excluded)] if excluded else None
    )
