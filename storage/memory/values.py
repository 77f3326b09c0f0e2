"""Values of the vector memory: operations, effects, results, recoveries, state; `points` has the points.

Only values live here. What makes an operation valid is in `storage.memory.operations` and
`storage.memory.vectors`; what carries it out is in `storage.memory.memory`; what the memory and the
journal may disagree on is in `storage.memory.facts`.
"""

from enum import StrEnum
from typing import Final, Literal, Protocol

from pydantic import ConfigDict, Field

from machines.models.domain import Frozen
from machines.models.errors import InconsistencyError, StorageError
from machines.models.ids import MessageId, PointId, ThreadId
from machines.models.limits import MAX_SEARCH_RESULTS
from machines.models.outputs import Prior
from machines.models.thread import Visibility
from storage.memory.points import Collection, Point

MAX_BATCH: Final = 256
"""Points in one operation: about 2 MB of vectors on the wire."""

MAX_WAITING: Final = 256
"""Operations that `WaitingOperations` keeps."""

REEMBED_COMMAND: Final = "chorus verify --repair"
"""What an operator runs after the embedder was changed."""


class FingerprintMismatch(InconsistencyError):
    """The stored vectors were made by another embedder than the one in use."""

    retryable = False

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(
            "The stored vectors were made by another embedder; "
            f"run `{REEMBED_COMMAND}` to embed the messages again.",
            detail=detail,
        )


# ------------------------------------------------------------------------------------ operations


class Placed(Protocol):
    """All that a scope asks of a message."""

    @property
    def message_id(self) -> MessageId: ...
    @property
    def thread_id(self) -> ThreadId: ...
    @property
    def visibility(self) -> Visibility: ...
    @property
    def repeats(self) -> bool: ...


class SearchScope(Frozen):
    """What a search may find. The default finds nothing."""

    private_thread_ids: frozenset[ThreadId] = frozenset()
    """Threads that may be read whatever their visibility."""
    include_public: bool = False
    thread_id: ThreadId | None = None
    """Only this thread; it must be readable all the same."""
    exclude: frozenset[MessageId] = frozenset()
    """Messages that are known: neither they nor what says the same is shown."""
    with_repeating: bool = True
    """Whether messages that say nothing of their own may be shown."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be in scope."""
        return not self.include_public and not self.private_thread_ids

    def allows(self, message: Placed) -> bool:
        """Whether a message is in scope: the one rule that every way of searching keeps."""
        readable = message.thread_id in self.private_thread_ids or (
            self.include_public and message.visibility is Visibility.PUBLIC
        )
        return (
            readable
            and self.thread_id in (None, message.thread_id)
            and message.message_id not in self.exclude
            and (self.with_repeating or not message.repeats)
        )


class Store(Frozen):
    """Put points in. One that is there with the same or a higher `seq` stays as it is."""

    points: tuple[Point, ...] = Field(min_length=1, max_length=MAX_BATCH)


class Search(Frozen):
    """Find the messages of `scope` that answer a query best, none of them twice."""

    vector: tuple[float, ...]
    """The query, embedded."""
    scope: SearchScope
    limit: int = Field(ge=1, le=MAX_SEARCH_RESULTS)
    text: str = ""
    """The query in words. Where it is empty, the vector alone decides, and repeats are shown."""
    floor: float = 0.0
    """Closeness below which nothing is shown, from 0 to 1."""


class Update(Frozen):
    """Replace points that are there, payload and vector; one that is not there stays away."""

    points: tuple[Point, ...] = Field(min_length=1, max_length=MAX_BATCH)


class Delete(Frozen):
    """Remove points; with a message go the links that end at it. Absent ids are no error."""

    collection: Collection
    ids: tuple[PointId, ...] = Field(min_length=1, max_length=MAX_BATCH)


Write = Store | Update | Delete
Operation = Write | Search


# --------------------------------------------------------------------------------------- effects


class WritePoints(Frozen):
    """Verified points of one collection, and when they may be written."""

    collection: Collection
    points: tuple[Point, ...]
    when: Literal["newer", "present"]
    """`newer`: absent, or there with a lower `seq`. `present`: there, whatever its `seq`."""


class QueryPoints(Frozen):
    """A verified query of `messages`."""

    vector: tuple[float, ...]
    scope: SearchScope
    limit: int
    text: str = ""
    floor: float = 0.0


