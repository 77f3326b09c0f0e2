"""What a search may show: the scope, asked again of whatever was found.

Every way of searching ends here, so that a filter or an index of ours that is wrong leaks nothing.
No store is known here.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from machines.models.ids import MessageId, ThreadId
from machines.models.outputs import Prior
from machines.models.thread import Visibility
from storage.memory.points import MessagePayload
from storage.memory.values import SearchScope


def payload_of(stored: Mapping[str, Any] | None) -> MessagePayload | None:
    """A message's payload as it was stored; None where it is damaged, which `verify` names."""
    try:
        return MessagePayload.model_validate(stored)
    except ValidationError:
        return None


class _Place(NamedTuple):
    message_id: MessageId
    thread_id: ThreadId
    visibility: Visibility
    repeats: bool


_SHOWN: Final = TypeAdapter(tuple[Prior, ...])
"""All hits of a search in one call: one for each costs half as much again."""


_VISIBILITIES: Final = {each.value: each for each in Visibility}


def readable(
    hits: Iterable[tuple[float, Mapping[str, Any] | None]], scope: SearchScope, limit: int
) -> tuple[Prior, ...]:
    """The best `limit` of (score, stored payload) that are in scope, best first, then by id."""
    # Who may read a damaged payload is unknown. A damaged vector scores NaN, and would be
    # sorted first.
    sound = [
        (score, stored)
        for score, stored in hits
        if stored is not None and payload_of(stored) is not None and math.isfinite(score)
    ]
    found = sound_and_readable(sound, scope)
    return tuple(sorted(found, key=lambda item: (-item.score, item.message_id))[:limit])


def sound_and_readable(
    hits: Iterable[tuple[float, Mapping[str, Any]]], scope: SearchScope
) -> tuple[Prior, ...]:
    """Those of (finite score, payload that is known to be sound) that are in scope, in order."""
    return _SHOWN.validate_python(
        [{**stored, "score": score} for score, stored in hits if scope.allows(_place_of(stored))]
    )


def _place_of(stored: Mapping[str, Any]) -> _Place:
    visibility = _VISIBILITIES[stored["visibility"]]
    repeats = bool(stored.get("repeats", False))
    return _Place(stored["message_id"], stored["thread_id"], visibility, repeats)
