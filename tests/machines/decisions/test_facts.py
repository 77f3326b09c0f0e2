"""What an explanation tells of an event: what is declared to be told, and nothing that is new."""

from typing import get_args

import pytest

from machines.decisions.facts import TOLD, WITHHELD, facts_of
from machines.models.domain import Frozen
from machines.models.journal import Fired, MessageFired
from machines.models.message import Decision, VoteCast
from machines.models.wire.explained import EffectView
from tests.machines.transitions.values import BOB, MESSAGE, NOW

(_UNION, *_) = get_args(Fired)
EVENTS: list[type[Frozen]] = [
    event
    for fired in get_args(_UNION)
    for annotation in [fired.model_fields["event"].annotation]
    for event in get_args(annotation) or [annotation]
]


def test_the_two_lists_of_fields_share_none() -> None:
    assert not TOLD & WITHHELD


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_of_each_field_of_an_event_it_is_declared_whether_it_is_told(event: type[Frozen]) -> None:
    assert not event.model_fields.keys() - TOLD - WITHHELD


def test_every_field_that_is_declared_is_one_of_an_event() -> None:
    fields = {name for event in EVENTS for name in event.model_fields}
    assert not (TOLD | WITHHELD) - fields


class NewVote(VoteCast):
    """A vote with a field that no list names."""

    note: str


def test_a_field_that_no_list_names_is_not_told() -> None:
    vote = NewVote(at=NOW, event="reject", voter=BOB, reason="No.", note="Between us.")
    told = dict(facts_of(MessageFired.model_construct(instance=MESSAGE, event=vote)))
    assert told == {"voter": BOB}
    assert vote.decision is Decision.REJECT


def test_of_an_effect_nothing_is_told_but_its_name_and_what_it_brought() -> None:
    assert set(EffectView.model_fields) == {"effect", "brought", "seq", "after_ms"}
