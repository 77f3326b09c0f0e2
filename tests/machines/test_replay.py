"""What is kept as JSON comes back the same, and accepted events give the same state again."""

import json
from collections.abc import Iterable
from inspect import getmembers, isclass
from typing import Any, Final, Protocol, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from machines.chorus import chorus_machine, reconstruct_state, transform_state
from machines.connection import connection_machine
from machines.message import message_machine
from machines.models import journal
from machines.models.chorus import ChorusEvent, ChorusResponse, ChorusState
from machines.models.connection import ConnectionEvent, ConnectionState
from machines.models.domain import Frozen, SessionRecord, StateTransition, User, Valid
from machines.models.effects import Effect
from machines.models.errors import InvalidTransition
from machines.models.journal import ChorusFired, Fired, MemoryTask, MessageFired, ThreadFired, Timer
from machines.models.message import Message, MessageEvent
from machines.models.outputs import StepOutput
from machines.models.thread import Thread, ThreadOperation
from machines.statechart import Accepted, Refusal
from machines.statechart.engine import AnyMachine
from machines.thread import thread_machine
from tests.machines.transitions import chorus_scenarios as run
from tests.machines.transitions import connection_scenarios as link
from tests.machines.transitions import message_scenarios as message
from tests.machines.transitions import thread_scenarios as thread
from tests.machines.transitions.spaces import (
    likely_link_events,
    likely_run_events,
    link_events,
    message_events,
    run_events,
    thread_events,
)
from tests.machines.transitions.walks import Walk, walks
from tests.support.strategies import members, values_of

STATES: Final = (ChorusState, Message, Thread, ConnectionState, User, SessionRecord)
EVENTS: Final = tuple(
    event
    for union in (ChorusEvent, MessageEvent, ConnectionEvent, ThreadOperation)
    for event in members(union)
)
EFFECTS: Final = tuple(each for each in get_args(Effect) if issubclass(each, BaseModel))
"""But for the plain classes among them, which nobody writes down."""
KEPT: Final = tuple(
    model
    for _, model in getmembers(journal, isclass)
    if issubclass(model, BaseModel) and model.__module__ == journal.__name__
)
RESPONSES: Final = (*get_args(ChorusResponse), *get_args(StateTransition))
UNIONS: Final[dict[str, Any]] = {
    "chorus event": ChorusEvent,
    "message event": MessageEvent,
    "connection event": ConnectionEvent,
    "operation": ThreadOperation,
    "fired": Fired,
    "timer": Timer,
    "memory task": MemoryTask,
    "output": StepOutput,
}
"""Unions that are read back without being told which of their kinds it was."""

# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [*STATES, *EVENTS, *EFFECTS, *KEPT, *RESPONSES],
    ids=lambda each: each.__name__,
)
@settings(max_examples=20)
@given(data=st.data())
def test_every_state_event_effect_and_journal_value_survives_json(
    model: type[BaseModel], data: st.DataObject
) -> None:
    value = data.draw(values_of(model))
    kept = value.model_dump_json()
    assert model.model_validate_json(kept) == value
    assert model.model_validate_json(kept).model_dump_json() == kept


