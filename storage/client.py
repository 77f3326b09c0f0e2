"""The memory on Qdrant: `DatabaseClient`, and the only code that knows `qdrant_client`.

Effects become calls of the library, and its exceptions become errors of ours, without its text.
What an operation needs, and what to do about an error, is decided in `storage.operations`.
"""

import asyncio
import logging
import math
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar, assert_never, cast
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import ValidationError

from machines.models import errors
from machines.models.consistency import (
    PointFacts,
)
from machines.models.domain import Visibility
from machines.models.ids import PointId
from machines.models.storage import (
    Collection,
    CollectionState,
    FingerprintMismatch,
    LinkPayload,
    MessagePayload,
    MessagePoint,
    PayloadIndex,
    QueryPoints,
    RecoveryPolicy,
    RemovePoints,
    ScoredMessage,
    SearchScope,
    StorageEffect,
    WritePoints,
    message_point_id,
)
from storage.attempts import Perseverance
from storage.memory import Memory
from storage.operations import (
    DEFAULT_POLICY,
)
from storage.vectors import diagnose_vector

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_FACTS_PAGE: Final = 2_000
"""Points read at once for a comparison; searches get their turn between two pages."""

_FIRST_WINDOW: Final = 64
_WIDENING: Final = 4
"""An embedded search looks at so many times its limit, and at so many times that if need be."""

_FILTERED_BY: Final = {
    Collection.MESSAGES: frozenset({"thread_id", "visibility"}),
    Collection.LINKS: frozenset({"prompt_message_id", "prior_message_id"}),
}
"""Payload fields that a Qdrant server filters by, and so must index."""


_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class EmbeddedMemory:
    """The store in this process, in a folder that it holds alone."""

    folder: Path


@dataclass(frozen=True, slots=True)
class MemoryServer:
    """A Qdrant server or cluster."""

    url: str
    api_key: str | None = None
    max_connections: int = 8
    keepalive_seconds: float = 60.0


MemoryLocation = EmbeddedMemory | MemoryServer


class DatabaseClient(Memory):
    """The memory on Qdrant, embedded or a server: see `Memory` for what to call."""

    def __init__(
        self,
        location: MemoryLocation,
        *,
        dimensions: int,
        fingerprint: str,
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        policy: RecoveryPolicy = DEFAULT_POLICY,
        embed: Callable[[str], Awaitable[Sequence[float]]] | None = None,
        timeout_seconds: float = 5.0,
    ) -> None:
        """Nothing is opened yet; call `open` next.

        Args:
            dimensions: size of the embedder's vectors.
            fingerprint: names the embedder; recorded with the collection.
            jitter: from 0 to 1, a new number each time.
            embed: embeds a message's content again where its vector is no use; raises
                `ChorusError` alone.
            timeout_seconds: of one call of a server; whole seconds, rounded up.
        """
        super().__init__(
            QdrantStore(location, dimensions, fingerprint, timeout_seconds),
            Perseverance(policy, sleep, jitter, fingerprint, embed),
        )


