"""The codec of the wire: bytes to a `ClientMessage` or a `FrameError`, server frames to text.

Only spelling happens here. No frame is acted upon, no connection is known, nothing is awaited.

A good frame is parsed and checked in one pass. Only for a bad one is it asked, in a second and
slower pass, which of PROTOCOL's codes it earns; a refusal never repeats what the client sent.

A frame is encoded in two parts, so that the costly one is made once for all who get it:

    data = encode_data(frame)                            # once
    envelope(frame.type, data, re=request_id)            # for each request that it answers

and a live frame, which answers no request, is one text for all followers: `encode_server_frame(frame)`.
Of the deltas of one attempt even that is done once, but for the text: `DeltaEncoder`.
"""

import re as regex
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from machines.models.errors import ChorusError, ErrorCode, InvalidTransition, RequestRefused
from machines.models.ids import RequestId, ThreadId
from machines.models.wire.envelope import ServerFrame
from machines.models.wire.fields import REQUEST_ID_PATTERN, TOO_LARGE
from machines.models.wire.frames import (
    ErrorData,
    ErrorFrame,
    ServerMessage,
)
from machines.models.wire.requests import REQUESTS, ClientMessage
from machines.models.wire.run_frames import (
    ChorusResponseFrame,
    StepDeltaData,
    StepThinkingData,
)
from server.wire.bounds import within_bound


class FrameError(RequestRefused):
    """A frame that is no request. Answer it with `error_frame(error)` and `re=error.re`."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        re: RequestId | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)
        self.re = re
        """The request's id; None where no valid one could be read."""


# --- Decoding ------------------------------------------------------------------------------------

_PROBLEMS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "value_error": "{error}",
    "string_type": "must be a string",
    "string_too_short": "must not be blank",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must be a lower-case UUID",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    TOO_LARGE: "must have at most {limit} characters",
}
"""pydantic's error types in plain words; what is in braces comes from our rules, not the client."""


@cache
def _client_messages() -> TypeAdapter[ClientMessage]:
    return TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


@cache
def _server_messages() -> TypeAdapter[ServerMessage]:
    return TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])


def decode_client_frame(raw: str | bytes) -> ClientMessage:
    """The request that `raw` spells: one JSON object in UTF-8, its size already bounded.

    Raises:
        FrameError: `bad_json`, `bad_frame`, `unknown_type`, `invalid_field` (details: `field` and
            `problem`) or `too_large` (details likewise).
    """
    try:
        message = _client_messages().validate_json(raw)
    except ValidationError as error:
        raise _refusal(raw, error) from None
    except (UnicodeError, RecursionError):
        raise _bad_json() from None
    if _may_hold_non_numbers(raw):
        _parsed(raw)
    return message


def _may_hold_non_numbers(raw: str | bytes) -> bool:
    """Whether NaN or Infinity, which are no JSON, might stand in a field that is not read.

    The validating parser lets them pass. The words also occur in prompts, so this only tells when
    a second, strict parse is worth its cost.
    """
    if isinstance(raw, str):
        return "NaN" in raw or "Infinity" in raw
    return b"NaN" in raw or b"Infinity" in raw


def _bad_json() -> FrameError:
    return FrameError(
        ErrorCode.BAD_JSON,
        "A frame must be JSON in UTF-8, without lone surrogates or deep nesting.",
    )


def _parsed(raw: str | bytes) -> object:
    try:
        value: object = from_json(raw, allow_inf_nan=False)
    except (ValueError, TypeError, RecursionError):  # TypeError: a str that UTF-8 cannot spell
        raise _bad_json() from None
    return value


def _refusal(raw: str | bytes, error: ValidationError) -> FrameError:
    """Which code a frame earns that is no request; the outermost fault is named first."""
    try:
        frame = _parsed(raw)
    except FrameError as bad_json:
        return bad_json
    if not isinstance(frame, dict):
        return FrameError(ErrorCode.BAD_FRAME, "A frame must be an object of type, id and data.")
    request_id = _valid_id(frame.get("id"))
    if request_id is None:
        return _bad_frame("id", "must be 1-64 of A-Z a-z 0-9 _ - . :", None)
    request_type = frame.get("type")
    if not isinstance(request_type, str):
        return _bad_frame("type", "must be a string", request_id)
    if not isinstance(frame.get("data"), dict):
        return _bad_frame("data", "must be an object", request_id)
    if request_type not in REQUESTS:
        return FrameError(
            ErrorCode.UNKNOWN_TYPE, "There is no request of this type.", re=request_id
        )
    first = error.errors(include_url=False, include_input=False)[0]
    # The place is (type, "data", field, ...): the envelope was found good above.
    field = ".".join(str(part) for part in first["loc"][2:])
    problem = _problem(first)
    code = ErrorCode.TOO_LARGE if first["type"] == TOO_LARGE else ErrorCode.INVALID_FIELD
    return FrameError(
        code,
        f"The field {field} {problem}.",
        re=request_id,
        details={"field": field, "problem": problem},
    )


