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

MAX_LOOKS: Final = 20_000
"""Brackets and strings that are looked at for one answer, some 5 ms: an answer has hundreds. One made
for the purpose would have each bracket begin an object that ends nowhere."""

_END_OF_THOUGHTS: Final = "</think>"
_TOKEN: Final = re.compile(r'["{}\[\]]')
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_COMMA: Final = re.compile(r",(\s*[}\]])")
_ESCAPES: Final = {code: f"\\u{code:04x}" for code in range(0x20)}
"""Of control characters, for `str.translate`."""

Object = dict[str, object]


class Patience:
    """How many looks are left for the texts of one answer."""

    def __init__(self, looks: int = MAX_LOOKS) -> None:
        self._left = looks

    def is_over(self) -> bool:
        """Take one look; whether there was none left."""
        self._left -= 1
        return self._left < 0


def objects_in(text: str, patience: Patience | None = None) -> Iterator[Object]:
    """The JSON objects that stand in `text` outside of each other, in order.

    Objects behind the end of a model's thoughts come alone: those within are drafts. Where `patience`
    is over, no more are found.
    """
    behind = text.rpartition(_END_OF_THOUGHTS)[2]
    yield from _objects(behind if "{" in behind else text, patience or Patience())


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


def _objects(text: str, patience: Patience) -> Iterator[Object]:
    position = 0
    for _ in range(MAX_BEGINNINGS):
        begin = text.find("{", position)
        if begin < 0:
            return
        end = _end_of(text, begin, patience)
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


def _end_of(text: str, begin: int, patience: Patience) -> int | None:
    """Where the object that begins there ends; None where it does not, or not soon enough."""
    open_brackets: list[str] = []
    position = begin
    while found := _TOKEN.search(text, position):
        position = found.end()
        if patience.is_over():
            return None
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
        parts.append(string[0].translate(_ESCAPES))
        position = string.end()
    parts.append(text[position:])
    # A comma and its bracket never have a string between them.
    parts[::2] = [_COMMA.sub(r"\1", between) for between in parts[::2]]
    return "".join(parts)
