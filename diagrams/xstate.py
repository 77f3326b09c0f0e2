"""A declaration as the JSON of an XState machine (https://stately.ai/docs/machines), of version 5.

It is what `createMachine` takes. XState tries the innermost state's transitions first, then in the
order of the array, the first whose guard holds, as the kernel does. What JSON cannot say:

- A transition has one guard, so its type is the whole condition (`result_is_current and not
  loop_is_short`), and its `params` list the names that must hold (`all`) and must not (`none`). The host
  gives each type a function.
- An action is a type that the host gives a function. What guards and actions compute stays in the chart.

`reenter` is set where XState would otherwise not leave the source on the way to a state within it.
"""

import json
from typing import Any

from machines.declarations import Declaration
from machines.statechart import Edge, Node, NodeKind, Topology

Json = dict[str, Any]


def xstate_source(declared: Declaration) -> str:
    """The JSON of one machine: the same bytes for the same declaration."""
    chart = declared.topology()
    root: Json = {
        "id": chart.machine,
        "description": chart.title,
        "meta": {
            "fingerprint": declared.fingerprint,
            "guards": declared.guards,
            "actions": declared.actions,
        },
        **_inside(chart, None),
    }
    return f"{json.dumps(root, indent=2, ensure_ascii=False)}\n"


def guard_type(edge: Edge) -> str:
    """The name under which the host knows the whole condition of an edge."""
    return " and ".join(guard.label for guard in edge.guards)


def _inside(chart: Topology, name: str | None) -> Json:
    """The states within a state, or within the machine for None."""
    children = chart.within(name)
    if not children:
        return {}
    is_parallel = name is not None and chart.node(name).kind is NodeKind.PARALLEL
    begin: Json = (
        {"type": "parallel"}
        if is_parallel
        else {"initial": next(node.name for node in children if node.initial)}
    )
    return {**begin, "states": {node.name: _state(chart, node) for node in children}}


def _state(chart: Topology, node: Node) -> Json:
    state: Json = {"id": node.id}
    if node.final:
        state["type"] = "final"
    state |= _inside(chart, node.name)
    leaving = [edge for edge in chart.edges if edge.source == node.name]
    if leaving:
        on: dict[str, list[Json]] = {}
        for edge in leaving:
            on.setdefault(edge.event, []).append(_transition(chart, edge))
        state["on"] = on
    return state


def _transition(chart: Topology, edge: Edge) -> Json:
    made: Json = {"target": f"#{chart.node(edge.target).id}"}
    if edge.guards:
        made["guard"] = {
            "type": guard_type(edge),
            "params": {
                "all": [guard.name for guard in edge.guards if guard.expected],
                "none": [guard.name for guard in edge.guards if not guard.expected],
            },
        }
    if edge.actions:
        made["actions"] = list(edge.actions)
    if edge.source in (edge.target, *chart.ancestors(edge.target)):
        made["reenter"] = True
    made["meta"] = {"edge": edge.id, "kind": edge.kind.value}
    return made
