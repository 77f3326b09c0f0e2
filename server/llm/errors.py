"""What can go wrong at a model endpoint, as the two errors of the tree that the chart knows.

AIError: the endpoint answered, and the answer is no use. NetworkError: it was not reached, or the
line was cut. The sentences are ours: nothing of an upstream's text enters `message`, and `detail`
(for the log) takes codes and ids only, since providers repeat parts of keys in their sentences.
Imports `openai`, so it is imported where that is: see `server.llm.openai`.
"""

import json
import math
import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import aiohttp
import openai

from machines.models.errors import AIError, ErrorCode, NetworkError
from machines.models.retry_after import LONGEST_TOLD_MS, retry_after_ms
from server.llm.capabilities import Refusal

LONGEST_WAIT_MS: Final = 5 * 60 * 1000
"""A run waits no longer for an endpoint, since its thread waits with it: asked for more, it fails and
says when to try again."""

FOREIGN_ERRORS: Final = (
    openai.OpenAIError,
    aiohttp.ClientError,
    OSError,  # TimeoutError, ssl.SSLError and sockets' errors among them
    ValueError,  # json.JSONDecodeError and UnicodeDecodeError among them
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
)
"""What the SDK and its transport were seen to raise for what an endpoint does."""

_QUOTA_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "insufficient_credits",
        "quota_exceeded",
    }
)
_STATUSES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "server_error": 500,
    "api_error": 500,
    "overloaded_error": 503,
}
"""Names of errors that come in a stream, as the statuses with which they come elsewhere."""
_NOT_TRUSTED: Final = (
    "is not trusted here; install ca-certificates, or let SSL_CERT_FILE name a file with the "
    "certificate of its authority"
)
_OTHER_NAME: Final = "is for another name; check the address of the endpoint"
_CERTIFICATE: Final[Mapping[int | None, str]] = {
    9: "is not valid yet; check the clock of this machine",
    10: "has expired; the operator of the endpoint must renew it",
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
"""By what OpenSSL says of a certificate (X509_V_ERR_...); of all else, that it is not trusted."""
_TRY_AGAIN: Final = frozenset({408, 409, 425, 429})
_ECHOES: Final = frozenset({"input", "url"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,80}")


def from_exception(error: BaseException, now: datetime) -> AIError | NetworkError:
    """The error of the tree for one of `FOREIGN_ERRORS`; `now` is aware."""
    match error:
        case openai.APIConnectionError():  # timeouts too; a refused connection arrives as one
            return _from_line(error)
        case openai.APIError() if refusal := refusal_of(error):
            return _from_refusal(error, refusal, now)
        case aiohttp.ClientError() | OSError():
            return _from_line(error)
        case _:
            return AIError("The model endpoint gave an unreadable answer.", detail=_names(error))


def unreachable(detail: str) -> NetworkError:
    """The endpoint was not reached, or the line was cut."""
    return NetworkError(
        "The model endpoint could not be reached, or the connection was cut.", detail=detail
    )


def is_hang_up(error: BaseException) -> bool:
    """Whether the line of a request was closed without a byte of an answer."""
    closed = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
    refused = aiohttp.ClientConnectorError
    return any(
        isinstance(each, closed) and not isinstance(each, refused) for each in _causes(error)
    )


def _from_line(error: BaseException) -> NetworkError:
    about_certificates = [
        each for each in _causes(error) if isinstance(each, ssl.SSLCertVerificationError)
    ]
    if about_certificates:
        # aiohttp's own error is of this class too; the code is in the innermost, OpenSSL's.
        return _untrusted(getattr(about_certificates[-1], "verify_code", None))
    return unreachable(_names(error))


def _untrusted(verify_code: int | None) -> NetworkError:
    """The endpoint is there, and does not prove that it is who it says: an operator must act."""
    sentence = _CERTIFICATE.get(verify_code, _NOT_TRUSTED)
    return NetworkError(
        f"The TLS certificate of the model endpoint {sentence}.",
        code=ErrorCode.AI_REJECTED,
        retryable=False,
        detail=f"certificate verify_code={verify_code}",
    )


def too_slow(seconds: float) -> NetworkError:
    """The endpoint was silent for `seconds`, or did not end in them."""
    return NetworkError(f"The model endpoint did not go on within {seconds:g} seconds.")


def refusal_of(error: openai.APIError) -> Refusal | None:
    """What an endpoint says of a request that it does not serve; it is no text for people.

    None where it said nothing: the line broke, or what it sent is no error.
    """
    match error:
        case openai.APIConnectionError() | openai.APIResponseValidationError():
            return None
        case openai.APIStatusError():
            status: int | None = error.status_code
        case _:
            status = _status_within(error)
    said = _written(_without_echoes(error.body)) if error.body else error.message
    return Refusal(status, f"{error.param} {said}")


def _status_within(error: openai.APIError) -> int | None:
    """The status that an error in an answer of status 200 names, or its names stand for."""
    body = error.body if isinstance(error.body, dict) else {}
    for key in ("code", "status", "status_code"):
        named = str(body.get(key, ""))
        if named.isascii() and named.isdigit() and 400 <= int(named) <= 599:
            return int(named)
    return next((_STATUSES[name] for name in sorted(_codes(error)) if name in _STATUSES), None)


def _without_echoes(body: object) -> object:
    """An error without the parts of the request that it repeats: these name every parameter."""
    match body:
        case dict():
            return {
                name: _without_echoes(value) for name, value in body.items() if name not in _ECHOES
            }
        case list():
            return [_without_echoes(each) for each in body]
        case _:
            return body


def _from_refusal(error: openai.APIError, refusal: Refusal, now: datetime) -> AIError:
    status = refusal.status
    detail = _detail(error, status)
    if _codes(error) & _QUOTA_CODES or status == 402:
        return _rejected("The quota of the model endpoint is used up.", detail)
    if refusal.is_too_long or status == 413:
        return AIError(
            "The model endpoint finds the conversation too long for the model.",
            code=ErrorCode.AI_REJECTED,
            retryable=False,
            detail=detail,
            context_exceeded=True,
        )
    if status is None:
        return AIError(
            "The model endpoint broke off with an error.",
            code=ErrorCode.AI_UNAVAILABLE,
            detail=detail,
        )
    if status in _TRY_AGAIN or status >= 500:
        headers = error.response.headers if isinstance(error, openai.APIStatusError) else {}
        return _busy(status, retry_after_ms(headers, now), detail)
    match status:
        case 401 | 403:
            sentence = "refuses the key or its rights; check OPENAI_API_KEY"
        case 404:
            sentence = "does not know the model or the address; check CHORUS_MODEL and the URL"
        case _:
            sentence = "refuses the request"
    return _rejected(f"The model endpoint {sentence} ({status}).", detail)


def _busy(status: int, wait_ms: int | None, detail: str) -> AIError:
    """It may serve later. What it asks to wait is waited for, unless that is very long."""
    busy = "asks to wait" if status == 429 else "is out of order or overloaded"
    too_long = wait_ms is not None and wait_ms > LONGEST_WAIT_MS
    until = f"; try again in {_in_words(wait_ms)}" if wait_ms is not None and too_long else ""
    return AIError(
        f"The model endpoint {busy} ({status}){until}.",
        code=ErrorCode.AI_UNAVAILABLE,
        retryable=not too_long,
        retry_after_ms=wait_ms,
        detail=detail,
    )


def _in_words(wait_ms: int) -> str:
    """A wait of some minutes or hours, rounded up."""
    minutes = math.ceil(wait_ms / 60_000)
    if minutes < 120:
        return f"{minutes} minutes"
    hours = math.ceil(minutes / 60)
    return f"{hours} hours" if wait_ms < LONGEST_TOLD_MS else "a day or later"


def _rejected(message: str, detail: str) -> AIError:
    """An operator must act: trying again changes nothing."""
    return AIError(message, code=ErrorCode.AI_REJECTED, retryable=False, detail=detail)


def _codes(error: openai.APIError) -> set[str]:
    """The machine-readable names of an error, lower case."""
    return {str(value).lower() for value in (error.code, error.type) if value}


def _detail(error: openai.APIError, status: int | None) -> str:
    """For the log: names, never sentences."""
    named = {
        "status": status,
        "code": error.code,
        "type": error.type,
        "param": error.param,
        "request": getattr(error, "request_id", None),
    }
    return " ".join(
        f"{name}={value}"
        for name, value in named.items()
        if value is not None and _PLAIN.fullmatch(str(value))
    )


def _names(error: BaseException) -> str:
    """The classes of an exception and of its causes, outermost first."""
    return " < ".join(type(each).__name__ for each in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes, outermost first; a few, since they might go round."""
    current: BaseException | None = error
    for _ in range(5):
        if current is None:
            return
        yield current
        current = current.__cause__


def _written(body: object) -> str:
    try:
        return json.dumps(body)
    except (TypeError, ValueError):
        return ""
