"""The kernel: statecharts that are declared once, then compiled, run, drawn and covered by tests.

It knows nothing of Chorus and imports python-statemachine and the standard library only. Declare a
machine with `Chart` and `Edges`, run it with `Machine`, test it with `machines.statechart.coverage`;
README.md beside this file shows a whole one. Business rules, IO and drawings live elsewhere.
"""

from machines.statechart.chart import AnyChart, Chart, EdgeKind, Edges, Reaction
from machines.statechart.compiler import UnsupportedDeclaration
from machines.statechart.evaluation import Asked, ImpossibleOutcome, Verdict, asked
from machines.statechart.machine import Accepted, Machine, Refusal
from machines.statechart.topology import (
    Configuration,
    Edge,
    Guard,
    Node,
    NodeKind,
    Topology,
    topology,
)

__all__ = [
    "Accepted",
    "AnyChart",
    "Asked",
    "Chart",
    "Configuration",
    "Edge",
    "EdgeKind",
    "Edges",
    "Guard",
    "ImpossibleOutcome",
    "Machine",
    "Node",
    "NodeKind",
    "Reaction",
    "Refusal",
    "Topology",
    "UnsupportedDeclaration",
    "Verdict",
    "asked",
    "chart",
    "compiler",
    "coverage",
    "engine",
    "evaluation",
    "machine",
    "scenarios",
    "topology",
]
