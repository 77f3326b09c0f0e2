"""Every edge is taken, every guard is seen both ways, and everything else is refused.

What there is to cover comes from the charts' metadata, the scenarios from the catalogues. The
counts are printed when the run ends.
"""

import importlib
import pkgutil
from dataclasses import dataclass, replace

import pytest
from pydantic import BaseModel

import machines
from machines.outcomes import recorded, refused
from machines.statechart import Accepted, Chart, Refusal
from machines.statechart.compiler import after
from machines.statechart.scenarios import Catalogue, Taken, atoms, complaints
from tests.conftest import Tally
from tests.machines.transitions import thread_scenarios
from tests.machines.transitions.catalogues import CATALOGUES
from tests.machines.transitions.spaces import SPACES


@pytest.fixture(scope="module", params=CATALOGUES)
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    return CATALOGUES[request.param]()


def test_the_scenarios_cover_the_whole_chart(catalogue: Catalogue, tally: Tally) -> None:
    uncovered = complaints(catalogue)
    assert not uncovered, (
        f"in tests/machines/transitions/{catalogue.name}_scenarios.py:\n" + "\n".join(uncovered)
    )
    edges, guarded = catalogue.machine.topology.edges, atoms(catalogue.machine)
    guards = {atom.guard.name for atom in guarded}
    tally(
        f"{catalogue.name}: {len(edges)}/{len(edges)} edges, {len(guards)}/{len(guards)} guards "
        f"both ways ({len(guarded)} places), {len(list(catalogue.undeclared()))} undeclared pairs "
        "refused"
    )


def test_a_scenario_takes_its_edge_to_its_target(catalogue: Catalogue) -> None:
    machine = catalogue.machine
    edges = {edge.id: edge for edge in machine.topology.edges}
    for scenario in catalogue.taken:
        outcome = machine.fire(scenario.state, scenario.event)
        assert isinstance(outcome, Accepted), f"{scenario.edge}: {outcome}"
        edge = edges[scenario.edge]
        taken = recorded(outcome, "id")
        assert (taken.edge, taken.event, taken.source, taken.target) == (
            edge.id,
            edge.event,
            edge.source,
            edge.target,
        ), f"meant to take {scenario.edge}"
        expected = after(machine.topology, machine.active(scenario.state), edge.source, edge.target)
        assert machine.active(outcome.state) == expected, scenario.edge
        assert taken.effects == tuple(type(effect).__name__ for effect in outcome.effects)


def test_a_refusal_names_the_guards_that_were_false(catalogue: Catalogue) -> None:
    for scenario in catalogue.refused:
        before = _json(scenario.state)
        outcome = catalogue.machine.fire(scenario.state, scenario.event)
        assert isinstance(outcome, Refusal), f"{scenario} was accepted: {outcome}"
        assert outcome == Refusal(
            machine=catalogue.name,
            state=_innermost(catalogue, scenario.state),
            event=scenario.event.event,
            guards=scenario.guards,
            allowed=_allowed(catalogue, scenario.state),
        )
        assert _json(scenario.state) == before


def test_an_undeclared_event_is_refused_and_the_state_unchanged(catalogue: Catalogue) -> None:
    for state, event in catalogue.undeclared():
        before = _json(state)
        outcome = catalogue.machine.fire(state, event)
        assert outcome == Refusal(
            machine=catalogue.name,
            state=_innermost(catalogue, state),
            event=event.event,
            guards=(),
            allowed=_allowed(catalogue, state),
        )
        assert _json(state) == before


def test_an_event_that_no_chart_knows_is_refused(catalogue: Catalogue) -> None:
    @dataclass(frozen=True)
    class Unheard:
        event: str = "unheard_of"

    for state in catalogue.standing:
        outcome = catalogue.machine.fire(state, Unheard())
        assert isinstance(outcome, Refusal)
        assert (outcome.event, outcome.guards) == ("unheard_of", ())


def test_a_refusal_as_an_error_says_what_was_false_and_what_is_legal(catalogue: Catalogue) -> None:
    scenario = catalogue.refused[0]
    refusal = catalogue.machine.fire(scenario.state, scenario.event)
    assert isinstance(refusal, Refusal)
    error = refused(refusal)
    assert (error.machine, error.state, error.event, error.guards, error.allowed) == (
        refusal.machine,
        refusal.state,
        refusal.event,
        refusal.guards,
        refusal.allowed,
    )
    named = [guard.removeprefix("not ").replace("_", " ") for guard in refusal.guards]
    assert all(guard in error.message for guard in named)


def test_every_chart_of_the_house_has_a_catalogue_and_a_space() -> None:
    for module in pkgutil.iter_modules(machines.__path__):
        importlib.import_module(f"machines.{module.name}")
    declared = {
        chart.machine
        for chart in Chart.__subclasses__()
        if chart.__module__.startswith("machines.")
    }
    assert set(CATALOGUES) == declared, "add it to tests/machines/transitions/catalogues.py"
    assert set(SPACES) == declared, "add a space to tests/machines/transitions/spaces.py"


def test_the_samples_are_valid_values(catalogue: Catalogue) -> None:
    for state in (*catalogue.standing, *(each.state for each in catalogue.scenarios)):
        assert isinstance(state, BaseModel)
        assert type(state).model_validate_json(_json(state)) == state


def test_an_edge_without_a_scenario_is_reported_with_what_to_add(catalogue: Catalogue) -> None:
    edge = catalogue.taken[0].edge
    without = replace(catalogue, taken=tuple(each for each in catalogue.taken if each.edge != edge))
    assert f'no scenario takes {edge}: add Taken("{edge}", state, event) to `taken`' in complaints(
        without
    )


def test_a_guard_seen_one_way_only_is_reported_with_what_to_add() -> None:
    whole = thread_scenarios.catalogue()
    refused = tuple(each for each in whole.refused if each.guards != ("balance_covers_it",))
    (complaint,) = complaints(replace(whole, refused=refused))
    assert complaint == (
        "no scenario finds balance_covers_it on edge_thread_debit_tokens_active_active unsatisfied:"
        ' add Refused(("balance_covers_it", ...), state, event) to `refused`, or a Taken of another'
        " edge of that event"
    )


def test_a_state_and_an_event_without_a_sample_are_reported() -> None:
    whole = thread_scenarios.catalogue()
    poor = replace(whole, standing=whole.standing[:1], events_at=lambda _: iter(()))
    reported = complaints(poor)
    assert "no value stands for archived: add one to `standing`" in reported
    assert "there is no sample of the event rename: add one to `events_at`" in reported


def test_a_scenario_of_an_edge_that_is_gone_is_reported() -> None:
    whole = thread_scenarios.catalogue()
    stray = Taken("edge_thread_gone", whole.taken[0].state, whole.taken[0].event)
    assert complaints(replace(whole, taken=(*whole.taken, stray))) == [
        'the chart has no edge edge_thread_gone: remove Taken("edge_thread_gone", ...) from `taken`'
    ]


def _innermost(catalogue: Catalogue, state: object) -> str:
    active = catalogue.machine.active(state)
    nodes = catalogue.machine.topology.nodes
    around = {node.parent for node in nodes if node.name in active}
    return " ".join(node.name for node in nodes if node.name in active and node.name not in around)


def _allowed(catalogue: Catalogue, state: object) -> tuple[str, ...]:
    active = catalogue.machine.active(state)
    edges = catalogue.machine.topology.edges
    return tuple(sorted({edge.event for edge in edges if edge.source in active}))


def _json(state: object) -> str:
    assert isinstance(state, BaseModel)
    return state.model_dump_json()
