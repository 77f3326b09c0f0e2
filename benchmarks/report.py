"""RESULTS.md, and the rounds that it was made of, one file for each question.

A question that is asked again replaces its own file alone; the page is made anew of all files.
"""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.figures import Outcome, Question, Round, Spread, outcome, spread_of

RESULTS: Final = Path(__file__).parent / "results"
PAGE: Final = Path(__file__).parent / "RESULTS.md"

_OURS: Final = ("aiohttp", "python-statemachine", "qdrant-client", "numpy", "SQLAlchemy", "uvloop")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question's rounds, and where and when they were run."""

    rounds: tuple[Round, ...]
    dropped: int
    """Rounds that were run again, since they were not about the question."""
    date: str
    machine: str
    versions: str


def keep(
    question: Question,
    rounds: Sequence[Round],
    peers: Mapping[str, str],
    at: datetime,
    *,
    dropped: int,
) -> None:
    """Write a question's file; `dropped` rounds were run again."""
    RESULTS.mkdir(exist_ok=True)
    versions = {name: version(name) for name in _OURS} | dict(peers)
    asked = {
        "date": at.strftime("%Y-%m-%d %H:%M UTC"),
        "machine": _machine(),
        "versions": ", ".join(f"{name} {number}" for name, number in sorted(versions.items())),
        "title": question.title,
        "figures": [
            {"key": each.key, "label": each.label, "unit": each.unit} for each in question.figures
        ],
        "dropped": dropped,
        "rounds": list(rounds),
    }
    text = json.dumps(asked, indent=1)
    (RESULTS / f"{question.name}.json").write_text(f"{text}\n", encoding="utf-8")


def kept(question: Question) -> Asked | None:
    """What was kept of a question; None where it was never asked, or of other contestants."""
    file = RESULTS / f"{question.name}.json"
    if not file.exists():
        return None
    read = json.loads(file.read_text(encoding="utf-8"))
    if list(read["rounds"][0]) != [each.name for each in question.contestants]:
        return None
    return Asked(
        rounds=tuple(read["rounds"]),
        dropped=read.get("dropped", 0),
        date=read["date"],
        machine=read["machine"],
        versions=read["versions"],
    )


def write_page(questions: Sequence[Question]) -> None:
    """Make RESULTS.md anew."""
    PAGE.write_text("\n".join(_page(questions)), encoding="utf-8")


def outcomes(question: Question, rounds: Sequence[Round]) -> list[Outcome]:
    """What became of each target."""
    return [outcome(question, target, rounds) for target in question.targets]


def _page(questions: Sequence[Question]) -> Iterator[str]:
    yield "# How fast it is"
    yield ""
    yield (
        "Made by `make bench`; do not edit. Every contestant is a process of its own, and all of"
        " them take turns, round after round. Each cell is the median of the rounds with the least"
        " and the most in brackets; a ratio is taken within a round, and its median is what counts."
        " Absolute figures hold for this machine at that hour alone. A round in which somebody could not"
        " keep up with what was to be measured is dropped and run again; how many were, is said."
    )
    yield ""
    for question in questions:
        asked = kept(question)
        if asked is not None:
            yield from _section(question, asked)


def _section(question: Question, asked: Asked) -> Iterator[str]:
    yield f"## {question.title}"
    yield ""
    yield question.work
    yield ""
    names = [each.name for each in question.contestants if each.name in asked.rounds[0]]
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'---:|' * len(names)}"
    for figure in question.figures:
        cells = [_cell(spread_of(asked.rounds, name, figure.key)) for name in names]
        if any(cells):
            unit = f", {figure.unit}" if figure.unit else ""
            yield f"| {figure.label}{unit} | {' | '.join(cells)} |"
    yield ""
    yield "| to reach | measured | reached |"
    yield "|---|---:|---|"
    found = outcomes(question, asked.rounds)
    for each in found:
        suffix = "" if not each.target.against else "x"
        measured = (
            f"{each.spread.middle:.3g}{suffix} ({each.spread.least:.3g} to {each.spread.most:.3g})"
        )
        yield f"| {each.target.sentence} | {measured} | {'yes' if each.reached else '**no**'} |"
    yield ""
    if question.in_the_way and not all(each.reached for each in found):
        yield f"What stands in the way: {question.in_the_way}"
        yield ""
    yield f"![{question.title}](results/{question.name}.png)"
    yield ""
    dropped = f", {asked.dropped} more dropped" if asked.dropped else ""
    yield f"{len(asked.rounds)} rounds{dropped} on {asked.date}; {asked.machine}; {asked.versions}."
    yield ""


def _cell(found: Spread | None) -> str:
    if found is None:
        return ""
    least, middle, most = (_number(value) for value in found)
    return f"{middle} ({least} to {most})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} "
        f"{platform.release().split('-')[0]}, CPython {platform.python_version()}"
    )
