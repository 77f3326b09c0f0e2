"""Whatever becomes of the chorus chart: a run that lives goes on or is ended, and is never stuck."""

from collections import Counter

from machines.chorus import chorus_machine
from machines.loop.runs import states_of
from machines.models.outputs import StepEnum
from machines.statechart.compiler import configurations
from tests.machines.living_runs import (
    HOW_MANY,
    SEED,
    changes,
    edge_removed,
    fates,
    problem_of,
    some_caught,
    state_removed,
)
from tests.machines.living_runs import World as Tomorrow
from tests.machines.transitions import chorus_scenarios as run


def test_a_run_is_caught_in_every_place_of_the_chart() -> None:
    shape = chorus_machine().topology
    finals = {node.name for node in shape.nodes if node.final}
    living = {shape.innermost(each) for each in configurations(shape) if not each & finals}
    assert {states_of(each) for each in some_caught()} == living


def test_under_fifty_random_changes_every_run_is_led_to_an_end() -> None:
    problems = []
    outcomes: Counter[str] = Counter()
    for change, caught, fate in fates(SEED, HOW_MANY, some_caught):
        outcomes[fate.outcome] += 1
        if problem := problem_of(change, caught, fate):
            problems.append(problem)
    assert not problems, "\n".join(problems)
    assert outcomes.keys() >= {"continued", "migrated", "ended", "waits"}


def test_the_same_seed_makes_the_same_changes_and_the_same_fates() -> None:
    few = [(change.says, fate) for change, _, fate in fates(7, 4, some_caught)]
    assert few == [(change.says, fate) for change, _, fate in fates(7, 4, some_caught)]
    assert [each.says for each in changes(7, 9)] != [each.says for each in changes(8, 9)]


def test_a_run_that_is_ended_says_what_is_missing() -> None:
    gone = Tomorrow(state_removed("observation"), SEED).fate_of(run.running(StepEnum.OBSERVATION))
    assert (gone.outcome, gone.says) == (
        "ended",
        "The server was upgraded, and cannot go on with this run: observation is gone.",
    )
    deaf = Tomorrow(edge_removed("edge_chorus_retry_due_recovering_stable"), SEED)
    assert deaf.fate_of(run.recovering(StepEnum.ACTION)).outcome == "ended"


def test_a_chart_that_can_end_no_run_is_not_served() -> None:
    change = edge_removed("edge_chorus_chart_changed_running_failed")
    world = Tomorrow(change, SEED)
    assert world.fate_of(run.running(StepEnum.ACTION)).outcome == "continued"
    refused = Tomorrow(state_removed("failed"), SEED).fate_of(run.running(StepEnum.ACTION))
    assert refused.outcome == "refused"
    assert refused.says.startswith("The chorus chart ")