def _with_our_errors(
    method: "Callable[Concatenate[QdrantStore, P], T]",
) -> "Callable[Concatenate[QdrantStore, P], T]":
    """Let no exception of the library out of a method."""

    @wraps(method)
    def guarded(self: "QdrantStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except errors.StorageError:
            raise
        except Exception as error:
            if isinstance(error, sqlite3.Error | OSError):
                self._let_go()
            raise _as_storage_error(error) from error

    return guarded


class QdrantStore:
    """The library's sync client as a `VectorStore`."""

    def __init__(
        self, location: MemoryLocation, dimensions: int, fingerprint: str, timeout_seconds: float
    ) -> None:
        self._location = location
        self._fingerprint = fingerprint
        self._dimensions = dimensions
        self._timeout_seconds = timeout_seconds
        self._client: QdrantClient | None = None
        self.store_filters = isinstance(location, MemoryServer)
        """Whether the store filters a search: embedded it would, in Python, ten times slower."""

    @property
    def _connected(self) -> "QdrantClient":
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> "QdrantClient":
        match self._location:
            case EmbeddedMemory(folder):
                return _open_embedded(folder)
            case MemoryServer():
                return _connect_to(self._location, self._timeout_seconds)
            case _:
                assert_never(self._location)

    @_with_our_errors
    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _let_go(self) -> None:
        """Forget an embedded store whose files failed: what it has in memory may not be on disk."""
        if isinstance(self._location, EmbeddedMemory):
            client, self._client = self._client, None
            with suppress(Exception):
                if client is not None:
                    client.close()

    # ------------------------------------------------------------------------------ collections

    @_with_our_errors
    def prepare(
        self, *, accept_other: bool
    ) -> tuple[frozenset[Collection], tuple[CollectionState, ...], tuple[PayloadIndex, ...]]:
        """Make what is missing; tell what was made, and what is there now."""
        made = frozenset(name for name in Collection if self._make(name))
        described = [self._describe(name) for name in Collection]
        for state, _ in described:
            if state.name is not Collection.MESSAGES or accept_other:
                continue
            if (state.dimensions, state.fingerprint) != (self._dimensions, self._fingerprint):
                raise FingerprintMismatch(
                    detail=f"{state.fingerprint} ({state.dimensions}), not "
                    f"{self._fingerprint} ({self._dimensions})"
                )
        indices = tuple(index for _, fields in described for index in fields)
        return made, tuple(state for state, _ in described), indices

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
                metadata={"fingerprint": self._fingerprint} if with_vectors else {},
            )
        except UnexpectedResponse as error:
            if error.status_code == HTTPStatus.CONFLICT:
                return False  # another server made it at the same moment
            raise
        return True

    def _describe(self, name: Collection) -> tuple[CollectionState, list[PayloadIndex]]:
        from qdrant_client import models

        info = self._connected.get_collection(name)
        filtered_by = _FILTERED_BY[name] if self.store_filters else frozenset()
        for field in sorted(filtered_by - info.payload_schema.keys()):
            self._connected.create_payload_index(
                name, field, field_schema=models.PayloadSchemaType.KEYWORD, wait=True
            )
        vectors = info.config.params.vectors
        fingerprint = (info.config.metadata or {}).get("fingerprint")
        state = CollectionState(
            name=name,
            dimensions=vectors.size if isinstance(vectors, models.VectorParams) else None,
            fingerprint=fingerprint if isinstance(fingerprint, str) else None,
            filtered_by=filtered_by,
        )
        indexed = filtered_by | info.payload_schema.keys()
        return state, [PayloadIndex(collection=name, field=field) for field in sorted(indexed)]

    @_with_our_errors
    def drop(self, name: Collection) -> None:
        self._connected.delete_collection(name)

    # ---------------------------------------------------------------------------------- effects

    @_with_our_errors
    def perform(self, effect: StorageEffect) -> tuple[ScoredMessage, ...]:
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
                        vector=list(point.vector) if isinstance(point, MessagePoint) else {},
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
        self._connected.batch_update_points(
            effect.collection, [models.UpsertOperation(upsert=upsert) for upsert in upserts]
        )

    def _remove(self, effect: RemovePoints) -> None:
        from qdrant_client import models

        ids: list[int | str | UUID] = list(effect.ids)
        if effect.with_links:
            there = self._connected.retrieve(effect.collection, ids, with_payload=["message_id"])
            messages = [str((record.payload or {}).get("message_id")) for record in there]
            if messages:
                ends: list[models.Condition] = [
                    models.FieldCondition(key=field, match=models.MatchAny(any=messages))
                    for field in sorted(_FILTERED_BY[Collection.LINKS])
                ]
                self._connected.delete(
                    Collection.LINKS, models.FilterSelector(filter=models.Filter(should=ends))
                )
        self._connected.delete(effect.collection, models.PointIdsList(points=ids))

    def _query(self, effect: QueryPoints) -> tuple[ScoredMessage, ...]:
        """The best of what the scope allows.

        A server filters. Embedded, everything is scored anyway and a filter would cost ten times
        that: so look at the best few, drop what is out of scope, and widen until enough is left
        or all was seen.
        """
        if self.store_filters:
            hits = self._nearest(effect.vector, effect.limit, _scope_filter(effect.scope))
            return _in_scope(hits, effect.scope)[: effect.limit]
        everything = self._connected.count(Collection.MESSAGES).count
        window = max(_FIRST_WINDOW, effect.limit * _WIDENING)
        hits = self._nearest(effect.vector, window, None)
        readable = _in_scope(hits, effect.scope)
        while len(readable) < effect.limit and window < everything:
            window *= _WIDENING
            hits = self._nearest(effect.vector, window, None)
            readable = _in_scope(hits, effect.scope)
        return readable[: effect.limit]

    def _nearest(
        self, vector: Sequence[float], limit: int, scope: "models.Filter | None"
    ) -> list["models.ScoredPoint"]:
        return self._connected.query_points(
            Collection.MESSAGES,
            query=list(vector),
            query_filter=scope,
            limit=limit,
            with_payload=True,
        ).points

    # ------------------------------------------------------------------------------------ facts

    @_with_our_errors
    def facts_page(
        self, name: Collection, after: PointId | None
    ) -> tuple[list[PointFacts], PointId | None]:
        """A page of facts, and where the next one begins; None at the end."""
        records, following = self._connected.scroll(
            name, limit=_FACTS_PAGE, offset=after, with_payload=True, with_vectors=True
        )
        facts = [self._fact(name, record) for record in records]
        return facts, None if following is None else PointId(str(following))

    def _fact(self, name: Collection, record: "models.Record") -> PointFacts:
        id_ = PointId(str(record.id))
        kind = MessagePayload if name is Collection.MESSAGES else LinkPayload
        try:
            payload = kind.model_validate(record.payload)
        except ValidationError:
            payload = None
        seq, digest = (payload.seq, payload.digest()) if payload else (0, "")
        if name is Collection.LINKS:
            ends = payload.ends if isinstance(payload, LinkPayload) else ()
            return PointFacts(id=id_, seq=seq, digest=digest, ends=ends)
        vector = cast("list[float]", record.vector) if isinstance(record.vector, list) else []
        return PointFacts(
            id=id_,
            seq=seq,
            digest=digest,
            health=diagnose_vector(vector, self._dimensions),
            size=len(vector),
            fingerprint=payload.fingerprint if isinstance(payload, MessagePayload) else None,
        )


