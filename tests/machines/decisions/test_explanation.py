"""Replaying and explaining what a run did: from its entries alone, the same states and the guards as the
kernel asked them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from machines.charts import journaled_machines, known_declarations
from machines.chorus import chorus_machine
from machines.decisions.changes import run_change
from machines.decisions.explanation import Explanation, explain
from machines.decisions.replay import _VALUES, Held, replay, stands_as_recorded
from machines.models.ids import StreamId
from machines.models.journal import ChorusFired, JournalEntry
from machines.outcomes import recorded
from machines.statechart import Accepted
from tests.machines.transitions import chorus_scenarios as run
from tests.machines.transitions.spaces import likely_run_events, run_events
from tests.machines.transitions.walks import Fired, Walk, walks

BEGIN = datetime(2026, 5, 4, tzinfo=UTC)

run_walks = walks(
    chorus_machine(), run.queued(max_attempts=4), run_events, likely_at=likely_run_events
)


def journal_of(walk: Walk) -> list[JournalEntry]:
    """The entries that a run's walk leaves, a second apart."""
    created = run_change(None, walk.initial)
    entries = [entry(1, changes=(created,))]
    for seq, each in enumerate(walk.accepted, start=2):
        assert isinstance(each.outcome, Accepted)
        entries.append(
            entry(
                seq,
                fired=(ChorusFired(instance=walk.initial.id, event=each.event),),
                transitions=(recorded(each.outcome, walk.initial.id),),
                changes=(run_change(each.before, each.after),),
            )
        )
    return [JournalEntry.model_validate_json(each.model_dump_json()) for each in entries]


def entry(seq: int, **what: Any) -> JournalEntry:
    return JournalEntry(
        stream=StreamId("thread:1"),
        type="chorus_response",
        kind="started",
        at=BEGIN + timedelta(seconds=seq),
        by=None,
        data={},
        seq=seq,
        fingerprint=chorus_machine().fingerprint,
        **what,
    )


def without_guards(each: JournalEntry) -> JournalEntry:
    """The entry as an earlier version wrote it."""
    older = tuple(one.model_copy(update={"passed_over": ()}) for one in each.transitions)
    return each.model_copy(update={"transitions": older})


def explained(walk: Walk, entries: list[JournalEntry]) -> Explanation:
    return explain(walk.initial.id, entries, known_declarations())


def asked_by_hand(walk: Walk) -> Iterator[list[tuple[str, str, bool]]]:
    """Of each accepted event: edge, guard and value, in the order of asking."""
    for each in walk.accepted:
        row = chorus_machine().topology.edges_from(
            chorus_machine().active(each.before), each.event.event
        )
        said = []
        for edge in row:
            for guard in edge.guards:
                value = guard.rule(each.before, each.event)
                said.append((edge.id, guard.name, value))
                if value is not guard.expected:
                    break
            else:
                break
        yield said


def told(found: Explanation) -> list[list[tuple[str, str, bool]]]:
    return [
        [
            (edge.edge, guard.name, guard.value)
            for edge in each.edges
            for guard in edge.guards
            if guard.value is not None
        ]
        for each in found.transitions
    ]


@settings(max_examples=40)
@given(run_walks)
def test_a_replay_arrives_at_the_states_that_the_journal_recorded(walk: Walk) -> None:
    found = list(replay(walk.initial.id, journal_of(walk), known_declarations()))
    assert [each.held for each in found] == [Held.EXECUTED] * len(walk.accepted)
    assert not any(each.differences for each in found)


@settings(max_examples=40)
@given(run_walks)
def test_an_explanation_names_the_guards_that_the_kernel_asked_and_what_they_said(
    walk: Walk,
) -> None:
    expected = list(asked_by_hand(walk))
    entries = journal_of(walk)
    assert told(explained(walk, entries)) == expected
    older = [without_guards(each) for each in entries]
    assert told(explained(walk, older)) == expected, "a replay finds what was not recorded"


def walked(*events: Any, max_attempts: int = 4) -> Walk:
    walk = Walk(run.queued(max_attempts=max_attempts))
    for make in events:
        state = walk.state
        event = make(state)
        walk.fired.append(Fired(state, event, chorus_machine().fire(state, event)))
    assert len(walk.accepted) == len(events)
    return walk


@pytest.fixture
def walk() -> Walk:
    """A run whose first attempt fails, and is made again."""
    return walked(lambda _: run.started(), run.ai_failed, run.retry_due, run.answered)


def test_what_an_effect_brought_and_how_long_it_took_is_told(walk: Walk) -> None:
    found = explained(walk, journal_of(walk))
    assert found.born is not None
    assert found.born.seq == 1
    assert [
        (effect.effect, effect.brought, effect.seq, effect.after_ms)
        for each in found.transitions
        for effect in each.effects
        if effect.brought
    ] == [
        ("AICall", "ai_failed", 3, 1_000),
        ("ScheduleTimer", "retry_due", 4, 1_000),
        ("AICall", "step_completed", 5, 1_000),
    ]
    failed = found.transitions[1]
    assert failed.facts["attempt"] == 1
    assert failed.facts["retryable"] is True
    assert next(edge.verdict for edge in failed.edges) == "taken"
    assert "attempts_left" in found.meanings