def _bad_frame(field: str, problem: str, request_id: RequestId | None) -> FrameError:
    return FrameError(
        ErrorCode.BAD_FRAME,
        f"A frame must be an object of type, id and data: its {field} {problem}.",
        re=request_id,
        details={"field": field, "problem": problem},
    )


def _valid_id(value: object) -> RequestId | None:
    # A pattern's `$` also matches before a final line feed in Python, hence `fullmatch`.
    if isinstance(value, str) and regex.fullmatch(REQUEST_ID_PATTERN, value):
        return RequestId(value)
    return None


def _problem(error: ErrorDetails) -> str:
    words = _PROBLEMS.get(error["type"], "is not valid")
    return words.format(**error.get("ctx", {}))


def decode_server_frame(raw: str | bytes) -> ServerMessage:
    """The server frame that `raw` spells, for clients written in Python.

    Raises:
        ValueError: it is none that this version knows; a client skips what it does not know.
    """
    return _server_messages().validate_json(raw)


# --- Encoding ------------------------------------------------------------------------------------


def encode_data(frame: ServerFrame) -> str:
    """The JSON of a frame's `data`, to be put into as many envelopes as there are requests."""
    return frame.data.model_dump_json()


def envelope(
    type_: str,
    data: str,
    *,
    re: RequestId | None = None,
    thread_id: ThreadId | None = None,
    seq: int | None = None,
) -> str:
    """The frame around `data`, which is JSON already.

    Types and ids hold no character that JSON escapes: they were checked where they came in.
    """
    answers = "null" if re is None else f'"{re}"'
    thread = "" if thread_id is None else f',"thread_id":"{thread_id}"'
    number = "" if seq is None else f',"seq":{seq}'
    return f'{{"type":"{type_}","re":{answers}{thread}{number},"data":{data}}}'


def encode_server_frame(frame: ServerFrame, *, re: RequestId | None = None) -> str:
    """The text of a frame; `re` is the request that it answers, else the frame's own `re`."""
    return within_bound(
        envelope(
            frame.type,
            encode_data(frame),
            re=frame.re if re is None else re,
            thread_id=frame.thread_id,
            seq=frame.seq,
        )
    )


class DeltaEncoder:
    """The frames of one text's pieces: what is the same in all of them is encoded once."""

    def __init__(self, thread_id: ThreadId, delta: StepDeltaData | StepThinkingData) -> None:
        """`delta` is any of the text."""
        blank = delta.model_copy(update={"offset": 0, "text": ""})
        frame = encode_server_frame(ChorusResponseFrame(thread_id=thread_id, data=blank))
        self._before, found, self._behind = frame.rpartition('0,"text":""')
        if not found:
            raise AssertionError("offset and text are no longer the last fields of a delta")

    def encode(self, offset: int, text: str) -> str:
        """As `encode_server_frame` would."""
        return f'{self._before}{offset},"text":{to_json(text).decode()}{self._behind}'


def encode_events_page(
    entries: Sequence[str],
    *,
    re: RequestId | None,
    thread_id: ThreadId,
    head_seq: int,
    has_more: bool,
) -> str:
    """The `events` reply around live frames that are text already, as the journal keeps them."""
    more = "true" if has_more else "false"
    data = f'{{"entries":[{",".join(entries)}],"head_seq":{head_seq},"has_more":{more}}}'
    return within_bound(envelope("events", data, re=re, thread_id=thread_id))


def error_frame(error: ChorusError) -> ErrorFrame:
    """What a client may know of an error; `detail` stays behind."""
    match error:
        case InvalidTransition():
            details: dict[str, object] | None = {
                "machine": error.machine,
                "state": error.state,
                "event": error.event,
                "guards": list(error.guards),
                "allowed": list(error.allowed),
            }
        case RequestRefused():
            details = error.details
        case _:
            details = None
    return ErrorFrame(
        data=ErrorData(
            code=error.code,
            message=error.message,
            retryable=error.retryable,
            retry_after_ms=error.retry_after_ms,
            details=details,
        )
    )
