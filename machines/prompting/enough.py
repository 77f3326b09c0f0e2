"""How the action step says that its answer is enough: by a mark behind the text, which no reader sees.

Action answers in plain text that streams, so what it says besides has to stand in the text. The mark is
taken out wherever it stands, since small models write on behind it; it counts at the end alone.
Pure functions, for a whole text and for one that is still being written; both give the same text.
"""

import re
from typing import Final, NamedTuple

MARK: Final = "[enough]"

_MARK: Final = re.compile(r"\s*\[enough\]", re.IGNORECASE)
_AT_THE_END: Final = re.compile(r"\[enough\]\s*\Z", re.IGNORECASE)
_BEGUN: Final = re.compile(
    r"\s*" + "".join(f"(?:{re.escape(each)}" for each in MARK[:-1]) + ")?" * len(MARK[:-1]) + r"\Z",
    re.IGNORECASE,
)
"""White space that a mark may follow, and as much of a mark as there is."""


class Marked(NamedTuple):
    """A text, and what its mark said."""

    text: str
    """Without marks, and without the white space before them."""
    is_enough: bool


def unmarked(text: str) -> Marked:
    """A whole text without its marks."""
    return Marked(_MARK.sub("", text), _AT_THE_END.search(text) is not None)


class Shown(NamedTuple):
    """The end of a text that is still being written."""

    text: str
    """What may be shown of it."""
    withheld: str
    """What may be the beginning of a mark; to be given again, with what follows."""


def shown(end: str) -> Shown:
    """What may be shown of the end of a text: of all that is new, behind what was withheld."""
    marks = list(_MARK.finditer(end))
    behind = marks[-1].end() if marks else 0
    begun = _BEGUN.search(end, behind)
    place = begun.start() if begun else len(end)
    return Shown(_MARK.sub("", end[:behind]) + end[behind:place], end[place:])