def test_guards_of_a_chart_that_is_gone_are_told_as_not_known(walk: Walk) -> None:
    older = [each.model_copy(update={"fingerprint": "chorus:gone"}) for each in journal_of(walk)]
    found = explained(walk, older)
    assert [(each.is_declared, each.edges) for each in found.transitions] == [(False, ())] * 4
    assert {each.judged for each in found.transitions} == {"unknown"}
    replayed = list(replay(walk.initial.id, older, known_declarations()))
    assert {each.held for each in replayed} == {Held.UNKNOWN}


@pytest.fixture
def ended() -> Walk:
    """A run that has no attempt left when its first one fails: past the edge that makes another."""
    return walked(lambda _: run.started(), run.ai_failed, max_attempts=1)


def test_each_transition_says_how_it_was_judged(ended: Walk) -> None:
    declared = {"chorus:older": known_declarations()[chorus_machine().fingerprint]}
    recorded_by_another = [
        each.model_copy(update={"fingerprint": "chorus:older"}) for each in journal_of(ended)
    ]
    for entries, way in (
        (journal_of(ended), "executed"),
        (recorded_by_another, "recorded"),
        ([without_guards(each) for each in recorded_by_another], "declared"),
    ):
        judged = {**declared, **known_declarations()}
        told = [each.judged for each in explain(ended.initial.id, entries, judged).transitions]
        replayed = [each.held for each in replay(ended.initial.id, entries, judged)]
        assert told == replayed, "trace and replay say the same"
        assert told[-1] == way


def test_guards_that_an_earlier_chart_did_not_record_are_told_as_not_recorded(ended: Walk) -> None:
    today = known_declarations()[chorus_machine().fingerprint]
    older = [
        without_guards(each).model_copy(update={"fingerprint": "chorus:older"})
        for each in journal_of(ended)
    ]
    first, last = explain(ended.initial.id, older, {"chorus:older": today}).transitions
    assert first.edges[0].verdict == "taken", "the first of its edges needs no record"
    assert last.edges[0].verdict == "not_recorded"


@pytest.mark.parametrize(
    ("field", "other"),
    [("attempt", 7), ("context_tokens", 1), ("version", 9), ("health", "stable")],
)
def test_a_replay_says_where_and_in_what_the_journal_holds_something_else(
    walk: Walk, field: str, other: object
) -> None:
    entries = journal_of(walk)
    change: Any = entries[2].changes[0]
    damaged = change.model_copy(update={"value": {**change.value, field: other}})
    entries[2] = entries[2].model_copy(update={"changes": (damaged,)})
    *_, last = replay(walk.initial.id, entries, known_declarations())
    (difference,) = last.differences
    assert (last.move.seq, difference.field, difference.journal) == (3, field, other)
    assert [each.judged for each in explained(walk, entries).transitions] == [
        *("executed", "contradicted"),
        *("recorded", "recorded"),
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"effects": ("Nothing",)}, "effects is"),
        ({"edge": "edge_chorus_nowhere"}, "does not declare"),
        ({"passed_over": ("attempts_left",)}, "passed over 1 edges, not 0"),
    ],
)
def test_a_replay_says_where_the_journal_holds_another_transition(
    walk: Walk, changes: dict[str, Any], sentence: str
) -> None:
    entries = journal_of(walk)
    (taken,) = entries[2].transitions
    other = taken.model_copy(update=changes)
    entries[2] = entries[2].model_copy(update={"transitions": (other,)})
    *_, last = replay(walk.initial.id, entries, known_declarations())
    assert last.move.seq == 3
    assert sentence in str(last.differences[0])


def test_an_event_that_today_is_refused_is_a_difference(walk: Walk) -> None:
    entries = journal_of(walk)
    fired = ChorusFired(instance=walk.initial.id, event=run.started(busy=True))
    entries[1] = entries[1].model_copy(update={"fired": (fired,)})
    (only,) = replay(walk.initial.id, entries, known_declarations())
    assert "refused: The chorus refuses to start" in str(only.differences[0])


def test_a_value_stands_as_recorded_only_with_the_newest_of_each_field(walk: Walk) -> None:
    entries = journal_of(walk)
    assert stands_as_recorded(walk.state, entries)
    assert not stands_as_recorded(walk.state.changed(attempt=7), entries)


def test_values_of_every_machine_of_the_journal_are_replayed() -> None:
    kinds = {"chorus": "run"}
    assert {kinds.get(each.name, each.name) for each in journaled_machines()} == set(_VALUES)
