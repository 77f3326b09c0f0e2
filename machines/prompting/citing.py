"""Which labels an answer may show in brackets: those that were supplied, each in a bracket of its own.

A label that was not supplied can be resolved to nothing. It is taken out with the space before it;
where nothing stands before it on its line, it may be what the line is about (a priority, say), and
stands in parentheses. Code and links stay as they are. One reader serves whole texts and texts that
are still being written, and gives both the same text, wherever the pieces are cut.
"""

import re
from collections.abc import Set
from typing import Final

_BRACKET: Final = re.compile(r"`+|\[(?P<labels>[Pp\d,; \t]{2,80})\]")
_BEGUN: Final = re.compile(r"\[[Pp\d,; \t]{0,80}\]?\Z")
"""What may become a bracket with labels, or a link."""
_LONGEST: Final = 82

_BETWEEN: Final = re.compile(r"[ \t]*[,;][ \t]*")
_LABEL: Final = re.compile(r"P\d{1,4}")
_WORD: Final = re.compile(r"\w")


class CitationReader:
    """Reads the pieces of one text, and gives back what may be shown of it: `take`, then `rest`."""

    def __init__(self, supplied: Set[str]) -> None:
        """`supplied` are the labels that may be cited, as `P3`."""
        self._supplied = supplied
        self._withheld = ""
        self._is_code = False
        self._line_has_words = False

    def take(self, piece: str) -> str:
        """What may be shown, now that this piece is there too."""
        text = self._withheld + piece
        begun = _BEGUN.search(text, max(0, len(text) - _LONGEST))
        before = text[: begun.start()] if begun else text
        ready = before.rstrip(" \t")
        self._withheld = text[len(ready) :]
        return self._read(ready)

    def rest(self) -> str:
        """What was withheld; no piece follows."""
        text, self._withheld = self._withheld, ""
        return self._read(text)

    def _read(self, text: str) -> str:
        shown: list[str] = []
        place = 0
        for found in _BRACKET.finditer(text):
            before, place = text[place : found.start()], found.end()
            self._note(before)
            is_link = text[place : place + 1] == "("
            as_it_is = found["labels"] is None or self._is_code or is_link
            cited = found[0] if as_it_is else self._cited(found)
            # What is left out takes the space before it along.
            shown += [before if cited else before.rstrip(" \t"), cited]
            self._note(cited)
            if found["labels"] is None and len(found[0]) % 2:
                self._is_code = not self._is_code
        self._note(text[place:])
        return "".join(shown) + text[place:]

    def _cited(self, found: re.Match[str]) -> str:
        """A bracket as it is shown; empty where it is left out."""
        labels = _BETWEEN.split(found["labels"].strip().upper())
        if not all(_LABEL.fullmatch(each) for each in labels):
            return found[0]
        kept = [f"[{each}]" for each in labels if each in self._supplied]
        if kept:
            return "".join(kept)
        return "" if self._line_has_words else f"({', '.join(labels)})"

    def _note(self, text: str) -> None:
        _, is_new_line, line = text.rpartition("\n")
        has_words = _WORD.search(line) is not None
        self._line_has_words = has_words or (self._line_has_words and not is_new_line)


def only_supplied(text: str, supplied: Set[str]) -> str:
    """A whole text with no other labels in brackets than those that were supplied."""
    reader = CitationReader(supplied)
    return reader.take(text) + reader.rest()
