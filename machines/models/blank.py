"""Blank texts: those that show nothing, whatever they are made of.

A name of Hangul fillers and a prompt of spaces without width look alike on a screen: like nothing.
One function judges both. A text with anything to see in it is kept with all its invisible
characters, since scripts and emoji need some of them.
"""

import re
from typing import Final

_SHOWS_NOTHING: Final = re.compile(
    "["
    r"\s\x00-\x1f\x7f-\x9f"  # white space and controls
    "\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"  # formats
    "\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f"  # joiners and variants of what they follow
    "\u115f\u1160\u3164\uffa0"  # fillers of Hangul
    "\u2800"  # Braille without a dot
    "\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"  # of shorthand and music
    "\U00013430-\U0001343f\U000110bd\U000110cd"  # formats of Egyptian and Kaithi
    "\U000e0000-\U000e0fff"  # tags, and more variants
    "]*"
)
"""Unicode's Default_Ignorable_Code_Point, white space, controls and formats, and what fonts draw as
an empty place. Python's tables do not have the first of these properties."""


def is_blank(text: str) -> bool:
    """Whether a reader sees nothing of `text`; so for an empty one."""
    return _SHOWS_NOTHING.fullmatch(text) is not None
