"""A declaration as SCXML (https://www.w3.org/TR/scxml/), for any processor of it.

SCXML chooses edges as the kernel does: those of the innermost state first, then in document order, the
first whose condition holds; and an edge leaves and enters the same states. What it cannot say:

- A guard is a boolean of the data model, false at first, which the host sets before it sends an event.
  What the guard computes stays in the chart.
- An action is a name in `chorus:actions`, which a processor passes over.

Attributes of the namespace `urn:chorus:declaration` tell the rest: ids, kinds and docstrings.
"""

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from machines.declarations import Declaration
from machines.statechart import Edge, Node, NodeKind, Topology

SCXML: Final = "http://www.w3.org/2005/07/scxml"
CHORUS: Final = "urn:chorus:declaration"


def scxml_source(declared: Declaration) -> str:
    """The document of one machine: the same bytes for the same declaration."""
    chart = declared.topology()
    root = Element(
        "scxml",
        {
            "xmlns": SCXML,
            "xmlns:chorus": CHORUS,
            "version": "1.0",
            "datamodel": "ecmascript",
            "name": chart.machine,
            "initial": _initial(chart, None),
            "chorus:title": chart.title,
            "chorus:fingerprint": declared.fingerprint,
        },
    )
    if declared.guards:
        data = SubElement(root, "datamodel")
        for name, sentence in declared.guards.items():
            SubElement(data, "data", {"id": name, "expr": "false", "chorus:meaning": sentence})
    root.extend(_states(chart, None))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def condition(edge: Edge) -> str:
    """The guards of an edge as an expression over the data model; empty where it has none.

    `=== false` means the same to processors that read ECMAScript and to those that read Python.
    """
    return " && ".join(
        guard.name if guard.expected else f"{guard.name} === false" for guard in edge.guards
    )


def _states(chart: Topology, parent: str | None) -> Iterator[Element]:
    for node in chart.within(parent):
        element = Element(_tag(node), {"id": node.name})
        if node.kind is NodeKind.COMPOUND:
            element.set("initial", _initial(chart, node.name))
        for edge in chart.edges:
            if edge.source == node.name:
                element.append(_transition(edge))
        element.extend(_states(chart, node.name))
        yield element


def _transition(edge: Edge) -> Element:
    attributes = {"event": edge.event, "target": edge.target}
    if edge.guards:
        attributes["cond"] = condition(edge)
    attributes |= {"chorus:edge": edge.id, "chorus:kind": edge.kind.value}
    if edge.actions:
        attributes["chorus:actions"] = " ".join(edge.actions)
    return Element("transition", attributes)


def _tag(node: Node) -> str:
    if node.final:
        return "final"
    return "parallel" if node.kind is NodeKind.PARALLEL else "state"


def _initial(chart: Topology, parent: str | None) -> str:
    return next(node.name for node in chart.within(parent) if node.initial)
