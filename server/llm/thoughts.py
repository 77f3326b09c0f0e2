"""Thinking aloud: the reasoning that some models write at the beginning of their text, kept apart.

A block of thoughts stands before the answer, between tags, and is no part of it. Tags that stand
within an answer are part of it: it may be about them. Some chat templates write the first tag
themselves, so that the answer brings only the last one: `ThoughtFilter(begins_inside=True)`.
"""

from enum import Enum
from typing import Final

_TAGS: Final = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[think]": "[/think]",
}
"""What closes a block, by what opens it; in lower case."""

_LONGEST: Final = max(map(len, _TAGS))
END_TAG: Final = "</think>"


class _Place(Enum):
    """Where in the text the filter is."""

    START = "start"
    INSIDE = "inside"
    BEHIND = "behind"
    ANSWER = "answer"


class ThoughtFilter:
    """Takes the pieces of a text, gives the pieces of the answer."""

    def __init__(self, *, begins_inside: bool = False) -> None:
        self._place = _Place.INSIDE if begins_inside else _Place.START
        self._may_be_answer = begins_inside
        """Whether what is inside turns out to be the answer if no tag closes it."""
        self._close = END_TAG
        self._held = ""
        self._thoughts: list[str] = []

    def thoughts(self) -> str:
        """What came of the thoughts since this was asked last."""
        thoughts = "".join(self._thoughts)
        self._thoughts.clear()
        return thoughts

    def take(self, piece: str) -> str:
        """What `piece` adds to the answer; a beginning that may be a tag waits for more."""
        if self._place is _Place.ANSWER:
            return piece
        self._held += piece
        while self._leave() if self._place is _Place.INSIDE else self._enter():
            if self._is_answer():
                answer, self._held = self._held, ""
                return answer
        return ""

    def end(self) -> str:
        """What waited, once the text is over; a block that was never closed is no answer."""
        held, self._held = self._held, ""
        match self._place:
            case _Place.INSIDE:
                return held if self._may_be_answer else ""
            case _Place.BEHIND:
                return held.lstrip()
            case _:
                return held

    def _is_answer(self) -> bool:
        return self._place is _Place.ANSWER

    def _leave(self) -> bool:
        """Whether the block ends in what is held."""
        end = self._held.lower().find(self._close)
        if end < 0:
            if not self._may_be_answer:
                self._thoughts.append(self._held[:-_LONGEST])
                self._held = self._held[-_LONGEST:]
            return False
        self._thoughts.append(self._held[:end])
        self._held = self._held[end + len(self._close) :]
        self._may_be_answer = False
        self._place = _Place.BEHIND
        return True

    def _enter(self) -> bool:
        """Whether what is held begins a block, or the answer; False where it may be either."""
        begin = self._held.lstrip()
        tag = begin[:_LONGEST].lower()
        for opened, close in _TAGS.items():
            if tag.startswith(opened):
                self._held, self._close = begin[len(opened) :], close
                self._place = _Place.INSIDE
                return True
            if opened.startswith(tag):
                return False
        if self._place is _Place.BEHIND:
            self._held = begin
        self._place = _Place.ANSWER
        return True
