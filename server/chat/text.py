"""What a terminal may be given to print. Everything that others wrote passes through here.

A terminal obeys what it prints: an escape sequence in a message could recolour, erase or retitle
the screen, or answer in the reader's name. So characters are dropped, never sequences parsed: with
the control characters gone no sequence is left, however it was split over frames.
"""

import re

_OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of writing
    "\U000e0000-\U000e007f"  # invisible tags
    "]"
)
_LINE_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """`text` without anything that a terminal would obey; line feeds and tabs stay.

    Lone surrogates, which JSON can carry and UTF-8 cannot, become U+FFFD.
    """
    return _SURROGATES.sub("\ufffd", _OBEYED.sub("", _LINE_BREAKS.sub("\n", text)))


def one_line(text: str, limit: int = 200) -> str:
    """`clean` text on one line of at most `limit` characters; a cut is marked with an ellipsis."""
    line = _SPACES.sub(" ", clean(text)).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
