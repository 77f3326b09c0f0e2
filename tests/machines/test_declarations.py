"""Declarations as values: what a chart says, kept as JSON and read back without its code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import machines
from machines.charts import all_charts, all_machines
from machines.declarations import (
    Declaration,
    UnreadableDeclaration,
    declaration_of,
    read_declaration,
)
from machines.statechart import AnyChart, topology
from machines.statechart.engine import AnyMachine

every_chart = pytest.mark.parametrize("chart", all_charts(), ids=lambda chart: chart.machine)
every_machine = pytest.mark.parametrize("machine", all_machines(), ids=lambda machine: machine.name)


@every_machine
def test_a_declaration_that_is_read_back_is_the_same_chart(machine: AnyMachine) -> None:
    declared = declaration_of(machine.topology)
    read = read_declaration(declared.to_json())
    assert read == declared
    assert read.topology() == machine.topology
    assert read.topology().fingerprint == read.fingerprint == machine.fingerprint
    assert declaration_of(read.topology()) == declared


@every_chart
def test_a_declaration_says_what_each_guard_and_each_action_is_for(chart: AnyChart) -> None:
    declared = declaration_of(topology(chart))
    sentences = declared.guards | declared.actions
    assert not [name for name, sentence in sentences.items() if not sentence]


def test_the_text_is_the_same_in_every_process() -> None:
    program = (
        "from machines.charts import all_charts\n"
        "from machines.declarations import declaration_of\n"
        "from machines.statechart import topology\n"
        "for chart in all_charts(): print(declaration_of(topology(chart)).to_json())\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(machines.__file__).parents[1])},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_a_guard_that_was_read_back_has_a_meaning_and_no_code() -> None:
    (chart, *_) = all_charts()
    shape = declaration_of(topology(chart)).topology()
    guard = next(guard for edge in shape.edges for guard in edge.guards)
    assert guard.sentence
    with pytest.raises(TypeError, match=f"^{guard.name} was read from a declaration"):
        guard.rule(None, None)


def lamp(**changes: Any) -> str:
    """A small declaration, changed at its top."""
    edge = {
        "id": "edge_lamp_switch_dark_lit",
        "event": "switch",
        "source": "dark",
        "target": "lit",
        "kind": "normal",
        "guards": ["not broken"],
        "actions": ["glow"],
    }
    state = {"parent": None, "kind": "atomic", "initial": False, "final": False}
    whole = {
        "format": 1,
        "machine": "lamp",
        "fingerprint": "lamp:0",
        "title": "Lamp",
        "states": [{"name": "dark", **state, "initial": True}, {"name": "lit", **state}],
        "edges": [edge],
        "guards": {"broken": "It gives no light."},
        "actions": {"glow": "It gives light."},
    }
    return json.dumps(whole | changes)


def test_a_small_declaration_is_read() -> None:
    assert isinstance(read_declaration(lamp()), Declaration)


LIT = {"name": "lit", "parent": "room", "kind": "atomic", "initial": True, "final": False}

UNREADABLE = {
    "no JSON": ("{", "it is no JSON"),
    "no object": ("[]", "it names no format"),
    "no format": ("{}", "it names no format"),
    "a later format": (lamp(format=2), "it has a format that is not known here"),
    "a part that is missing": ('{"format": 1}', "machine: Field required"),
    "a number for a name": (lamp(machine=1), "machine: Input should be a valid string"),
    "a state within none": (
        lamp(states=[LIT]),
        "the state lit is within room, which is not above it",
    ),
    "no states": (lamp(states=[], edges=[]), "the machine has no states within it"),
    "no initial state": (
        lamp(states=[LIT | {"parent": None, "initial": False}]),
        "the machine has not one initial state directly within it",
    ),
    "a state within an atomic one": (
        lamp(states=[LIT | {"parent": None, "name": "room"}, LIT]),
        "the state room is atomic, and has states within it",
    ),
    "a compound state without any": (
        lamp(states=[LIT | {"parent": None, "kind": "compound"}]),
        "the state lit has no states within it",
    ),
    "a state twice": (lamp(states=[LIT | {"parent": None}] * 2), "there are two states lit"),
    "an edge from nowhere": (
        lamp(states=[LIT | {"parent": None}]),
        "edge_lamp_switch_dark_lit has the state dark, which is not there",
    ),
    "a guard without a meaning": (
        lamp(guards={}),
        "edge_lamp_switch_dark_lit has the guard not broken, which is not explained",
    ),
    "an action without a meaning": (
        lamp(actions={}),
        "edge_lamp_switch_dark_lit has the action glow, which is not explained",
    ),
    "an edge twice": (
        lamp(edges=json.loads(lamp())["edges"] * 2),
        "there are two edges edge_lamp_switch_dark_lit",
    ),
}


@pytest.mark.parametrize(("text", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_declaration_is_refused_with_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UnreadableDeclaration) as refused:
        read_declaration(text)
    assert str(refused.value) == said
