"""A frame whose size follows from several bounds keeps its own where all of them are reached at once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID

import pytest

from machines.charts import all_charts
from machines.decisions.views import branch_view, message_view, removal_view, thread_view
from machines.models.branch import Branch, BranchStatus, BranchVote
from machines.models.chorus import ChorusState, RunStatus, StepCompleted
from machines.models.domain import Role
from machines.models.fork import ChangeKind, ForkPoint
from machines.models.heat import GuardCount, HeldTimes, MachineHeat
from machines.models.ids import (
    BranchId,
    InvitationId,
    InviteLinkId,
    MessageId,
    PublicKey,
    RemovalId,
    RunId,
    ThreadId,
)
from machines.models.invitation import Invitation, InvitationStatus
from machines.models.invite_link import InviteLink, InviteLinkStatus
from machines.models.journal import DecisionView
from machines.models.keys import encode_public_key
from machines.models.limits import (
    MAX_BRANCH_VOTES,
    MAX_CO_AUTHORS,
    MAX_CONTENT_LENGTH,
    MAX_GENERATIONS,
    MAX_INSTRUCTIONS_LENGTH,
    MAX_MENTIONS,
    MAX_NAME_LENGTH,
    MAX_OPEN_BRANCHES,
    MAX_OPEN_LINKS,
    MAX_OPEN_REMOVALS,
    MAX_RUNS_SHOWN,
    MAX_SERVER_FRAME_BYTES,
    MAX_WAY,
)
from machines.models.mention import Mention
from machines.models.message import Approval, Decision, Message, MessageStatus
from machines.models.outputs import ObservationOutput, StepEnum
from machines.models.removal import Removal, RemovalDecision, RemovalStatus, RemovalVote
from machines.models.thread import Thread, Visibility
from machines.models.user_thread import UserThread
from machines.models.wire.comparison import ComparisonFrame
from machines.models.wire.frames import (
    HeatData,
    HeatFrame,
    ThreadEventData,
    ThreadEventFrame,
    ThreadEventKind,
)
from machines.models.wire.views import RenderedText, ThreadSettingsView
from machines.prompting.answers import MAX_ITEMS
from machines.statechart.topology import topology
from server.sessions.comparisons import Side, comparison_of, comparison_that_fits
from server.sessions.pages import RunSoFar, snapshot_that_fits
from server.wire.codec import encode_server_frame
from storage.journal.answers import MessagePage

NOW: Final = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
LATER: Final = NOW + timedelta(days=7)
WIDE: Final = "😀"
"""As many bytes as a code point has."""
LONG: Final = WIDE * 1_000
"""A text that is cut where its frame is too large, as short as any longer one."""
LOOPS: Final = 100
"""As many as an operator may allow."""
PEOPLE: Final = tuple(encode_public_key(bytes([255, n]) * 16) for n in range(MAX_CO_AUTHORS))

_numbers: Final = count(1)


def new_id() -> str:
    return str(UUID(int=next(_numbers)))


def stamped(**fields: Any) -> dict[str, Any]:
    return {"created_at": NOW, "updated_at": NOW, **fields}


def thread_of(co_authors: tuple[PublicKey, ...]) -> Thread:
    return Thread(
        **stamped(id=ThreadId(new_id()), message_count=1),
        name=WIDE * MAX_NAME_LENGTH,
        visibility=Visibility.PRIVATE,
        co_authors=co_authors,
        instructions=WIDE * MAX_INSTRUCTIONS_LENGTH,
    )


def removals(thread: Thread) -> Iterator[Removal]:
    named, *electors = thread.co_authors
    for _ in range(MAX_OPEN_REMOVALS):
        yield Removal(
            **stamped(id=RemovalId(new_id()), thread_id=thread.id, expires_at=LATER),
            public_key=named,
            proposed_by=named,
            status=RemovalStatus.PROPOSED,
            electors=tuple(electors),
            votes=tuple(
                RemovalVote(co_author=each, decision=RemovalDecision.REMOVE, at=NOW)
                for each in electors
            ),
        )


def branches(thread: Thread) -> Iterator[Branch]:
    for number in range(MAX_OPEN_BRANCHES):
        is_voted_on = number < MAX_BRANCH_VOTES
        votes = tuple(
            BranchVote(co_author=each, decision=Decision.APPROVE, at=NOW)
            for each in thread.co_authors
        )
        yield Branch(
            **stamped(id=BranchId(new_id()), thread_id=thread.id, expires_at=LATER),
            message_id=MessageId(new_id()),
            run_id=RunId(new_id()),
            origin=ForkPoint(run_id=RunId(new_id()), step=StepEnum.OBSERVATION, iteration=LOOPS),
            generation=MAX_GENERATIONS,
            change=ChangeKind.INSTRUCTIONS,
            made_by=thread.co_authors[0],
            status=BranchStatus.PROPOSED if is_voted_on else BranchStatus.GROWING,
            proposed_by=thread.co_authors[0] if is_voted_on else None,
            electors=thread.co_authors if is_voted_on else (),
            votes=votes if is_voted_on else (),
        )


def links(thread: Thread) -> Iterator[InviteLink]:
    for _ in range(MAX_OPEN_LINKS):
        yield InviteLink(
            **stamped(id=InviteLinkId(new_id()), thread_id=thread.id, expires_at=LATER),
            made_by=thread.co_authors[0],
            secret_hash="",
            status=InviteLinkStatus.OPEN,
        )


def invitations(thread: Thread) -> Iterator[Invitation]:
    """As many as there is place for."""
    for key in PEOPLE[len(thread.co_authors) : MAX_CO_AUTHORS]:
        yield Invitation(
            **stamped(id=InvitationId(new_id()), thread_id=thread.id, expires_at=LATER),
            public_key=key,
            invited_by=thread.co_authors[0],
            status=InvitationStatus.INVITED,
        )


def message_of(thread: Thread) -> Message:
    """One that was rejected by the last of its electors."""
    author, *electors = PEOPLE
    votes = [Approval(co_author=each, decision=Decision.APPROVE, at=NOW) for each in electors]
    last = votes.pop().changed(decision=Decision.REJECT, reason=LONG)
    return Message(
        **stamped(id=MessageId(new_id()), thread_id=thread.id, expires_at=LATER),
        index=0,
        role=Role.USER,
        author=author,
        content=WIDE * MAX_CONTENT_LENGTH,
        status=MessageStatus.REJECTED,
        electors=tuple(electors),
        approvals=(*votes, last),
        mentions=tuple(
            Mention(public_key=each, start=31_000, end=31_001) for each in PEOPLE[:MAX_MENTIONS]
        ),
    )


def step_of(run_id: RunId, iteration: int) -> StepCompleted:
    """With as many texts as an answer of the model has."""
    items = tuple(LONG for _ in range(MAX_ITEMS))
    return StepCompleted(
        run_id=run_id,
        step=StepEnum.OBSERVATION,
        iteration=iteration,
        attempt=1,
        at=NOW,
        text=LONG,
        output=ObservationOutput(patterns=items, gaps=items, confidence=0.5),
        usage=None,
        model="m",
    )


def run_of(thread: Thread, status: RunStatus, loops: int = 0) -> ChorusState:
    id_ = RunId(new_id())
    return ChorusState(
        **stamped(id=id_, thread_id=thread.id),
        message_id=MessageId(new_id()),
        answer_id=MessageId(new_id()),
        requested_by=thread.co_authors[0],
        status=status,
        iteration=max(loops, 1),
        max_iterations=LOOPS,
        max_attempts=1,
        prompt=WIDE * MAX_CONTENT_LENGTH,
        query="",
        steps=tuple(step_of(id_, number) for number in range(1, loops + 1)),
    )


def size_of(frame: str) -> int:
    return len(frame.encode())


@pytest.mark.parametrize("co_authors", [1, MAX_CO_AUTHORS // 2, MAX_CO_AUTHORS])
def test_a_thread_at_all_its_bounds_is_shown_with_all_that_is_voted_on(co_authors: int) -> None:
    thread = thread_of(PEOPLE[:co_authors])
    message = message_of(thread)
    view = DecisionView(
        head_seq=2**40,
        thread=thread,
        invitations=tuple(invitations(thread)),
        links=tuple(links(thread)),
        removals=tuple(removals(thread)),
        branches=tuple(branches(thread)),
    )
    parts = tuple(
        RenderedText(start=number, end=number + 1, html="<p>x</p>") for number in range(8_000)
    )
    running = RunSoFar(run_of(thread, RunStatus.RUNNING, LOOPS), LONG, parts, LONG)
    waiting = [RunSoFar(run_of(thread, RunStatus.QUEUED), "", (), "")] * (MAX_RUNS_SHOWN - 1)
    kept = UserThread.begin(PEOPLE[0], thread.id, NOW).changed(hidden_messages=(message.id,))
    names = dict.fromkeys(PEOPLE, WIDE * MAX_NAME_LENGTH)

    frame = snapshot_that_fits(
        view, MessagePage((message,), has_more=True), (running, *waiting), names, PEOPLE[0], kept
    )
    sent = encode_server_frame(frame)
    assert size_of(sent) <= MAX_SERVER_FRAME_BYTES
    data = json.loads(sent)["data"]
    assert len(data["removals"]) == MAX_OPEN_REMOVALS
    assert len(data["branches"]) == MAX_OPEN_BRANCHES
    assert len(data["branches"][0]["votes"]) == co_authors
    assert len(data["links"]) == MAX_OPEN_LINKS
    assert len(data["invitations"]) == MAX_CO_AUTHORS - co_authors
    assert len(data["messages"]) == 1
    assert data["runs"][0]["run_id"] == running.run.id
    assert json.loads(sent)["shortened"] is True


def test_what_fits_is_shown_with_every_run_and_step() -> None:
    thread = thread_of(PEOPLE[:2])
    runs = [run_of(thread, RunStatus.RUNNING, 1), *[run_of(thread, RunStatus.QUEUED)] * 16]
    frame = snapshot_that_fits(
        DecisionView(head_seq=1, thread=thread),
        MessagePage((message_of(thread),), has_more=False),
        tuple(RunSoFar(each, "", (), "") for each in runs),
        {},
        PEOPLE[0],
        None,
    )
    assert [len(each.outputs) for each in frame.data.runs] == [1, *[0] * 16]
    assert size_of(encode_server_frame(frame)) <= MAX_SERVER_FRAME_BYTES


def test_everything_that_an_entry_can_tell_of_a_thread_fits_into_its_frame() -> None:
    thread = thread_of(PEOPLE)
    shown = thread_view(thread)
    data = ThreadEventData(
        kind=ThreadEventKind.BRANCH_ADOPTED,
        at=NOW,
        by=PEOPLE[0],
        branch=branch_view(next(branches(thread))),
        removal=removal_view(next(removals(thread))),
        message=message_view(message_of(thread)),
        thread=shown,
        before=ThreadSettingsView(instructions=shown.instructions),
    )
    frame = ThreadEventFrame(thread_id=thread.id, seq=1, data=data)
    assert size_of(encode_server_frame(frame)) <= MAX_SERVER_FRAME_BYTES


def test_the_heat_of_a_machine_fits_whatever_it_did() -> None:
    for declared in map(topology, all_charts()):
        guards = {(each.event, guard.label) for each in declared.edges for guard in each.guards}
        counts = tuple(
            GuardCount(event=event, guard=guard, count=2**63 - 1)
            for event, guard in (*guards, *((event, "") for event in declared.events))
        )
        heat = MachineHeat(
            machine=declared.machine,
            edges={each.id: 2**63 - 1 for each in declared.edges},
            states={
                each.name: HeldTimes(count=2**63 - 1, p50_ms=1e-300 / 3, p95_ms=1e-300 / 3)
                for each in declared.nodes
            },
            refused=counts,
            passed_over=counts,
        )
        data = HeatData(
            thread_id=ThreadId(new_id()),
            since=NOW,
            until=NOW,
            heat=heat,
            edge_steps=(2**63 - 1,) * 5,
            state_steps_ms=(1e-300 / 3,) * 5,
            uncounted=0,
        )
        sent = encode_server_frame(HeatFrame(data=data))
        assert size_of(sent) <= MAX_SERVER_FRAME_BYTES // 2, "there is room for charts that were"


def test_two_runs_of_many_loops_are_compared_by_their_last_steps() -> None:
    thread = thread_of(PEOPLE)
    proposed = next(branches(thread))
    edges = tuple((RunId(new_id()), f"chorus_{'x' * 50}_{number}") for number in range(10_000))
    sides = [
        Side(run_of(thread, RunStatus.FINISHED, LOOPS), proposed, edges[: 5_000 + number])
        for number in range(2)
    ]
    whole = comparison_of(*sides)
    shown = comparison_that_fits(whole)
    sent = encode_server_frame(ComparisonFrame(thread_id=thread.id, data=shown))
    assert size_of(sent) <= MAX_SERVER_FRAME_BYTES
    assert 0 < len(shown.one.steps) < LOOPS
    assert shown.one.steps == whole.one.steps[-len(shown.one.steps) :]
    assert {each.iteration for each in shown.steps} == {each.iteration for each in shown.one.steps}
    assert shown.common_edges == len(shown.one.edges) == MAX_WAY