@pytest.mark.parametrize("model", STATES, ids=lambda each: each.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_a_state_survives_as_the_plain_value_of_a_snapshot(
    model: type[BaseModel], data: st.DataObject
) -> None:
    value = data.draw(values_of(model))
    assert model.model_validate(json.loads(json.dumps(value.model_dump(mode="json")))) == value


@pytest.mark.parametrize("model", STATES, ids=lambda each: each.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_a_changed_state_is_what_a_copy_would_be(model: type[Frozen], data: st.DataObject) -> None:
    value, other = data.draw(values_of(model)), data.draw(values_of(model))
    before = value.model_dump_json()
    name = data.draw(st.sampled_from(sorted(model.model_fields)))
    changes = {name: getattr(other, name)}
    changed = value.changed(**changes)
    assert changed == value.model_copy(update=changes)
    assert changed.model_dump_json() == value.model_copy(update=changes).model_dump_json()
    assert value.model_dump_json() == before


@pytest.mark.parametrize("name", UNIONS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_value_of_a_union_comes_back_as_the_kind_that_it_was(
    name: str, data: st.DataObject
) -> None:
    value = data.draw(values_of(UNIONS[name]))
    adapter: TypeAdapter[object] = TypeAdapter(UNIONS[name])
    again = adapter.validate_json(adapter.dump_json(value))
    assert again == value
    assert type(again) is type(value)


# --- Replay --------------------------------------------------------------------------------------

run_walks = walks(
    chorus_machine(), run.queued(max_attempts=4), run_events, likely_at=likely_run_events
)
message_walks = walks(message_machine(), message.submitted(), message_events, length=15)
thread_walks = walks(thread_machine(), thread.thread(), thread_events, length=25)
link_walks = walks(
    connection_machine(), link.connecting(), link_events, likely_at=likely_link_events
)


class Recorded(Protocol):
    """A journal value that holds an accepted event."""

    @property
    def event(self) -> Any: ...


def replayed(machine: AnyMachine, initial: Any, events: Iterable[Any]) -> Any:
    """The state that accepted events lead to."""
    state = initial
    for event in events:
        outcome = machine.fire(state, event)
        assert isinstance(outcome, Accepted), f"{event} was accepted once: {outcome}"
        state = outcome.state
    return state


def through_json(kind: type[BaseModel], walk: Walk) -> list[Any]:
    """The walk's events as they come out of a journal."""
    kept = [kind(instance=walk.initial.id, event=event).model_dump_json() for event in walk.events]
    adapter: TypeAdapter[Recorded] = TypeAdapter(Fired)
    return [adapter.validate_json(line).event for line in kept]


@given(run_walks)
def test_a_run_is_reconstructed_from_the_events_that_it_accepted(walk: Walk) -> None:
    events = through_json(ChorusFired, walk)
    assert reconstruct_state(walk.initial, events) == walk.state


@given(message_walks)
def test_a_message_is_reconstructed_from_the_events_that_it_accepted(walk: Walk) -> None:
    events = through_json(MessageFired, walk)
    assert replayed(message_machine(), walk.initial, events) == walk.state


@given(thread_walks)
def test_a_thread_is_reconstructed_from_the_operations_that_it_accepted(walk: Walk) -> None:
    events = through_json(ThreadFired, walk)
    assert replayed(thread_machine(), walk.initial, events) == walk.state


@given(run_walks, st.integers(0, 39))
def test_a_run_goes_on_the_same_from_a_state_that_was_kept_as_json(walk: Walk, cut: int) -> None:
    """A snapshot and the events after it are worth as much as all events."""
    at = min(cut, len(walk.accepted))
    snapshot = walk.accepted[at - 1].after if at else walk.initial
    restored = ChorusState.model_validate_json(snapshot.model_dump_json())
    assert reconstruct_state(restored, walk.events[at:]) == walk.state


@settings(max_examples=15)
@given(run_walks)
def test_a_journal_that_misses_or_repeats_an_event_is_refused_or_says_something_else(
    walk: Walk,
) -> None:
    events = walk.events
    for place in range(len(events) - 1):
        with pytest.raises(InvalidTransition):
            reconstruct_state(walk.initial, [*events[: place + 1], *events[place:]])
    for place in range(len(events) - 1):
        try:
            other = reconstruct_state(walk.initial, [*events[:place], *events[place + 1 :]])
        except InvalidTransition:
            continue
        assert other != walk.state


@pytest.mark.parametrize("damage", ["late", "repeated"])
@given(run_walks)
def test_a_late_or_repeated_result_is_refused_and_changes_nothing(damage: str, walk: Walk) -> None:
    for place, each in enumerate(walk.accepted):
        state = each.after if damage == "repeated" else walk.state
        before = state.model_dump_json()
        outcome = chorus_machine().fire(state, each.event)
        assert isinstance(outcome, Refusal), f"{damage}, event {place}: {each.event}"
        assert state.model_dump_json() == before
        with pytest.raises(InvalidTransition):
            transform_state(state, each.event)


# --- Purity --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chorus", "message", "thread", "connection"])
@settings(max_examples=30)
@given(data=st.data())
def test_a_transition_is_pure_and_leaves_what_it_was_given_as_it_was(
    name: str, data: st.DataObject
) -> None:
    machines: dict[str, tuple[AnyMachine, st.SearchStrategy[Walk]]] = {
        "chorus": (chorus_machine(), run_walks),
        "message": (message_machine(), message_walks),
        "thread": (thread_machine(), thread_walks),
        "connection": (connection_machine(), link_walks),
    }
    machine, some = machines[name]
    walk = data.draw(some)
    recorded = [each.before.model_dump_json() for each in walk.fired]
    # In another order, with other events between them: an outcome may depend on nothing else.
    for place in data.draw(st.permutations(range(len(walk.fired)))):
        each = walk.fired[place]
        kept = each.event.model_dump_json()
        assert machine.fire(each.before, each.event) == each.outcome
        assert each.before.model_dump_json() == recorded[place]
        assert each.event.model_dump_json() == kept


@given(run_walks)
def test_every_state_of_a_walk_is_valid(walk: Walk) -> None:
    assert [each.after.validate_state() for each in walk.fired] == [Valid()] * len(walk.fired)
