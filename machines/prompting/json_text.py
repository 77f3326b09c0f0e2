"""JSON as models write it: objects found in a text, whatever stands around them.

What models do to JSON is mended where it means one thing only: a comma before a closing bracket is
left out, and a raw control character within a string is escaped. An object that does not end is none.
Pure functions; what an object must hold is `machines.prompting.answers`'s to say.
"""

import re
from collections.abc import Iterator
from typing import Final

import pydantic_core

MAX_BEGINNINGS: Final = 32
"""Opening brackets that are tried in one text, so that one of nothing else costs no time."""

_END_OF_THOUGHTS: Final = "</think>"
_TOKEN: Final = re.compile(r'["{}\[\]]')
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_COMMA: Final = re.compile(r",(\s*[}\]])")
_CONTROL: Final = re.compile(r"[\x00-\x1f]")

Object = dict[str, object]


def objects_in(text: str) -> Iterator[Object]:
    """The JSON objects that stand in `text` outside of each other, in order.

    Objects behind the end of a model's thoughts come alone: those within are drafts.
    """
    behind = text.rpartition(_END_OF_THOUGHTS)[2]
    yield from _objects(behind if "{" in behind else text)


def whole_or_begun(text: str) -> str:
    """The first object of a text that is still being written; empty where none has begun."""
    begin = text.find("{")
    return "" if begin < 0 else text[begin:]


def parsed(text: str) -> object:
    """The value of a JSON text, mended where need be. Raises ValueError where it is none."""
    try:
        return pydantic_core.from_json(text)
    except ValueError:
        return pydantic_core.from_json(_mended(text))


def _objects(text: str) -> Iterator[Object]:
    position = 0
    for _ in range(MAX_BEGINNINGS):
        begin = text.find("{", position)
        if begin < 0:
            return
        end = _end_of(text, begin)
        position = begin + 1
        if end is None:
            continue
        try:
            value = parsed(text[begin:end])
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
            position = end


def _end_of(text: str, begin: int) -> int | None:
    """Where the object that begins there ends; None where it does not."""
    open_brackets: list[str] = []
    position = begin
    while found := _TOKEN.search(text, position):
        position = found.end()
        match found[0]:
            case '"':
                string = _STRING.match(text, found.start())
                if string is None:
                    return None
                position = string.end()
            case "{":
                open_brackets.append("}")
            case "[":
                open_brackets.append("]")
            case closing:
                if open_brackets.pop() != closing:
                    return None
                if not open_brackets:
                    return position
    return None


def _mended(text: str) -> str:
    """`text` with what models do to JSON undone, strings and what is between them each by itself."""
    parts: list[str] = []
    position = 0
    for string in _STRING.finditer(text):
        parts.append(text[position : string.start()])
        parts.append(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", string[0]))
        position = string.end()
    parts.append(text[position:])
    # A comma and its bracket never have a string between them.
    parts[::2] = [_COMMA.sub(r"\1", between) for between in parts[::2]]
    return "".join(parts)
