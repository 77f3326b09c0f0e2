"""Histories held against the declarations that wrote them: what follows, and each way in which one does
not."""

import random
from collections.abc import Iterator, Mapping
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.charts import journaled_machines
from machines.conformance import Conformance
from machines.declarations import Declaration, declaration_of, earlier_declarations
from machines.models.journal import Fired, MachineTransition
from machines.statechart import Edge
from machines.statechart.compiler import after, beginning

TODAY: Mapping[str, Declaration] = {
    each.fingerprint: declaration_of(each.topology) for each in journaled_machines()
}
MESSAGE = next(each for each in TODAY.values() if each.machine == "message")
CHORUS = next(each for each in TODAY.values() if each.machine == "chorus")


def taken(of: Edge, **changes: str) -> MachineTransition:
    made = MachineTransition(
        machine=of.machine,
        instance="one",
        event=of.event,
        source=of.source,
        target=of.target,
        edge=of.id,
    )
    return made.model_copy(update=changes)


def edge_of(declared: Declaration, id_: str) -> Edge:
    return next(each for each in declared.topology().edges if each.id == id_)


SUBMIT = edge_of(MESSAGE, "edge_message_submit_submitted_pending")
WITHDRAW = edge_of(MESSAGE, "edge_message_withdraw_pending_withdrawn")
APPROVE = edge_of(MESSAGE, "edge_message_approve_pending_pending")


def checked(*history: tuple[MachineTransition, str], **more: Declaration) -> Conformance:
    check = Conformance({**TODAY, **{each.fingerprint: each for each in more.values()}})
    for transition, fingerprint in history:
        check.moved(transition, fingerprint)
    return check


def said(check: Conformance) -> str:
    (violation,) = check.violations
    return violation.sentence


def walk(declared: Declaration, seed: int) -> Iterator[Edge]:
    """Edges one after the other, chosen at random, as far as they lead or 20 of them."""
    chart, choice = declared.topology(), random.Random(seed)
    finals = {node.name for node in chart.nodes if node.final}
    active = beginning(chart)
    for _ in range(20):
        leaving = [edge for edge in chart.edges if edge.source in active]
        if active & finals or not leaving:
            return
        edge = choice.choice(leaving)
        yield edge
        active = after(chart, active, edge.source, edge.target)


@given(st.sampled_from(sorted({**TODAY, **earlier_declarations()})), st.integers(0, 1_000_000))
def test_every_walk_along_the_edges_of_a_declaration_follows_from_it(
    fingerprint: str, seed: int
) -> None:
    declared = {**TODAY, **earlier_declarations()}[fingerprint]
    check = checked(*((taken(edge), fingerprint) for edge in walk(declared, seed)), other=declared)
    assert check.violations == ()
    assert check.unknown == {}


@given(st.integers(0, 1_000_000))
def test_a_walk_that_lacks_a_step_between_two_states_does_not_follow(seed: int) -> None:
    edges = list(walk(CHORUS, seed))
    moves = [
        place for place, edge in enumerate(edges[:-1]) if _leaves_for_good(edge, edges[place + 1])
    ]
    for place in moves[:3]:
        gap = [*edges[:place], *edges[place + 1 :]]
        assert checked(*((taken(edge), CHORUS.fingerprint) for edge in gap)).violations


def _leaves_for_good(edge: Edge, following: Edge) -> bool:
    """Whether the next edge leaves the state that this one enters, and only by it."""
    return edge.source != edge.target == following.source


def test_the_machines_of_the_journal_are_those_whose_events_it_holds() -> None:
    (union, _) = get_args(Fired)
    named = {get_args(each.model_fields["machine"].annotation)[0] for each in get_args(union)}
    assert {each.name for each in journaled_machines()} == named


def test_a_value_that_only_came_to_be_is_checked_and_stands_nowhere_yet() -> None:
    check = Conformance(TODAY)
    check.born("message", "one")
    assert check.checked("message") == 1
    assert list(check.standing("message")) == []


def test_where_a_value_stands_is_known_after_its_last_edge() -> None:
    check = checked((taken(SUBMIT), f"{MESSAGE.fingerprint} thread:0"))
    assert list(check.standing("message")) == [("one", ("pending",))]