def _open_embedded(folder: Path) -> "QdrantClient":
    """The store in a folder. What cannot be understood is kept aside: the journal fills it again."""
    from qdrant_client import QdrantClient

    try:
        try:
            return QdrantClient(path=str(folder))
        except (RuntimeError, OSError, sqlite3.OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - unpickling and parsing can raise anything
            aside = _set_aside(folder)
            log.warning(
                "the memory's folder is damaged: it is kept as %s, and filled again from the "
                "journal (%s)",
                aside.name,
                type(error).__name__,
            )
            return QdrantClient(path=str(folder))
    except RuntimeError as error:
        raise errors.ConnectionError(
            "The memory's folder is in use by another process: "
            "stop that one, or choose another data folder.",
            detail=str(folder),
        ) from error
    except (OSError, sqlite3.OperationalError) as error:
        raise errors.ConnectionError(
            "The memory's folder cannot be read and written: check its permissions.",
            detail=f"{folder}: {error!r}",
        ) from error


def _set_aside(folder: Path) -> Path:
    """Rename the folder; gives its new name. Raises OSError."""
    names = (folder.with_name(f"{folder.name}.damaged-{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    return folder.rename(aside)


def _connect_to(server: MemoryServer, timeout_seconds: float) -> "QdrantClient":
    """A client of a server; it connects with its first call."""
    import httpx
    from qdrant_client import QdrantClient

    try:
        return QdrantClient(
            url=server.url,
            api_key=server.api_key,
            timeout=math.ceil(timeout_seconds),
            check_compatibility=False,
            # Without limits the library keeps no connection to localhost alive.
            limits=httpx.Limits(
                max_connections=server.max_connections,
                max_keepalive_connections=server.max_connections,
                keepalive_expiry=server.keepalive_seconds,
            ),
            # A proxy for the outside must not be asked for this machine.
            trust_env=urlsplit(server.url).hostname not in _LOOPBACK,
        )
    except ValueError as error:
        raise errors.ConnectionError(
            "The vector store's address is not a URL: check CHORUS_QDRANT_URL.",
            retryable=False,
            detail=repr(error),
        ) from error


def _scope_filter(scope: SearchScope) -> "models.Filter":
    """`SearchScope.allows` in Qdrant's terms, for a scope that is not empty."""
    from qdrant_client import models

    def equals(field: str, value: str) -> models.FieldCondition:
        return models.FieldCondition(key=field, match=models.MatchValue(value=value))

    readable: list[models.Condition] = []
    if scope.private_thread_ids:
        threads: list[str] = sorted(scope.private_thread_ids)
        readable.append(models.FieldCondition(key="thread_id", match=models.MatchAny(any=threads)))
    if scope.include_public:
        readable.append(equals("visibility", Visibility.PUBLIC))
    must: list[models.Condition] = [models.Filter(should=readable)]
    if scope.thread_id is not None:
        must.append(equals("thread_id", scope.thread_id))
    excluded: list[int | str | UUID] = [message_point_id(id_) for id_ in sorted(scope.exclude)]
    return models.Filter(
        must=must, must_not=[models.HasIdCondition(has_id=excluded)] if excluded else None
    )


def _in_scope(
    hits: Sequence["models.ScoredPoint"], scope: SearchScope
) -> tuple[ScoredMessage, ...]:
    """The hits that may be shown, best first, then by id.

    Asked again also where the store filtered: a filter of ours that is wrong must not leak.
    """
    found: list[ScoredMessage] = []
    for hit in hits:
        try:
            message = MessagePayload.model_validate(hit.payload)
        except ValidationError:
            continue  # `verify` names it; a search cannot tell who may read it
        # A damaged vector scores NaN, and would be sorted first.
        if scope.allows(message) and math.isfinite(hit.score):
            found.append(
                ScoredMessage(
                    message_id=message.message_id,
                    thread_id=message.thread_id,
                    content=message.content,
                    author=message.author,
                    score=hit.score,
                    created_at=message.created_at,
                )
            )
    return tuple(sorted(found, key=lambda item: (-item.score, item.message_id)))


def _as_storage_error(error: Exception) -> errors.StorageError:
    """The error of ours for anything that the library raises; its text goes to the log alone."""
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    detail = repr(error)
    match error:
        case ResourceExhaustedResponse():
            return errors.ConnectionError(
                "The vector store is overloaded.",
                retry_after_ms=error.retry_after_s * 1000,
                detail=detail,
            )
        case UnexpectedResponse():
            return _refused_with(error.status_code or 0, f"{error.status_code}: {detail}")
        case ResponseHandlingException():
            # Refused, timed out, cut, or not Qdrant at all. A write may have been carried out all
            # the same; carrying it out again changes nothing.
            return errors.ConnectionError(
                "The vector store cannot be reached.", detail=repr(error.source)
            )
        case sqlite3.Error() | OSError():
            return errors.ConnectionError(
                "The memory's folder cannot be read or written.", detail=detail
            )
        case ValueError() | KeyError():
            return errors.InconsistencyError(
                "The vector store does not hold what the operation needs.", detail=detail
            )
        case _:
            return errors.StorageError("The vector store failed.", retryable=False, detail=detail)


def _refused_with(status: int, detail: str) -> errors.StorageError:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return errors.ConnectionError(
            "The vector store refused the key: check its API key.", retryable=False, detail=detail
        )
    overloaded = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    if status in overloaded or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.ConnectionError("The vector store is not available.", detail=detail)
    return errors.InconsistencyError(
        "The vector store does not hold what the operation needs.", detail=detail
    )
