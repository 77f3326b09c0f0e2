"""What Chorus' charts declare. What no chart may declare is refused by the compiler
(`tests.statechart`)."""

import pytest

from machines.charts import all_charts
from machines.statechart import AnyChart, topology
from machines.statechart.compiler import compile_table

pytestmark = pytest.mark.parametrize("chart", all_charts(), ids=lambda chart: chart.machine)


def test_a_chart_is_compiled(chart: AnyChart) -> None:
    assert compile_table(chart)


def test_the_topology_leaves_no_declared_transition_out(chart: AnyChart) -> None:
    declared = [
        (event.id, each.source.id, target.id)
        for state in chart.states_map.values()
        for each in state.transitions
        if not each.initial
        for event in each.events
        for target in each.targets
    ]
    edges = [(edge.event, edge.source, edge.target) for edge in topology(chart).edges]
    assert sorted(edges) == sorted(declared)


def test_ids_are_unique_and_stand_literally_in_an_svg(chart: AnyChart) -> None:
    shapes = topology(chart)
    ids = [node.id for node in shapes.nodes] + [edge.id for edge in shapes.edges]
    assert len(set(ids)) == len(ids)
    assert all(each.isascii() and each.replace("_", "").isalnum() for each in ids)


def test_edge_kinds_name_events_of_the_chart(chart: AnyChart) -> None:
    unknown = set(chart.edge_kinds) - set(topology(chart).events)
    assert not unknown, f"{sorted(unknown)} are no events of {chart.__name__}: mend `edge_kinds`"
