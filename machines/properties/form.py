"""The form of temporal rules: `always`, `never`, `until`, `eventually` and `leads_to`.

    Rule(
        "queued_runs_end",
        leads_to(is_queued, has_ended),
        about=each("chorus"),
        reason="A prompt that is accepted is answered, or its co-authors are told why not.",
    )

A rule speaks of a sequence of steps, cut into slices: the steps of one value, of one thread, or of one
key in a thread. It must hold in each slice by itself.

    always(p)             every step is p
    never(p)              no step is p
    until(p, q)           every step is p before the first that is q; none need be q
    eventually(q)         some step is q
    leads_to(p, q)        a step that is p is q too, or one behind it is
    ..., after=r          the rule begins anew behind each step that is r

These are patterns of Dwyer, Avrunin and Corbett, "Patterns in Property Specifications for Finite-State
Verification" (ICSE 1999): universality, absence, precedence, existence and response, globally or after
an event. In linear temporal logic, with steps in place of states (Baier and Katoen, "Principles of
Model Checking", MIT Press 2008, section 5.1): `G p`, `G not p`, `p W q`, `F q`, `G (p -> F q)`, and
`G (r -> X rule)`. `until` is the weak one, so that it is a safety property like the first two: what
breaks it is a finite sequence. The last two are liveness properties; what breaks them is a sequence
that has ended, or never ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from machines.properties.steps import Step

Test = Callable[[Step], bool]
"""What is asked of one step. Its name is a sentence that is true or false."""

Key = Callable[[Step], str | None]
"""The slice that a step belongs to; None for none."""


class Form(StrEnum):
    """How a rule speaks of the steps."""

    ALWAYS = "always"
    NEVER = "never"
    UNTIL = "until"
    EVENTUALLY = "eventually"
    LEADS_TO = "leads_to"


@dataclass(frozen=True, slots=True)
class Formula:
    """A form with its tests; made by the functions below."""

    form: Form
    text: str
    arms: Test | None = None
    """Behind a step that is it, the rule holds from there on; None from the beginning."""
    breaks: Test | None = None
    """What no step may be while it holds."""
    ends: Test | None = None
    """A step that is it releases it."""

    @property
    def is_live(self) -> bool:
        """Whether something must happen, and not only nothing bad."""
        return self.form in {Form.EVENTUALLY, Form.LEADS_TO}


def always(p: Test, *, after: Test | None = None) -> Formula:
    """Every step is `p`."""
    return Formula(Form.ALWAYS, _text(f"always {_name(p)}", after), arms=after, breaks=no(p))


def never(p: Test, *, after: Test | None = None) -> Formula:
    """No step is `p`."""
    return Formula(Form.NEVER, _text(f"never {_name(p)}", after), arms=after, breaks=p)


def until(p: Test, q: Test, *, after: Test | None = None) -> Formula:
    """Every step is `p` before the first that is `q`; none need be `q`."""
    text = _text(f"{_name(p)} until {_name(q)}", after)
    return Formula(Form.UNTIL, text, arms=after, breaks=no(p), ends=q)


def eventually(q: Test) -> Formula:
    """Some step is `q`; `leads_to` says the same behind another step."""
    return Formula(Form.EVENTUALLY, f"eventually {_name(q)}", ends=q)


def leads_to(p: Test, q: Test) -> Formula:
    """A step that is `p` is `q` too, or one behind it is."""
    return Formula(Form.LEADS_TO, f"{_name(p)} leads to {_name(q)}", arms=p, ends=q)


def no(test: Test) -> Test:
    """The opposite."""

    def opposite(step: Step) -> bool:
        return not test(step)

    return named(f"no {_name(test)}", opposite)


def takes(machine: str, *events: str) -> Test:
    """The step is one of `machine`, by one of `events`."""

    def test(step: Step) -> bool:
        return step.machine == machine and step.event in events

    return named(f"{machine} takes {' or '.join(events)}", test)


def enters(machine: str, *states: str) -> Test:
    """The step of `machine` reaches one of `states` from another state."""

    def test(step: Step) -> bool:
        return step.machine == machine and step.target in states and step.source != step.target

    return named(f"{machine} enters {' or '.join(states)}", test)


def ends(machine: str) -> Test:
    """The step takes a value of `machine` into a final state."""

    def test(step: Step) -> bool:
        return step.machine == machine and step.is_last

    return named(f"{machine} ends", test)


def named(name: str, test: Test) -> Test:
    """The test, called `name` in what is said of it."""
    test.__name__ = name
    return test


# --- Slices --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slice:
    """Which steps a rule speaks of, and which of them together."""

    name: str
    keys: Mapping[str, Key]
    """By machine; steps of another machine are not looked at."""
    is_one_value: bool = False
    """Whether a slice is all steps of one value, so that it begins and ends with it."""


def _instance(step: Step) -> str:
    return step.instance


def each(machine: str) -> Slice:
    """The steps of one value of a machine."""
    return Slice(machine, {machine: _instance}, is_one_value=True)


# --- Rules ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds of every sequence of steps."""

    name: str
    """A sentence, as a name."""
    formula: Formula
    about: Slice
    reason: str
    source: str = ""
    """The document of a promise that it is part of."""
    searched_only: str = ""
    """Why no journal is judged by it; empty where one is."""

    def follow(self, armed: bool, step: Step) -> tuple[bool, bool]:
        """What one step of a slice does to the rule.

        Args:
            armed: Whether the rule holds from an earlier step on; of a form that `arms` nothing and
                `ends` with nothing, always true.

        Returns:
            Whether it holds further on, and whether the step broke it; a broken rule begins anew.

        Raises:
            KeyError: the step lacks a field that the rule reads.
        """
        formula = self.formula
        arms, goal, breaks = formula.arms, formula.ends, formula.breaks
        if arms is None and (goal is None or (self.about.is_one_value and step.is_first)):
            armed = True
        if armed:
            if goal is not None and goal(step):
                armed = False
            elif breaks is not None and breaks(step):
                return False, True
        if arms is not None and arms(step) and not (formula.is_live and goal and goal(step)):
            armed = True
        if armed and self.about.is_one_value and step.is_last:
            # The value has ended: nothing more will happen to it.
            return False, formula.is_live
        return armed and (arms is not None or goal is not None), False


def _name(test: Test) -> str:
    return test.__name__.strip("_").replace("_", " ")


def _text(text: str, after: Test | None) -> str:
    return text if after is None else f"{text}, after {_name(after)}"


READS_BEFORE: Final = "it reads the value before a step, which is not recorded with the step"
"""Why a rule is `searched_only`."""

_NOT_RECORDED: Final = frozenset({"connection", "breaker", "lease"})
"""Machines that live in one process."""


def unrecorded(rule: Rule) -> str:
    """Why a journal cannot be judged by the rule; empty where it can."""
    missing = sorted(_NOT_RECORDED & rule.about.keys.keys())
    if missing and not (rule.about.is_one_value and len(rule.about.keys) > 1):
        return f"it is about a {' and a '.join(missing)}, of which nothing is recorded"
    return rule.searched_only
