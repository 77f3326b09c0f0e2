"""Figures, contestants, targets and their outcomes: plain values and the arithmetic over them.

A round is one run of every contestant. Ratios are taken within a round, where the machine was the
same for both, and the median of them is what is reported: absolute figures do not hold on a machine
that is shared.
"""

import math
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
    size: int = 1
    """How much it works on, in units of the question; see `Target.above`."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached: a ratio to the best of some others, or a plain value."""

    sentence: str
    figure: str
    ours: str
    against: tuple[str, ...] = ()
    """The best of these in each round is the measure; none: the figure itself is."""
    above: str | None = None
    """A contestant that works on nothing. What it takes is taken from every contestant, and the rest
    divided by the size of who took it: so what grows with the size is not hidden behind what is
    fixed."""
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold for every contestant, or a round was not about its question."""

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
    in_the_way: str = ""
    """Why a target is not reached, in sentences; they stand on the page only while one is not."""
    rounds: int = 7
    seconds: float = 180.0
    """The longest that one contestant may take."""

    def figure(self, key: str) -> Figure:
        """The figure of that key; KeyError where there is none."""
        for figure in self.figures:
            if figure.key == key:
                return figure
        raise KeyError(key)

    def contestant(self, name: str) -> Contestant:
        """The contestant of that name; KeyError where there is none."""
        for contestant in self.contestants:
            if contestant.name == name:
                return contestant
        raise KeyError(name)


class Spread(NamedTuple):
    """What several rounds gave."""

    least: float
    middle: float
    most: float


class Outcome(NamedTuple):
    """What became of a target."""

    target: Target
    spread: Spread
    """Of the ratios, or of the values where the target names no contestant."""
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
        _ratio(
            _value(question, target, each, target.ours),
            best(_value(question, target, each, name) for name in target.against),
        )
        if target.against
        else _value(question, target, each, target.ours)
        for each in rounds
    ]
    found = spread(values)
    reached = (target.at_most is None or found.middle <= target.at_most) and (
        target.at_least is None or found.middle >= target.at_least
    )
    return Outcome(target, found, reached)


def _ratio(ours: float, theirs: float) -> float:
    # What noise made of a growth that is too small to be seen must not pass for a proof.
    return ours / theirs if ours > 0 and theirs > 0 else math.inf


def _value(question: Question, target: Target, told: Round, name: str) -> float:
    """What counts of a contestant's figure."""
    value = told[name][target.figure]
    if target.above is None:
        return value
    return (value - told[target.above][target.figure]) / question.contestant(name).size
