"""The bound of server frames: none is larger than `MAX_SERVER_FRAME_BYTES`, whatever is in it.

A page ends where its next item would not fit: `fitting`. A frame that is too large all the same, since
one answer or the texts of one run are, is cut by `within_bound`, which every encoder ends with: its
HTML is left out, then its longest texts are cut to one length, and it says `shortened`.

What is beside the texts must fit: who makes a frame of several parts holds `least_size_of` to the bound.

Only sizes are known here. Which items a page is made of is its maker's to say.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from machines.models.limits import MAX_SERVER_FRAME_BYTES
from machines.prompting.quoting import fair_limit

ENVELOPE_BYTES: Final = 1_024
"""Room for everything around the items of a page."""

_SHORTEST_CUT: Final = 512
"""Bytes of a text that is never cut: ids, keys, names and times are shorter."""

_MARK: Final = "…"


def size_of(value: BaseModel) -> int:
    """Bytes of a value in a frame, with the comma behind it."""
    return len(to_json(value)) + 1


def least_size_of(value: BaseModel) -> int:
    """The same once its texts are cut as short as `within_bound` cuts them."""
    return len(to_json(_cut(_without_html(value.model_dump(mode="json")), _SHORTEST_CUT))) + 1


def fitting(sizes: Iterable[int], room: int) -> int:
    """How many of the first items fit into `room` bytes; at least one, where there is one."""
    count = 0
    for size in sizes:
        room -= size
        if room < 0 and count:
            break
        count += 1
    return count


def within_bound(frame: str) -> str:
    """The text of a frame, cut where it is too large.

    Raises:
        ValueError: it is no frame, or too large without its long texts.
    """
    # A code point has at most four bytes: most frames need no second look.
    if 4 * len(frame) <= MAX_SERVER_FRAME_BYTES or _bytes_of(frame) <= MAX_SERVER_FRAME_BYTES:
        return frame
    value = _without_html({**from_json(frame), "shortened": True})
    lengths = [len(to_json(text)) for text in _long_texts(value)]
    excess = len(to_json(value)) - MAX_SERVER_FRAME_BYTES
    limit = fair_limit(lengths, max(sum(lengths) - excess, 0))
    cut = to_json(_cut(value, max(limit, _SHORTEST_CUT))).decode()
    if _bytes_of(cut) > MAX_SERVER_FRAME_BYTES:
        raise ValueError("a frame is too large without its long texts: end its page earlier")
    return cut


def _bytes_of(text: str) -> int:
    return len(text.encode())


def _without_html(value: Any) -> Any:
    """HTML that is cut is none; the text that it was made of stands beside it."""
    match value:
        case dict():
            return {
                name: None if name == "html" else _without_html(each)
                for name, each in value.items()
            }
        case list():
            return [_without_html(each) for each in value]
        case _:
            return value


def _long_texts(value: Any) -> Iterator[str]:
    match value:
        case str() if len(to_json(value)) > _SHORTEST_CUT:
            yield value
        case dict():
            for each in value.values():
                yield from _long_texts(each)
        case list():
            for each in value:
                yield from _long_texts(each)


def _cut(value: Any, limit: int) -> Any:
    match value:
        case str() if len(to_json(value)) > limit:
            return _beginning(value, limit)
        case dict():
            return {name: _cut(each, limit) for name, each in value.items()}
        case list():
            return [_cut(each, limit) for each in value]
        case _:
            return value


def _beginning(text: str, limit: int) -> str:
    """As much of a text as has at most `limit` bytes in JSON, with a mark behind it."""
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(to_json(text[:middle] + _MARK)) <= limit:
            fits = middle
        else:
            too_long = middle
    return text[:fits] + _MARK
