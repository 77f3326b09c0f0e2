"""Figures, contestants, targets and their outcomes: plain values and the arithmetic over them.

A round is one run of every contestant. Ratios are taken within a round, where the machine was the
same for both, and the median of them is what is reported: absolute figures do not hold on a machine
that is shared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

Round = Mapping[str, Mapping[str, float]]
"""Figures by key, by contestant."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that contestants measure."""

    key: str
    """As the contestant tells it."""
    label: str
    unit: str
    """Of the value that is told; empty for a plain count."""
    better: Literal["less", "more"] = "less"


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way of doing a question's work."""

    name: str
    module: str
    """Under `benchmarks.contestants`."""
    arguments: tuple[str, ...] = ()
    peer: bool = False
    """Whether it runs in the peers' environment."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached: a ratio to the best of some others, or a plain value."""

    sentence: str
    figure: str
    ours: str
    against: tuple[str, ...] = ()
    """The best of these in each round is the measure; none: the figure itself is."""
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be so for everybody, or a round was not about its question."""

    sentence: str
    """Of the round that is dropped: "somebody ..."."""
    figure: str
    at_least: float


@dataclass(frozen=True, slots=True)
class Question:
    """A claim about speed, and how it is settled."""

    name: str
    """Of its files and on the command line."""
    title: str
    work: str
    """What one contestant does in one round, in sentences."""
    figures: tuple[Figure, ...]
    contestants: tuple[Contestant, ...]
    targets: tuple[Target, ...]
    conditions: tuple[Condition, ...] = ()
    """A round in which one of them is not met is dropped, and run again."""
    rounds: int = 7
    seconds: float = 180.0
    """The longest that one contestant may take."""

    def figure(self, key: str) -> Figure:
        """The figure of that key; KeyError where there is none."""
        for figure in self.figures:
            if figure.key == key:
                return figure
        raise KeyError(key)


class Spread(NamedTuple):
    """What several rounds gave."""

    least: float
    middle: float
    most: float


class Outcome(NamedTuple):
    """What became of a target."""

    target: Target
    spread: Spread
    """Of the ratios, or of the values where the target names nobody."""
    reached: bool


def spread(values: Sequence[float]) -> Spread:
    """Least, median and most. Raises StatisticsError where there are none."""
    return Spread(min(values, default=0.0), median(values), max(values, default=0.0))


def spread_of(rounds: Sequence[Round], contestant: str, figure: str) -> Spread | None:
    """What the rounds gave for a figure; None where this contestant does not measure it."""
    values = [each[contestant][figure] for each in rounds if figure in each[contestant]]
    return spread(values) if values else None


def unmet(question: Question, told: Round) -> str | None:
    """Why a round is not about its question; None where every condition is met."""
    for condition in question.conditions:
        for name, figures in told.items():
            value = figures[condition.figure]
            if value < condition.at_least:
                label = question.figure(condition.figure).label
                return (
                    f"{condition.sentence} ({name}: {label} {value:.2g}, "
                    f"and {condition.at_least:g} is the least)"
                )
    return None


def outcome(question: Question, target: Target, rounds: Sequence[Round]) -> Outcome:
    """Hold the rounds against a target."""
    best = min if question.figure(target.figure).better == "less" else max
    values = [
        each[target.ours][target.figure]
        / (best(each[name][target.figure] for name in target.against) if target.against else 1.0)
        for each in rounds
    ]
    found = spread(values)
    reached = (target.at_most is None or found.middle <= target.at_most) and (
        target.at_least is None or found.middle >= target.at_least
    )
    return Outcome(target, found, reached)
