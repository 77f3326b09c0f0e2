"""What becomes of a value whose chart is another one now, decided on the two declarations."""

from typing import Any

import pytest

from machines.charts import journaled_machines
from machines.declarations import earlier_declarations
from machines.migrations import (
    ANSWERS,
    MIGRATIONS,
    Continue,
    End,
    Migrate,
    Migration,
    Outcome,
    Succession,
    problems_of,
)
from machines.statechart import Configuration
from machines.statechart.coverage import explore
from tests.machines.changed_charts import (
    DECLARED,
    Edit,
    edited,
    renamed_event,
    renamed_state,
    with_edge,
    with_state,
    without_edge,
    without_state,
)
from tests.machines.transitions.spaces import SPACES

MESSAGE_OUTCOMES: dict[str, tuple[list[Edit], Outcome]] = {
    "nothing that leads out of it changed": (
        [without_edge("edge_message_supersede_approved_superseded")],
        Continue(),
    ),
    "an edge out of it is gone": (
        [without_edge("edge_message_withdraw_pending_withdrawn")],
        Continue(("`withdraw` is gone",)),
    ),
    "an edge out of it has other guards": (
        [with_edge("edge_message_withdraw_pending_withdrawn", guards=[])],
        Continue(("`withdraw` is another",)),
    ),
    "its state is gone": ([without_state("pending")], End("`pending` is gone")),
    "its state is final": ([with_state("pending", final=True)], End("`pending` is final now")),
    "no end can be reached": (
        [
            with_state(name, final=False)
            for name in ("rejected", "expired", "withdrawn", "superseded")
        ],
        End("no way leads to a final state any more"),
    ),
    "its deadline is taken no more": (
        [renamed_event("expire", "lapse")],
        End("`expire` is not taken any more in `pending`"),
    ),
}


@pytest.mark.parametrize(
    ("edits", "expected"), MESSAGE_OUTCOMES.values(), ids=list(MESSAGE_OUTCOMES)
)
def test_what_becomes_of_a_pending_message(edits: list[Edit], expected: Outcome) -> None:
    after = edited("message", *edits)
    assert Succession(DECLARED["message"], after).outcome(("pending",)) == expected


RUN_OUTCOMES: dict[str, tuple[Configuration, list[Edit], Outcome]] = {
    "a step behind it leads nowhere": (
        ("action", "stable"),
        [without_edge("edge_chorus_step_completed_observation_update")],
        End("`step_completed` is not taken any more in `observation`, `stable`"),
    ),
    "a step that it has passed leads nowhere": (
        ("yielding", "stable"),
        [without_edge("edge_chorus_step_completed_observation_update")],
        Continue(),
    ),
    "its wait is over and nothing takes it": (
        ("update", "recovering"),
        [without_edge("edge_chorus_retry_due_recovering_stable")],
        End("`retry_due` is not taken any more in `update`, `recovering`"),
    ),
    "its step has another name": (
        ("observation", "stable"),
        [renamed_state("observation", "reflection")],
        End("`observation` is gone"),
    ),
}


@pytest.mark.parametrize(("place", "edits", "expected"), RUN_OUTCOMES.values(), ids=RUN_OUTCOMES)
def test_what_becomes_of_a_run(place: Configuration, edits: list[Edit], expected: Outcome) -> None:
    assert Succession(DECLARED["chorus"], edited("chorus", *edits)).outcome(place) == expected


def test_a_state_that_moved_into_another_is_no_place_of_its_own() -> None:
    def nest(raw: dict[str, Any]) -> None:
        raw["states"].append(
            {**raw["states"][0], "name": "inner", "parent": "open", "initial": True}
        )
        (outer,) = (each for each in raw["states"] if each["name"] == "open")
        outer["kind"] = "compound"

    succession = Succession(DECLARED["invite_link"], edited("invite_link", nest))
    assert succession.outcome(("open",)) == End("`open` is no place of its own any more")


def test_a_machine_that_is_gone_ends_all_its_values() -> None:
    assert Succession(DECLARED["removal"], None).outcome(("proposed",)) == End(
        "the machine is gone"
    )


@pytest.mark.parametrize("machine", [each.name for each in journaled_machines()])
def test_under_the_same_chart_everything_continues(machine: str) -> None:
    succession = Succession(DECLARED[machine], DECLARED[machine])
    assert succession.living
    assert {succession.outcome(each) for each in succession.living} == {Continue()}


def test_runs_and_values_of_released_versions_go_on() -> None:
    for earlier in earlier_declarations().values():
        succession = Succession(earlier, DECLARED[earlier.machine])
        for place in succession.living:
            assert isinstance(succession.outcome(place), Continue), (earlier.fingerprint, place)


# --- Declared migrations -------------------------------------------------------------------------

RENAMED = edited("chorus", renamed_state("observation", "reflection"))
MIGRATION = Migration(DECLARED["chorus"].fingerprint, states={"observation": "reflection"})


def problems(*migrations: Migration, after: Any = RENAMED) -> list[str]:
    earlier = {each.fingerprint: each for each in DECLARED.values()}
    return list(problems_of(migrations, earlier, {after.machine: after}))


def test_a_migration_leads_each_state_to_one_of_today() -> None:
    assert problems(MIGRATION) == []
    succession = Succession(DECLARED["chorus"], RENAMED, (MIGRATION,))
    assert succession.outcome(("observation", "recovering")) == Migrate(
        ("reflection", "recovering"), MIGRATION
    )


def test_a_migration_that_maps_to_no_state_is_one_clear_line() -> None:
    lost = Migration(MIGRATION.fingerprint, states={"observation": "reflexion"})
    said = problems(lost)
    assert said[0] == (
        f"The migration of {lost.fingerprint} leads observation stable to reflexion stable,"
        " which is no state of the chorus chart."
    )
    succession = Succession(DECLARED["chorus"], RENAMED, (lost,))
    assert succession.outcome(("observation", "stable")) == End("`reflexion` is gone")


def test_what_else_can_be_wrong_with_a_migration() -> None:
    assert problems(MIGRATION, MIGRATION) == [
        f"The migration of {MIGRATION.fingerprint} is declared twice."
    ]
    assert problems(Migration("chorus:f00d", {})) == [
        "The migration of chorus:f00d is of a declaration that machines/earlier/ does not have."
    ]
    assert problems(MIGRATION, after=DECLARED["message"]) == [
        f"The migration of {MIGRATION.fingerprint} is of a machine that is gone."
    ]
    message = DECLARED["message"]
    over = Migration(message.fingerprint, {"pending": "expired", "waiting": "pending"})
    name = f"The migration of {message.fingerprint}"
    assert problems(over, after=message) == [
        f"{name} names waiting, which is no state of it.",
        f"{name} leads pending to expired, where the message chart is at its end.",
    ]


def test_the_declared_migrations_are_whole() -> None:
    assert list(problems_of(MIGRATIONS, earlier_declarations(), DECLARED)) == []


# --- What is under way ---------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ANSWERS)
def test_all_that_may_come_of_what_is_under_way_is_known(machine: str) -> None:
    space = SPACES[machine]()
    chart = space.machine
    known = ANSWERS[machine]
    reached = explore(space, engine=False)
    live = reached.live(chart)
    for step in reached.steps:
        if step.target in live and step.answers:
            active = chart.active(reached.values[step.target])
            of_states = frozenset[str]().union(*(known.get(state, set()) for state in active))
            assert step.answers <= of_states, (step.edge, step.answers)
