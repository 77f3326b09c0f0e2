"""What `qdrant_client` raises, as errors of ours; its text goes to the log alone."""

from http import HTTPStatus

from machines.models import errors
from machines.models.retry_after import retry_after_ms


def as_storage_error(error: Exception) -> errors.StorageError:
    """The error of ours for anything that the library raises."""
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
            return _refused_with(
                error.status_code or 0,
                retry_after_ms(error.headers),
                f"{error.status_code}: {detail}",
            )
        case ResponseHandlingException():
            # Refused, timed out, cut, or not Qdrant at all. A write may have been carried out all
            # the same; carrying it out again changes nothing.
            return errors.ConnectionError(
                "The vector store cannot be reached.", detail=repr(error.source)
            )
        case ValueError() | KeyError():
            return errors.InconsistencyError(
                "The vector store does not hold what the operation needs.", detail=detail
            )
        case _:
            return errors.StorageError("The vector store failed.", retryable=False, detail=detail)


def _refused_with(status: int, asked_ms: int | None, detail: str) -> errors.StorageError:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return errors.ConnectionError(
            "The vector store refused the key: check its API key.", retryable=False, detail=detail
        )
    overloaded = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    if status in overloaded or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.ConnectionError(
            "The vector store is not available.", retry_after_ms=asked_ms, detail=detail
        )
    return errors.InconsistencyError(
        "The vector store does not hold what the operation needs.", detail=detail
    )
