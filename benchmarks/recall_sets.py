"""Dialogues with questions and the turns that answer them: what recall is measured on.

A set is a JSON file, or a folder of them, in the shape `[{dialogue, turns: [{id, session, date,
speaker, text}], questions: [{question, evidence: [turn id]}]}]`; a date names a day, as `8 May 2023`,
`1:56 pm on 8 May, 2023` or `2023-05-08`. A dialogue is a memory of its own, and a session of it a
thread. Only values live here, and the arithmetic over what was found.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Final

from pydantic import BaseModel, TypeAdapter

SENT: Final = 12
"""Messages that a request quotes at most."""

_THREADS: Final = 5

_DAY: Final = re.compile(r"(\d{1,2}) ([A-Z][a-z]+),? (\d{4})")


class Turn(BaseModel):
    """Something said."""

    id: str
    session: str
    date: str
    speaker: str
    text: str

    @property
    def day(self) -> datetime:
        """The beginning of the day that `date` names. Raises ValueError where it names none."""
        if (found := _DAY.search(self.date)) is not None:
            return datetime.strptime(" ".join(found.groups()) + " +0000", "%d %B %Y %z")
        return datetime.fromisoformat(self.date).replace(tzinfo=UTC)


class Question(BaseModel):
    """A question, and the ids of the turns that answer it."""

    question: str
    evidence: tuple[str, ...]


class Dialogue(BaseModel):
    """A dialogue of several sessions."""

    dialogue: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


_SET: Final = TypeAdapter(tuple[Dialogue, ...])


def dialogues_of(path: Path) -> Iterator[Dialogue]:
    """The dialogues of a file, or of all JSON files of a folder, by name.

    Raises:
        OSError: it cannot be read.
        ValidationError: it has another shape.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    for file in files:
        yield from _SET.validate_json(file.read_bytes())


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found for a question, best first, as places in the dialogue's turns."""

    evidence: frozenset[int]
    sent: Sequence[int]
    """By a run, `SENT` at most."""
    found: Sequence[int]
    """By a user's search."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Per cent, each a mean over questions."""

    sent: float
    """Evidence that a run is sent."""
    first: float
    """The first thread has some of the evidence."""
    five: float
    """One of the first five threads has."""
    best: float
    """The first message is some of the evidence."""


def recalled(answers: Sequence[tuple[Dialogue, Answer]]) -> Recalled:
    """How well questions were answered. Raises StatisticsError where there are none."""
    return Recalled(
        sent=100 * mean(_share(answer) for _, answer in answers),
        first=100 * mean(_has_thread(dialogue, answer, 1) for dialogue, answer in answers),
        five=100 * mean(_has_thread(dialogue, answer, _THREADS) for dialogue, answer in answers),
        best=100 * mean(bool(answer.evidence & {*answer.found[:1]}) for _, answer in answers),
    )


def _share(answer: Answer) -> float:
    return len(answer.evidence & {*answer.sent}) / len(answer.evidence)


def _has_thread(dialogue: Dialogue, answer: Answer, most: int) -> bool:
    threads = dict.fromkeys(dialogue.turns[place].session for place in answer.found)
    wanted = {dialogue.turns[place].session for place in answer.evidence}
    return not wanted.isdisjoint([*threads][:most])
