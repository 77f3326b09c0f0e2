"""Machines in the formats of other tools do, under those tools, what the chart's table says.

Each is taken from every configuration by every event, with every combination of the guards that the
event asks: more than a run ever reaches.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from statemachine.io import load
from statemachine.orderedset import OrderedSet

from diagrams.formats import FORMATS, export
from diagrams.labels import one_line
from diagrams.mermaid import mermaid_source
from diagrams.scxml import scxml_source
from diagrams.xstate import xstate_source
from machines.charts import all_machines
from machines.declarations import declaration_of
from machines.statechart import Configuration, Edge, NodeKind, Topology
from machines.statechart.compiler import beginning
from machines.statechart.engine import AnyMachine

ROOT: Final = Path(__file__).parents[2]
WALK: Final = Path(__file__).with_name("walk_xstate.js")
DEADLINE: Final = 120.0
"""Seconds; it takes one, and a busy machine is slow."""

every_machine = pytest.mark.parametrize("machine", all_machines(), ids=lambda machine: machine.name)


class Case(NamedTuple):
    """One event in one configuration, and what the table says of it."""

    configuration: Configuration
    event: str
    holds: frozenset[str]
    """Guards that hold."""
    edge: Edge | None
    """None where the event is refused."""
    reached: Configuration


def cases(machine: AnyMachine) -> Iterator[Case]:
    for configuration, place in machine.table.items():
        for event in machine.topology.events:
            row = place.rows.get(event, ())
            asked = sorted({guard.name for edge, _ in row for guard in edge.guards})
            for truths in product((True, False), repeat=len(asked)):
                known = dict(zip(asked, truths, strict=True))
                taken, reached = next(
                    (
                        (edge, reached)
                        for edge, reached in row
                        if all(known[guard.name] is guard.expected for guard in edge.guards)
                    ),
                    (None, configuration),
                )
                holds = frozenset(name for name, truth in known.items() if truth)
                yield Case(configuration, event, holds, taken, reached)


def first(chart: Topology) -> Configuration:
    """Where a machine is before the first event."""
    return chart.innermost(beginning(chart))


class Host:
    """What python-statemachine keeps the active states and the data model in."""

    configuration: Any = None


@every_machine
def test_python_statemachine_takes_the_scxml_where_the_table_leads(machine: AnyMachine) -> None:
    loaded = load(scxml_source(declaration_of(machine.topology)), format="scxml")
    guards = {guard.name for edge in machine.topology.edges for guard in edge.guards}
    for case in cases(machine):
        if machine.table[case.configuration].rows:
            host = Host()
            running = loaded(host, state_field="configuration")
            assert innermost(machine, running) == first(machine.topology)
            active = machine.table[case.configuration].active
            host.configuration = OrderedSet(
                node.name for node in machine.topology.nodes if node.name in active
            )
            for name in guards:
                setattr(host, name, name in case.holds)
            running.send(case.event)
            assert innermost(machine, running) == case.reached, case


def innermost(machine: AnyMachine, running: Any) -> Configuration:
    return machine.topology.innermost(frozenset(state.id for state in running.configuration))


def test_xstate_takes_the_json_where_the_table_leads_with_the_same_actions(tmp_path: Path) -> None:
    every = {machine: list(cases(machine)) for machine in all_machines()}
    asked = [
        {
            "config": json.loads(xstate_source(declaration_of(machine.topology))),
            "steps": [
                {
                    "value": state_value(machine.topology, case.configuration),
                    "event": case.event,
                    "holds": sorted(case.holds),
                }
                for case in of_machine
            ],
        }
        for machine, of_machine in every.items()
    ]
    assert (ROOT / "node_modules" / "xstate").is_dir(), "run `make node`"
    given, answer = tmp_path / "asked.json", tmp_path / "walked.json"
    given.write_text(json.dumps(asked), encoding="utf-8")
    walk = subprocess.run(
        ["node", WALK, given, answer], capture_output=True, text=True, timeout=DEADLINE
    )
    assert walk.returncode == 0, walk.stderr
    walked = json.loads(answer.read_text(encoding="utf-8"))
    for (machine, of_machine), done in zip(every.items(), walked, strict=True):
        assert done["initial"] == state_value(machine.topology, first(machine.topology))
        for case, step in zip(of_machine, done["steps"], strict=True):
            assert step["value"] == state_value(machine.topology, case.reached), case
            assert tuple(step["actions"]) == (case.edge.actions if case.edge else ()), case


def state_value(chart: Topology, configuration: Configuration) -> Any:
    """As XState writes where a machine is: a name, or an object of what is within each state."""
    active = {*configuration, *(each for name in configuration for each in chart.ancestors(name))}

    def within(name: str | None) -> Any:
        here = [node for node in chart.within(name) if node.name in active]
        (first, *others) = here
        if not others and first.kind is NodeKind.ATOMIC:
            return first.name
        return {node.name: within(node.name) for node in here}

    return within(None)


@every_machine
def test_mermaid_nests_every_state_and_names_every_edge_once(machine: AnyMachine) -> None:
    chart = machine.topology
    lines = [line.strip() for line in mermaid_source(declaration_of(chart)).splitlines()]
    around: list[str] = []
    parents: dict[str, str | None] = {}
    for line in lines:
        if found := re.fullmatch(r'state "(\w+)" as \w+( \{)?', line):
            parents[found[1]] = around[-1] if around else None
            if found[2]:
                around.append(found[1])
        elif line == "}":
            around.pop()
    assert parents == {node.name: node.parent for node in chart.nodes}
    bars = sum(
        len(chart.within(node.name)) - 1 for node in chart.nodes if node.kind is NodeKind.PARALLEL
    )
    assert lines.count("--") == bars
    said: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if found := re.fullmatch(r"(\w+) --> (\w+): (.*)", line):
            assert (found[1], found[2]) not in said, (
                "Mermaid lays labels of one arrow over another's"
            )
            said[found[1], found[2]] = found[3].split("<br/>")
    declared: dict[tuple[str, str], list[str]] = {}
    for edge in chart.edges:
        ends = (chart.node(edge.source).id, chart.node(edge.target).id)
        declared.setdefault(ends, []).append(one_line(edge))
    assert said == declared


@pytest.mark.parametrize("format_", FORMATS)
def test_a_machine_is_a_file_of_the_same_bytes_each_time(format_: Any, tmp_path: Path) -> None:
    declared = [declaration_of(machine.topology) for machine in all_machines()]
    texts = []
    for _ in range(2):
        written = export(tmp_path, declared, format_)
        assert [path.name.split(".")[0] for path in written] == [each.machine for each in declared]
        texts.append([path.read_bytes() for path in written])
    assert texts[0] == texts[1]
