"""The compiled table is the engine, whatever is declared, whatever comes, and whatever fails.

Random charts and events here; the reachable space of each of Chorus' charts is in
`tests.machines.transitions.test_reachability`, and random values of theirs in `test_any_value`.
"""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from machines.statechart import AnyChart
from machines.statechart.compiler import configurations
from machines.statechart.engine import EngineMachine, compare
from tests.statechart.charts import (
    Arrow,
    Shape,
    Weather,
    charts,
    count,
    declared,
    machine_of,
    weathers,
)


@given(charts(), st.lists(weathers(), min_size=1, max_size=4))
def test_a_chart_made_up_at_random_is_compiled_to_what_its_engine_does(
    chart: AnyChart, events: list[Weather]
) -> None:
    _compare(chart, events)


def test_an_edge_from_any_state_to_any_other_leads_to_where_the_engine_goes() -> None:
    """Into and out of regions, to states around and within, from and to the outermost."""
    pair = Shape(within=(Shape(), Shape()))
    nested = Shape(within=(pair, Shape()))
    root = Shape(within=(nested, Shape(parallel=True, within=(nested, pair)), Shape()))
    places = range(count(root))
    arrows = [
        Arrow(f"go_{source}_{target}", source, target, (), (), ())
        for source, target in product(places, places)
    ]
    nothing = frozenset[str]()
    _compare(declared(root, arrows), [Weather(each.event, nothing, nothing) for each in arrows])


@given(charts())
def test_a_table_has_every_configuration_that_the_nesting_allows_and_leads_to_no_other(
    chart: AnyChart,
) -> None:
    machine = machine_of(chart)
    assert {place.active for place in machine.table.values()} == set(
        configurations(machine.topology)
    )
    reached = {
        states
        for place in machine.table.values()
        for row in place.rows.values()
        for _, states in row
    }
    assert reached <= set(machine.table)


def _compare(chart: AnyChart, events: list[Weather]) -> None:
    """Every event in every configuration; AssertionError where table and engine differ."""
    machine = machine_of(chart)
    engine = EngineMachine(machine)
    for configuration, event in product(machine.table, events):
        compare(machine, engine, configuration, event)