def test_an_edge_that_is_not_declared() -> None:
    check = checked((taken(SUBMIT, edge="edge_message_jump"), MESSAGE.fingerprint))
    assert said(check) == f"took edge_message_jump, which {MESSAGE.fingerprint} does not declare"
    assert check.checked("message") == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event": "approve"}, "by approve from submitted to pending"),
        ({"source": "pending"}, "by submit from pending to pending"),
        ({"target": "approved"}, "by submit from submitted to approved"),
    ],
)
def test_an_edge_with_another_event_or_other_ends(changes: dict[str, str], expected: str) -> None:
    check = checked((taken(SUBMIT, **changes), MESSAGE.fingerprint))
    assert said(check) == f"took {SUBMIT.id} {expected}"


def guarded(passed_over: tuple[str, ...]) -> Conformance:
    """A run that took the edge of a step of its short loop, which stands behind another one."""
    edges = ["edge_chorus_start_queued_running", "edge_chorus_step_completed_action_yielding"]
    start, short = (taken(edge_of(CHORUS, each)) for each in edges)
    short = short.model_copy(update={"passed_over": passed_over})
    return checked((start, CHORUS.fingerprint), (short, CHORUS.fingerprint))


def test_guards_that_are_recorded_lead_to_the_edge_that_was_taken() -> None:
    assert guarded(("not loop_is_short",)).violations == ()
    assert guarded(()).violations == (), "earlier versions recorded none"


@pytest.mark.parametrize(
    ("passed_over", "expected"),
    [
        (("iterations_left",), "passed over {} for iterations_left, which it does not ask"),
        (("not answer_is_enough",), "found answer_is_enough both true and false"),
        (("not loop_is_short", "result_is_current"), "passed over 2 edges, not 1"),
    ],
)
def test_guards_that_are_recorded_and_do_not_lead_there(
    passed_over: tuple[str, ...], expected: str
) -> None:
    before, by = (f"edge_chorus_step_completed_action_{to}" for to in ("experience", "yielding"))
    assert said(guarded(passed_over)) == f"took {by}, and on its way {expected.format(before)}"


def test_an_edge_out_of_a_state_in_which_the_value_did_not_stand() -> None:
    check = checked((taken(WITHDRAW), MESSAGE.fingerprint))
    assert said(check) == f"took {WITHDRAW.id} while it stood in submitted"


def test_an_edge_after_the_end() -> None:
    history = [(taken(edge), MESSAGE.fingerprint) for edge in (SUBMIT, WITHDRAW, APPROVE, SUBMIT)]
    check = checked(*history)
    assert said(check) == f"took {APPROVE.id} after it ended in withdrawn", "the first one is told"


def test_a_fingerprint_that_is_not_known_leaves_a_value_unchecked() -> None:
    check = checked((taken(SUBMIT), "thread:1 message:0"), (taken(SUBMIT), MESSAGE.fingerprint))
    assert check.unknown == {"message:0": 1}
    assert (check.checked("message"), check.violations) == (0, ())


def test_a_value_lives_on_under_another_declaration_that_has_its_state() -> None:
    earlier = earlier_declarations()["message:acb3460f5a41"]
    submit = edge_of(earlier, SUBMIT.id)
    history = [(taken(submit), earlier.fingerprint), (taken(WITHDRAW), MESSAGE.fingerprint)]
    assert checked(*history, earlier=earlier).violations == ()


def test_a_value_whose_state_the_next_declaration_lacks_does_not_follow() -> None:
    hold = {"id": "edge_message_hold_submitted_held", "event": "hold", "target": "held"}
    raw = MESSAGE.model_dump() | {"fingerprint": "message:held"}
    raw["states"] = (*raw["states"], {**raw["states"][1], "name": "held"})
    raw["edges"] = ({**raw["edges"][0], **hold}, *raw["edges"])
    other = Declaration.model_validate(raw)
    history = [
        (taken(edge_of(other, hold["id"])), other.fingerprint),
        (taken(WITHDRAW), MESSAGE.fingerprint),
    ]
    check = checked(*history, other=other)
    assert said(check) == f"stood in held, which {MESSAGE.fingerprint} does not declare"


def test_declarations_of_released_versions_are_those_that_their_entries_name() -> None:
    earlier = earlier_declarations()
    assert earlier
    for fingerprint, declared in earlier.items():
        assert declared.topology().fingerprint == fingerprint
