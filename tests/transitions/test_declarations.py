"""The charts are declared with what the engine honours, and with nothing that it would do quietly.

python-statemachine never calls a misspelt callback and says nothing; `delay` blocks the caller,
`invoke` starts threads, history lives on the instance. These tests read the class metadata.
"""

from collections.abc import Iterator
from inspect import isfunction

import pytest
from statemachine import State
from statemachine.callbacks import CallbackSpecList
from statemachine.transition import Transition

from machines.breaker import BreakerChart
from machines.chart import Chart
from machines.chorus import ChorusChart
from machines.connection import ConnectionChart
from machines.message import MessageChart
from machines.thread import ThreadChart
from machines.topology import NodeKind, topology

CHARTS: tuple[type[Chart], ...] = (
    ChorusChart,
    MessageChart,
    ConnectionChart,
    ThreadChart,
    BreakerChart,
)
SHARED_HOOKS = frozenset({"before_transition"})
"""The one callback that is found by its name: `Chart` notes by it which edges are taken."""
CONVENTIONAL = ("on_", "before_", "after_")

pytestmark = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.machine)


def states_of(chart: type[Chart]) -> Iterator[State]:
    def below(state: State) -> Iterator[State]:
        yield state
        for child in state.states:
            yield from below(child)

    for state in chart.states:
        yield from below(state)


def transitions_of(chart: type[Chart]) -> Iterator[Transition]:
    """What somebody wrote, without the engine's own transitions into initial states."""
    for state in states_of(chart):
        yield from (each for each in state.transitions if not each.initial)


def written(specs: CallbackSpecList) -> list[str]:
    """Names that the declaration mentions, without those that the engine looks for by itself."""
    return [str(spec.func) for spec in specs if not spec.is_convention]


def looked_for(specs: CallbackSpecList) -> list[str]:
    """Names that the engine calls if the chart happens to have them."""
    return [str(spec.func) for spec in specs if spec.is_convention]


def test_every_callback_and_guard_that_a_chart_mentions_is_a_method_of_it(
    chart: type[Chart],
) -> None:
    mentioned = {
        name
        for each in transitions_of(chart)
        for specs in (each.cond, each.validators, each.before, each.on, each.after)
        for name in written(specs)
    }
    missing = sorted(name for name in mentioned if not callable(vars(chart).get(name)))
    assert not missing, f"{chart.__name__} mentions {missing}: write the methods or mend the names"


def test_every_public_method_of_a_chart_is_mentioned_by_an_edge(chart: type[Chart]) -> None:
    mentioned = {
        name for each in transitions_of(chart) for name in written(each.cond) + written(each.on)
    }
    idle = [
        name
        for name, value in vars(chart).items()
        if isfunction(value) and not name.startswith("_") and name not in mentioned
    ]
    assert not idle, f"no edge of {chart.__name__} mentions {idle}: remove them or mend a name"


def test_no_callback_is_called_because_of_its_name(chart: type[Chart]) -> None:
    specs = [
        *(specs for state in states_of(chart) for specs in (state.enter, state.exit, state.invoke)),
        *(
            specs
            for each in transitions_of(chart)
            for specs in (each.before, each.on, each.after, each.cond, each.validators)
        ),
    ]
    found = {name for each in specs for name in looked_for(each) if hasattr(chart, name)}
    assert found <= SHARED_HOOKS, f"{sorted(found - SHARED_HOOKS)}: name them on the edges instead"
    alike = {name for name in vars(chart) if name.startswith(CONVENTIONAL)}
    assert not alike, f"{sorted(alike)} look like callbacks that the engine calls: rename them"


def test_no_chart_uses_enter_or_exit_callbacks_history_delay_or_invoke(chart: type[Chart]) -> None:
    for state in states_of(chart):
        assert not written(state.enter), f"{state.id} has an enter callback: put it on the edges"
        assert not written(state.exit), f"{state.id} has an exit callback: put it on the edges"
        assert not written(state.invoke), f"{state.id} invokes: emit an effect instead"
        assert not state.history, f"{state.id} has history, which lives on the instance only"
    for each in transitions_of(chart):
        for event in each.events:
            assert not event.delay, f"{event.id} is delayed: emit a ScheduleTimer instead"


def test_edges_use_guards_and_on_callbacks_and_nothing_else(chart: type[Chart]) -> None:
    for each in transitions_of(chart):
        assert not written(each.validators), f"{each}: a validator raises; use a guard"
        assert not written(each.before), f"{each}: `before` is not drawn; use `on`"
        assert not written(each.after), f"{each}: `after` is not drawn; use `on`"


def test_no_event_begins_with_error(chart: type[Chart]) -> None:
    caught = [event for event in topology(chart).events if event.startswith("error")]
    assert not caught, f"{caught} would match the engine's own error.execution: rename them"


def test_a_chart_is_strict(chart: type[Chart]) -> None:
    assert chart.allow_event_without_transition is False
    assert chart.catch_errors_as_events is False
    assert chart.atomic_configuration_update is True


def test_the_topology_leaves_no_declared_transition_out(chart: type[Chart]) -> None:
    declared = [
        (event.id, each.source.id, target.id)
        for each in transitions_of(chart)
        for event in each.events
        for target in each.targets
    ]
    assert [(edge.event, edge.source, edge.target) for edge in topology(chart).edges] == declared
    unnamed = [str(each) for each in transitions_of(chart) if not each.events]
    assert not unnamed, f"{unnamed} take place without an event, and are on no drawing"


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
