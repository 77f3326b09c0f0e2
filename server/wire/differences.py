"""Where two texts differ, word by word.

The longest common subsequence of their words, by the rows of its table (Wagner and Fischer, 1974), each
row at once in numpy. Time and memory are bounded by `MOST_CELLS`, and what is told by `MOST_SPANS`: texts
that need more are compared by lines, and where that is too much as well they are told as other altogether.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, Literal

import numpy as np

from machines.models.wire.comparison import Span

MOST_CELLS: Final = 8_000_000
"""Of all tables of a comparison: some 50 ms, and 16 MB at a time."""

MOST_SPANS: Final = 1_000
"""Of all texts of a comparison: 40 KB of the frame that tells them, and it tells one pair of texts twice."""

LEAST_ISLAND: Final = 3
"""Words that two other texts must have in common between two differences, so that they tell anything."""

_WORDS: Final = re.compile(r"\S+\s*|\s+")
_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")

_Kind = Literal["same", "removed", "added"]
_Piece = tuple[_Kind, str]


def differences(
    pairs: Iterable[tuple[str, str]],
) -> Mapping[tuple[str, str], tuple[Span, ...]]:
    """The spans of each pair of texts, from their beginnings: what is in both, in the one alone, in the
    other alone. The bounds are those of all pairs together."""
    distinct = tuple(dict.fromkeys(pairs))
    share = max(1, sum(one != other for one, other in distinct))
    return {
        (one, other): _told(one, other, MOST_CELLS // share, MOST_SPANS // share)
        for one, other in distinct
    }


def _told(one: str, other: str, most_cells: int, most_spans: int) -> tuple[Span, ...]:
    for parts in (_WORDS, _LINES):
        pieces = _compared(parts.findall(one), parts.findall(other), most_cells)
        if pieces is not None:
            spans = tuple(_spans(pieces))
            if len(spans) <= most_spans:
                return spans
    return tuple(_spans([("removed", one), ("added", other)]))


def _compared(one: Sequence[str], other: Sequence[str], most_cells: int) -> list[_Piece] | None:
    """The pieces of two texts in order; None where they are too many."""
    before = _common(one, other)
    after = _common(one[before:][::-1], other[before:][::-1])
    middle = one[before : len(one) - after], other[before : len(other) - after]
    if len(middle[0]) * len(middle[1]) > most_cells:
        return None
    return [
        *(("same", each) for each in one[:before]),
        *_without_islands(_aligned(*middle)),
        *(("same", each) for each in one[len(one) - after :]),
    ]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many first words are the same."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


def _aligned(one: Sequence[str], other: Sequence[str]) -> list[_Piece]:
    """The words of both along a longest common subsequence, what is removed before what is added."""
    numbers: dict[str, int] = {}
    rows, columns = (
        np.array([numbers.setdefault(each, len(numbers)) for each in text], dtype=np.int32)
        for text in (one, other)
    )
    lengths = np.zeros((len(one) + 1, len(other) + 1), dtype=np.int16)
    for place, word in enumerate(rows, 1):
        above = lengths[place - 1]
        taken = np.where(columns == word, above[:-1] + 1, above[1:])
        np.maximum.accumulate(np.maximum(taken, above[1:]), out=lengths[place, 1:])
    return _path(lengths, one, other)[::-1]


def _path(
    lengths: "np.ndarray[tuple[int, int], np.dtype[np.int16]]",
    one: Sequence[str],
    other: Sequence[str],
) -> list[_Piece]:
    """From the end of both texts to their beginnings."""
    pieces: list[_Piece] = []
    row, column = len(one), len(other)
    while row or column:
        if row and column and one[row - 1] == other[column - 1]:
            pieces.append(("same", one[row - 1]))
            row, column = row - 1, column - 1
        elif column and (not row or lengths[row, column - 1] >= lengths[row - 1, column]):
            pieces.append(("added", other[column - 1]))
            column -= 1
        else:
            pieces.append(("removed", one[row - 1]))
            row -= 1
    return pieces


def _without_islands(pieces: list[_Piece]) -> Iterator[_Piece]:
    """The pieces, where a few common words among longer differences are no common text."""
    runs = [
        (is_same, list(run)) for is_same, run in groupby(pieces, lambda each: each[0] == "same")
    ]
    for place, (is_same, run) in enumerate(runs):
        around = [len(runs[near][1]) for near in (place - 1, place + 1) if 0 <= near < len(runs)]
        island = is_same and len(run) < LEAST_ISLAND and len(around) == 2 and len(run) < min(around)
        for kind, text in run:
            if island:
                yield "removed", text
                yield "added", text
            else:
                yield kind, text


def _spans(pieces: Sequence[_Piece]) -> Iterator[Span]:
    """Pieces put together; between two common texts what is removed stands before what is added."""
    for is_same, run in groupby(pieces, lambda each: each[0] == "same"):
        lengths: dict[_Kind, int] = {}
        for kind, text in run:
            lengths[kind] = lengths.get(kind, 0) + len(text)
        kinds: tuple[_Kind, ...] = ("same",) if is_same else ("removed", "added")
        for kind in kinds:
            if lengths.get(kind):
                yield Span(kind=kind, length=lengths[kind])
