"""The fields of client frames: what each may hold, on its own.

Which request has which fields is in `machines.models.wire.request_data`. A text is kept as it was typed, but
for the white space around a name.
"""

import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from machines.models.blank import is_blank
from machines.models.ids import (
    UUID_PATTERN,
    BranchId,
    InviteLinkId,
    MessageId,
    RequestId,
    RunId,
    ThreadId,
    UserId,
)
from machines.models.limits import (
    MAX_CONTENT_LENGTH,
    MAX_CURSOR_LENGTH,
    MAX_INSTRUCTIONS_LENGTH,
    MAX_MODEL_NAME_LENGTH,
    MAX_NAME_LENGTH,
    MAX_QUERY_LENGTH,
    MAX_REASON_LENGTH,
    MAX_REQUEST_ID_LENGTH,
    MAX_SEQ,
    MAX_TOKEN_LENGTH,
)

REQUEST_ID_PATTERN: Final = rf"^[A-Za-z0-9_\-.:]{{1,{MAX_REQUEST_ID_LENGTH}}}$"

TOO_LARGE: Final = "too_large"
"""Type of the validation error that is PROTOCOL's `too_large` instead of `invalid_field`."""

_UNPRINTABLE_IN_NAMES: Final = frozenset({"Cc", "Zl", "Zp"})
_DIRECTION_MARKS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _storable(text: str) -> str:
    # Not every store can hold U+0000 in a text, and no person types it.
    if "\0" in text:
        raise ValueError("must not contain the character U+0000")
    return text


def _not_blank(text: str) -> str:
    if is_blank(text):
        raise ValueError("must not be blank")
    return _storable(text)


def _empty_where_blank(text: str) -> str:
    return "" if is_blank(text) else text


def _bounded_content(text: str) -> str:
    if len(text) > MAX_CONTENT_LENGTH:
        raise PydanticCustomError(
            TOO_LARGE, "must have at most {limit} characters", {"limit": MAX_CONTENT_LENGTH}
        )
    return text


def _clean_name(text: str) -> str:
    """`text` without white space around it, if it can stand in one line on another user's screen.

    Characters that turn the reading direction are refused with the control characters: they would
    let a name rearrange what stands beside it. Joiners stay, since emoji and scripts need them.
    """
    name = text.strip()
    if is_blank(name):
        raise ValueError("must not be blank")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"must have at most {MAX_NAME_LENGTH} characters")
    if not name.isprintable():
        categories = {unicodedata.category(character) for character in name}
        if categories & _UNPRINTABLE_IN_NAMES or not _DIRECTION_MARKS.isdisjoint(name):
            raise ValueError("must hold no control characters")
    return name


RequestIdText = Annotated[RequestId, StringConstraints(pattern=REQUEST_ID_PATTERN)]
ThreadIdText = Annotated[ThreadId, StringConstraints(pattern=UUID_PATTERN)]
MessageIdText = Annotated[MessageId, StringConstraints(pattern=UUID_PATTERN)]
InviteLinkIdText = Annotated[InviteLinkId, StringConstraints(pattern=UUID_PATTERN)]
UuidText = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
BranchIdText = Annotated[BranchId, StringConstraints(pattern=UUID_PATTERN)]
RunIdText = Annotated[RunId, StringConstraints(pattern=UUID_PATTERN)]
UserIdText = Annotated[UserId, StringConstraints(pattern=UUID_PATTERN)]

Name = Annotated[
    str,
    AfterValidator(_clean_name),
    Field(description=f"1 to {MAX_NAME_LENGTH} characters once stripped, none a control character"),
]
Prompt = Annotated[
    str,
    AfterValidator(_bounded_content),
    AfterValidator(_not_blank),
    Field(json_schema_extra={"minLength": 1, "maxLength": MAX_CONTENT_LENGTH}),
]
"""Kept as it was typed. Too long is judged first: then it is `too_large`, whatever else it is."""

Reason = Annotated[str, StringConstraints(max_length=MAX_REASON_LENGTH), AfterValidator(_not_blank)]
Query = Annotated[str, StringConstraints(max_length=MAX_QUERY_LENGTH), AfterValidator(_not_blank)]
Instructions = Annotated[
    str,
    StringConstraints(max_length=MAX_INSTRUCTIONS_LENGTH),
    AfterValidator(_storable),
    AfterValidator(_empty_where_blank),
]
"""Kept as they were typed; blank ones are none."""

ModelName = Annotated[
    str,
    StringConstraints(max_length=MAX_MODEL_NAME_LENGTH),
    AfterValidator(_not_blank),
]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CURSOR_LENGTH)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN_LENGTH)]
LinkSecret = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN_LENGTH)]
"""Of any form: one that is no secret of ours is answered as one that is unknown."""

Epoch = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CURSOR_LENGTH)]
Seq = Annotated[int, Field(ge=0, le=MAX_SEQ)]
