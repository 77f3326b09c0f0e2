"""Repetition: a text that goes on in a circle, as models fall into, is noticed while it is written.

A text repeats itself where its end is the same passage over and over: at least eight times, and 320
characters in all. Passages of up to 400 characters are found.
"""

from typing import Final

TIMES: Final = 8
TAIL: Final = 40
"""Characters whose last occurrence shows how long the passage is; a shorter passage fills them."""

LONGEST_PASSAGE: Final = 400
_KEPT: Final = LONGEST_PASSAGE * TIMES
_BETWEEN: Final = 64
"""Characters between two looks: a look costs more than a token."""


class RepetitionWatch:
    """Reads the pieces of one text."""

    def __init__(self) -> None:
        self._end = ""
        self._fresh: list[str] = []
        self._waiting = 0

    def is_stuck_after(self, piece: str) -> bool:
        """Whether the text that ends with `piece` repeats itself; seen a few words late."""
        self._fresh.append(piece)
        self._waiting += len(piece)
        if self._waiting < _BETWEEN:
            return False
        self._end = (self._end + "".join(self._fresh))[-_KEPT:]
        self._fresh, self._waiting = [], 0
        return repeats_itself(self._end)


def repeats_itself(text: str) -> bool:
    """Whether the end of `text` is one passage over and over."""
    if len(text) < TIMES * TAIL:
        return False
    # The tail as it stood before, one passage earlier: it may overlap with itself.
    before = text.rfind(text[-TAIL:], 0, len(text) - 1)
    passage = len(text) - TAIL - before
    length = max(TIMES * TAIL, TIMES * passage)
    if before < 0 or passage > LONGEST_PASSAGE or length > len(text):
        return False
    return text[-length + passage :] == text[-length:-passage]
