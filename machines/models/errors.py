"""The error tree of the whole system, and the codes that a client may see.

    ChorusError
    |-- AIError               the endpoint answered, and the answer is no use
    |-- NetworkError          the endpoint could not be reached or the line was cut
    |-- StateError            a run's state is lost or contradicts itself; the journal has it
    |-- AuthError             a sign-in or a session is not valid
    |-- ThreadError           the thread followed is not to be had (any more)
    |-- InvalidTransition     a machine refuses an event
    |-- RequestRefused        a request is refused for another reason (a code of PROTOCOL)
    `-- StorageError
        |-- ConnectionError   the vector store cannot be reached
        |-- InconsistencyError  two records disagree
        |-- VectorError       a vector of the wrong size, NaN, infinite or zero
        |-- JournalError      the journal could not commit
        `-- JournalConflict   another writer was first; read again and decide again

Whether an error may be retried is data on the error (`retryable`), never a matter of its class or
its text. `message` is for users: no path, key or upstream text ever stands in it; `detail` is for
the log and never leaves the process.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """The codes of PROTOCOL; names are final."""

    BAD_JSON = "bad_json"
    BAD_FRAME = "bad_frame"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_FIELD = "invalid_field"
    TOO_LARGE = "too_large"
    NOT_AUTHENTICATED = "not_authenticated"
    AUTH_FAILED = "auth_failed"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    INVALID_TRANSITION = "invalid_transition"
    RATE_LIMITED = "rate_limited"
    THREAD_BUSY = "thread_busy"
    AI_UNAVAILABLE = "ai_unavailable"
    AI_REJECTED = "ai_rejected"
    AI_INVALID_OUTPUT = "ai_invalid_output"
    CHART_CHANGED = "chart_changed"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


class ChorusError(Exception):
    """Root of the tree."""

    code: ErrorCode = ErrorCode.INTERNAL
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        """One sentence for a person."""
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        """Milliseconds after which the other side asked to be tried again, if it said so."""
        self.detail = detail
        """For the log only."""


class AIError(ChorusError):
    """The endpoint answered with a status or an output that cannot be used.

    `code` is AI_UNAVAILABLE (overloaded, 5xx, 429), AI_REJECTED (401, 403, 404, exhausted quota:
    never retried) or AI_INVALID_OUTPUT (empty, truncated, refused, not the schema).
    """

    code = ErrorCode.AI_INVALID_OUTPUT
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
        detail: str = "",
        context_exceeded: bool = False,
    ) -> None:
        super().__init__(
            message, code=code, retryable=retryable, retry_after_ms=retry_after_ms, detail=detail
        )
        self.context_exceeded = context_exceeded
        """Whether the request is too long for the model: a shorter one may be taken, whatever
        `retryable` says of the same."""


class NetworkError(ChorusError):
    """Refused, DNS, TLS, timeout or a cut line: the effect is kept and retried.

    A certificate that is not trusted is AI_REJECTED and never retried: an operator must act.
    """

    code = ErrorCode.AI_UNAVAILABLE
    retryable = True


class StateError(ChorusError):
    """A run's state is lost or contradicts itself: it is rebuilt from the journal."""

    retryable = True


class AuthError(ChorusError):
    """A sign-in or a session is not valid; the connection goes back to connecting."""

    code = ErrorCode.AUTH_FAILED


class ThreadError(ChorusError):
    """The followed thread is not to be had (any more); the connection leaves it."""

    code = ErrorCode.NOT_FOUND


class RequestRefused(ChorusError):
    """A request is refused with one of PROTOCOL's codes and its details."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        details: dict[str, object] | None = None,
        retry_after_ms: int | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, code=code, retryable=retryable, retry_after_ms=retry_after_ms)
        self.details = details
        """PROTOCOL's `details`, JSON values only."""


class InvalidTransition(ChorusError):
    """A machine refuses an event, and names what was false."""

    code = ErrorCode.INVALID_TRANSITION

    def __init__(
        self,
        message: str,
        *,
        machine: str,
        state: str,
        event: str,
        guards: tuple[str, ...] = (),
        allowed: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.machine = machine
        self.state = state
        self.event = event
        self.guards = guards
        """Guards that were false, as the drawing spells them; empty where nothing is declared."""
        self.allowed = allowed
        """Events that the current state declares."""


class StorageError(ChorusError):
    """Something kept on disk or in the vector store could not be read or written."""

    code = ErrorCode.STORAGE_UNAVAILABLE
    retryable = True


class ConnectionError(StorageError):  # noqa: A001 - the seeds' name; import the module to use it
    """The vector store cannot be reached."""


class InconsistencyError(StorageError):
    """Two records that must agree do not."""


class VectorError(StorageError):
    """A vector of the wrong size, or with NaN, infinity, or only zeros."""

    retryable = False


class JournalError(StorageError):
    """The journal could not commit, or could not be read."""

    def __init__(
        self,
        message: str,
        *,
        retryable: bool | None = None,
        certain: bool = False,
        detail: str = "",
    ) -> None:
        super().__init__(message, retryable=retryable, detail=detail)
        self.certain = certain
        """Whether nothing of the batch is durable; where it is false, all of it may be."""


class NotCarried(StorageError):
    """The run is another server's to advance; nothing of the batch is durable."""

    retryable = False


class JournalConflict(StorageError):
    """Another writer appended first: read again, decide again, commit again."""
