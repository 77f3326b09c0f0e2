"""Declarations as they would be after a change of their chart."""

from collections.abc import Callable
from typing import Any

from machines.charts import all_charts
from machines.declarations import Declaration, declaration_of, read_declaration
from machines.statechart import topology

Edit = Callable[[dict[str, Any]], None]

DECLARED = {chart.machine: declaration_of(topology(chart)) for chart in all_charts()}


def edited(machine: str, *edits: Edit) -> Declaration:
    """A machine's declaration as it would be after a change of its chart."""
    raw = DECLARED[machine].model_dump(mode="json")
    for edit in edits:
        edit(raw)
    return read_declaration(Declaration.model_validate(raw, strict=False).to_json())


def without_edge(id_: str) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        raw["edges"] = [each for each in raw["edges"] if each["id"] != id_]

    return edit


def without_state(name: str) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        raw["states"] = [each for each in raw["states"] if each["name"] != name]
        raw["edges"] = [
            each for each in raw["edges"] if name not in (each["source"], each["target"])
        ]

    return edit


def with_edge(id_: str, **fields: Any) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        (edge,) = (each for each in raw["edges"] if each["id"] == id_)
        edge.update(fields)

    return edit


def with_state(name: str, **fields: Any) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        (state,) = (each for each in raw["states"] if each["name"] == name)
        state.update(fields)

    return edit


def renamed_state(name: str, to: str) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        for state in raw["states"]:
            state["name"] = to if state["name"] == name else state["name"]
            state["parent"] = to if state["parent"] == name else state["parent"]
        for edge in raw["edges"]:
            for end in ("source", "target"):
                edge[end] = to if edge[end] == name else edge[end]

    return edit


def renamed_event(name: str, to: str) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        for edge in raw["edges"]:
            edge["event"] = to if edge["event"] == name else edge["event"]

    return edit
