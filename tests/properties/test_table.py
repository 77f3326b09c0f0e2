"""The compiled table is the engine, whatever is declared, whatever comes, and whatever fails.

Random values and events of the house's own charts, most of which fit nowhere, and random events at
charts that are made up. That the two agree in every state that can be reached stands in
`tests.transitions.test_table`.
"""

from itertools import product
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.chart import Chart, Slot
from machines.models.breaker import BreakerEvent, BreakerState
from machines.models.chorus import ChorusState
from machines.models.connection import ConnectionState
from machines.models.domain import Message, Thread
from machines.models.events import ChorusEvent, ConnectionEvent, MessageEvent
from machines.models.operations import ThreadOperation
from machines.table import Configuration, Table, compile_table
from tests.transitions.charts import Arrow, Shape, Weather, charts, count, declared, weathers
from tests.transitions.engine import Compared, Ear, Engine, heard
from tests.transitions.spaces import SPACES
from tests.transitions.strategies import values_of

VALUES: Final[dict[str, tuple[Any, Any]]] = {
    "chorus": (ChorusState, ChorusEvent),
    "message": (Message, MessageEvent),
    "connection": (ConnectionState, ConnectionEvent),
    "thread": (Thread, ThreadOperation),
    "breaker": (BreakerState, BreakerEvent),
}
"""The states and the events of each chart."""


@pytest.mark.parametrize("name", SPACES)
def test_any_event_at_any_value_comes_to_the_same_in_the_table_and_in_the_engine(name: str) -> None:
    """Values that no chart reaches are among them, so that callbacks fail, and both fail alike."""
    space, (states, events) = SPACES[name](), VALUES[name]
    compared = Compared(space.machine)

    @given(values_of(states), st.lists(values_of(events), max_size=5))
    def compare(state: Any, foreign: list[Any]) -> None:
        for event in (*space.events_at(state), *foreign):
            compared.fire(state, event)

    compare()


@given(charts(), st.lists(weathers(), min_size=1, max_size=4))
def test_a_chart_that_nobody_declared_is_compiled_to_what_its_engine_does(
    chart: type[Chart], events: list[Weather]
) -> None:
    _compare(chart, events)


def test_an_edge_from_any_state_to_any_other_leads_to_where_the_engine_goes() -> None:
    """Into and out of regions, to states around and within, from and to the root."""
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


def _compare(chart: type[Chart], events: list[Weather]) -> None:
    """Every event in every configuration; AssertionError where table and engine differ."""
    ear = Ear()
    listened = heard(chart, ear)
    table, engine = compile_table(listened), Engine(listened)
    for configuration, event in product(table, events):
        ear.calls = []
        by_table = _by_table(table, configuration, event, listened), ear.calls
        ear.calls = []
        by_engine = _by_engine(engine, configuration, event), ear.calls
        assert by_table == by_engine, f"{event} in {configuration}"


Outcome = tuple[tuple[str, ...], frozenset[str]] | str | None
"""The edges that were taken and the states that hold, or the defect; None where it is refused."""


def _by_table(
    table: Table, configuration: Configuration, event: Weather, chart: type[Chart]
) -> Outcome:
    bound = chart.bind(Slot(None, event))
    try:
        row = table[configuration].rows.get(event.event)
        step = None if row is None else row.step(bound)
        if step is None:
            return None
        for action in step.actions:
            action(bound)
    except RuntimeError as defect:
        return str(defect)
    assert step.reached in table, f"{step.reached} is no configuration"
    return tuple(edge.id for edge in step.edges), frozenset(step.reached)


def _by_engine(engine: Engine, configuration: Configuration, event: Weather) -> Outcome:
    try:
        moved = engine.take(configuration, None, event)
    except RuntimeError as defect:
        return str(defect)
    return None if moved is None else (tuple(edge.id for edge in moved.edges), moved.reached)
