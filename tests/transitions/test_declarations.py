"""What the house's charts declare: what a table can say, and nothing that is called by nobody.

The compiler refuses what it does not understand (`machines.declarations`; each refusal is shown in
`test_table`). Here stands what it cannot know: that a name was not misspelt, and what the drawings need.
"""

from inspect import isfunction

import pytest

from machines.breaker import BreakerChart
from machines.chart import Chart
from machines.chorus import ChorusChart
from machines.connection import ConnectionChart
from machines.message import MessageChart
from machines.table import compile_table
from machines.thread import ThreadChart
from machines.topology import NodeKind, topology

CHARTS: tuple[type[Chart], ...] = (
    ChorusChart,
    MessageChart,
    ConnectionChart,
    ThreadChart,
    BreakerChart,
)

pytestmark = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.machine)


def test_a_chart_is_compiled(chart: type[Chart]) -> None:
    assert compile_table(chart)


def test_every_public_method_of_a_chart_is_mentioned_by_an_edge(chart: type[Chart]) -> None:
    mentioned = {
        name
        for edge in topology(chart).edges
        for name in (*edge.actions, *(guard.name for guard in edge.guards))
    }
    idle = [
        name
        for name, value in vars(chart).items()
        if isfunction(value) and not name.startswith("_") and name not in mentioned
    ]
    assert not idle, f"no edge of {chart.__name__} mentions {idle}: remove them or mend a name"


def test_the_topology_leaves_no_declared_transition_out(chart: type[Chart]) -> None:
    declared = [
        (event.id, each.source.id, target.id)
        for state in chart.states_map.values()
        for each in state.transitions
        for event in each.events
        for target in each.targets
    ]
    edges = [(edge.event, edge.source, edge.target) for edge in topology(chart).edges]
    assert sorted(edges) == sorted(declared)


def test_ids_are_unique_and_stand_literally_in_an_svg(chart: type[Chart]) -> None:
    shapes = topology(chart)
    ids = [node.id for node in shapes.nodes] + [edge.id for edge in shapes.edges]
    assert len(set(ids)) == len(ids)
    assert all(each.isascii() and each.replace("_", "").isalnum() for each in ids)


def test_one_root_state_holds_the_finals_so_that_the_engine_never_ends(chart: type[Chart]) -> None:
    nodes = topology(chart).nodes
    roots = [node for node in nodes if node.parent is None]
    assert [root.kind for root in roots] == [NodeKind.COMPOUND]
    assert not roots[0].final
    assert any(node.final and node.parent == roots[0].name for node in nodes)


def test_edge_kinds_name_events_of_the_chart(chart: type[Chart]) -> None:
    unknown = set(chart.edge_kinds) - set(topology(chart).events)
    assert not unknown, f"{sorted(unknown)} are no events of {chart.__name__}: mend `edge_kinds`"
