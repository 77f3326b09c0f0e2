"""Temporal rules: what holds of every sequence of steps that the machines may take.

The rules are written once, in `rules`, and judged twice: in the whole reachable space of the charts
and of their product (`checking`), and on what a journal recorded (`monitor`). `form` says what can be
said, `steps` of what. No rule is needed to run a machine, and no machine knows of them.
"""

from machines.properties.form import Form, Formula, Rule, Slice, unrecorded
from machines.properties.monitor import Broken, Monitor
from machines.properties.rules import all_rules
from machines.properties.steps import Step

__all__ = [
    "Broken",
    "Form",
    "Formula",
    "Monitor",
    "Rule",
    "Slice",
    "Step",
    "all_rules",
    "assured",
    "checking",
    "form",
    "monitor",
    "rules",
    "steps",
    "unrecorded",
]