class RemovePoints(Frozen):
    """Ids to remove, each once, in order."""

    collection: Collection
    ids: tuple[PointId, ...]
    with_links: bool
    """Whether links that end at them go first."""


StorageEffect = WritePoints | QueryPoints | RemovePoints


# --------------------------------------------------------------------------------------- results


class RetryWithBackoff(Frozen):
    """Wait, then do the same again: the store could not be reached."""

    attempt: int = Field(ge=1)
    """Which recovery of this operation it is."""
    allowed: bool
    """False where the bound is reached: what would help, but is not tried any more."""
    delay_ms: int = Field(ge=0)
    """Before jitter."""
    asked_ms: int = Field(default=0, ge=0)
    """What the store asked for; the delay comes on top, so that not all come back at that moment."""


class ValidateAndRetry(Frozen):
    """Read the collections again, make what is missing, then do the same again."""

    attempt: int = Field(ge=1)
    allowed: bool


class UpdateAndRetry(Frozen):
    """Embed the content again, then do it with the new vectors."""

    attempt: int = Field(ge=1)
    allowed: bool


Recovery = RetryWithBackoff | ValidateAndRetry | UpdateAndRetry


class RecoveryPolicy(Frozen):
    """How often an operation is recovered, counted over all kinds of errors."""

    retries: int = Field(default=3, ge=0)
    """Recoveries while the store cannot be reached."""
    validations: int = Field(default=1, ge=0)
    updates: int = Field(default=1, ge=0)
    base_delay_ms: int = Field(default=100, ge=0)
    """Doubles with each attempt."""
    max_delay_ms: int = Field(default=2_000, ge=0)
    """The longest wait; a store that asks for a longer one is given up at once."""

    @property
    def most_attempts(self) -> int:
        """Upper bound of the tries of one operation, the first included."""
        return 1 + max(self.retries, self.validations, self.updates)


class Success(Frozen):
    """The operation is valid; from `DatabaseClient.execute`: it was carried out."""

    effects: tuple[StorageEffect, ...]
    """What carries the operation out, in order."""
    found: tuple[Prior, ...] = ()
    """What a search found: best first, then by id; empty before the search was carried out."""


class Failure(Frozen):
    """The operation is refused or was given up."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    error: StorageError
    recovery: Recovery | None
    """What mends it; None where trying again cannot help."""


Result = Success | Failure


# ----------------------------------------------------------------------------------------- state


class ErrorKind(StrEnum):
    """Which recovery an error asks for; OTHER asks for none."""

    CONNECTION = "connection"
    INCONSISTENCY = "inconsistency"
    VECTOR = "vector"
    OTHER = "other"


class StorageErrorState(Frozen):
    """The error that is being recovered from."""

    kind: ErrorKind
    message: str
    attempts: int = Field(ge=1)
    """Errors of this operation so far, of whatever kind."""


class CollectionState(Frozen):
    """What is known of a collection."""

    name: Collection
    dimensions: int | None
    """Size of its vectors; None where it has none."""
    fingerprint: str | None
    """The embedder that made its vectors; None where it has none."""
    filtered_by: frozenset[str] = frozenset()
    """Payload fields that the store itself filters by, which need an index; none if embedded."""


class PayloadIndex(Frozen):
    """An index of the store over one payload field."""

    collection: Collection
    field: str


class WaitingOperations(Frozen):
    """Writes that wait for the store, oldest first.

    A note of what waits, not the durable queue: that is the journal's outbox. When it is full the
    newest is dropped and counted, since the outbox offers it again, in its order.
    """

    operations: tuple[Write, ...] = Field(default=(), max_length=MAX_WAITING)
    dropped: int = Field(default=0, ge=0)
    """Writes not kept since the store was last reached."""


class StorageState(Frozen):
    """What the memory is known to be; the store itself is elsewhere."""

    collections: tuple[CollectionState, ...] = ()
    indices: tuple[PayloadIndex, ...] = ()
    cache: WaitingOperations = WaitingOperations()
    error_state: StorageErrorState | None = None

    def collection(self, name: Collection) -> CollectionState | None:
        """What is known of a collection; None where it is not known to exist."""
        return next((known for known in self.collections if known.name is name), None)
