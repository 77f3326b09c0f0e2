"""Decisions about threads under random commands: the rules that hold after each of them.

The commands are those that people, timers and the model can bring about in any order; `History`
keeps what a journal would hold, and every rule is checked against that after each decision.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.chorus import chorus_machine
from machines.decisions.changes import Decided
from machines.decisions.replay import replay_run
from machines.decisions.succession import take_over
from machines.decisions.threads import decide, open_thread
from machines.loop.steps import effect_under_way
from machines.migrations import Continue, End, Outcome
from machines.models.chorus import (
    ChartChanged,
    ChorusState,
    Health,
    PriorsRetrieved,
    RunCancelled,
    RunStarted,
    RunStatus,
    StepCompleted,
)
from machines.models.commands import (
    AcceptInvitation,
    AdvanceRun,
    Archive,
    ChangeBalance,
    DeclineInvitation,
    Expire,
    ExpireInvitation,
    ExpireLink,
    ExpireRemoval,
    Facts,
    InvitationCounts,
    Invite,
    LeaveCoAuthorship,
    MakeLink,
    OpenThread,
    Policy,
    ProposeRemoval,
    Rename,
    RetryRun,
    RevokeInvitation,
    RevokeLink,
    StopRun,
    SubmitMessage,
    ThreadCommand,
    UseLink,
    Vote,
    VoteOnRemoval,
    Withdraw,
    WithdrawRemoval,
)
from machines.models.domain import Created, Deleted, Role, Updated, Valid
from machines.models.effects import AICall, RecallPriors, RunEffect, StopAttempt
from machines.models.errors import ErrorCode, InvalidTransition, RequestRefused
from machines.models.ids import (
    InvitationId,
    InviteLinkId,
    MessageId,
    PublicKey,
    RemovalId,
    RunId,
    TimerId,
    thread_stream,
)
from machines.models.invitation import Invitation, InvitationStatus
from machines.models.invite_link import InviteLink, InviteLinkStatus
from machines.models.journal import Batch, ChorusFired, IndexMessage, JournalEntry, ThreadFired
from machines.models.limits import MAX_CO_AUTHORS, MAX_OPEN_LINKS, MAX_OPEN_REMOVALS
from machines.models.message import EXTRACTIVE_MODEL, Message, MessageStatus
from machines.models.message import Decision as Ballot
from machines.models.removal import Removal, RemovalDecision, RemovalStatus
from machines.models.thread import Thread, ThreadStatus, Visibility
from machines.thread import StateManager, Success
from tests.machines.transitions import chorus_scenarios as loop
from tests.machines.transitions.values import ALICE, BOB, CAROL, DAVE, NOW, PEOPLE, THREAD, uuid

POLICY: Final = Policy(
    max_iterations=2,
    max_attempts=2,
    thread_queue=2,
    pending_per_user=2,
    pending_per_thread=3,
    approval_days=1,
)
DAY: Final = timedelta(days=1)
STREAM: Final = thread_stream(THREAD)
NOBODY_ELSE: Final = MessageId(uuid(9_999))
"""An id that no thread has."""


@dataclass
class History:
    """What a journal would hold of one thread, and the facts of its room."""

    facts: Facts
    now: datetime = NOW
    ids: int = 10_000
    entries: list[JournalEntry] = field(default_factory=list)
    thread: Thread | None = None
    messages: dict[MessageId, Message] = field(default_factory=dict)
    runs: dict[RunId, ChorusState] = field(default_factory=dict)
    invitations: dict[InvitationId, Invitation] = field(default_factory=dict)
    links: dict[InviteLinkId, InviteLink] = field(default_factory=dict)
    removals: dict[RemovalId, Removal] = field(default_factory=dict)
    timers: set[TimerId] = field(default_factory=set)
    remembered: list[MessageId] = field(default_factory=list)
    """Messages that the memory was asked to hold."""
    under_way: dict[str, RunEffect] = field(default_factory=dict)
    """The last effect that each run asked for and nobody stopped."""
    versions: dict[tuple[str, str], int] = field(default_factory=dict)

    def fresh(self) -> tuple[str, ...]:
        """Enough ids for any command."""
        self.ids += 20
        return tuple(uuid(number) for number in range(self.ids, self.ids + 20))

    def basis(self, by: PublicKey | None) -> dict[str, Any]:
        """What every command begins with."""
        return {"thread_id": THREAD, "at": self.now, "by": by, "ids": self.fresh()}

    def named(self, command: ThreadCommand) -> Facts:
        """The facts, with the message and the run that the command names."""
        message_id = getattr(command, "message_id", None)
        run = None
        if isinstance(command, StopRun | RetryRun):
            run = self.runs.get(command.run_id)
            message_id = run.message_id if run else None
        message = self.messages.get(message_id) if message_id else None
        return self.facts.model_copy(update={"message": message, "run": run})

    def keep(self, decision: Decided) -> None:
        """Make a decision part of the history, checking it as a journal would."""
        batch = decision.batch
        head = self.entries[-1].seq if self.entries else 0
        assert batch.entries, "a decision that changes nothing is a refusal"
        assert batch.expected == {STREAM: head}
        for seq, decided in enumerate(batch.entries, head + 1):
            entry = JournalEntry.model_validate_json(decided.model_dump_json())
            assert entry.model_dump_json() == decided.model_dump_json(), (
                "it reads as it was decided"
            )
            assert (entry.stream, entry.seq) == (STREAM, seq)
            self._keep_changes(entry.changes)
            self._keep_gathered(entry)
            self.entries.append(entry)
        self._keep_rows(batch)
        for effect in decision.effects:
            match effect:
                case StopAttempt(run_id=run_id):
                    self.under_way.pop(run_id, None)
                case AICall(run_id=run_id) | RecallPriors(run_id=run_id):
                    self.under_way[run_id] = effect
                case _:
                    pytest.fail(f"{type(effect).__name__} belongs into the batch")
        self.facts = decision.facts

    def _keep_changes(self, changes: tuple[Created | Updated | Deleted, ...]) -> None:
        for change in changes:
            assert not isinstance(change, Deleted), "nothing of a thread is ever deleted"
            known = self.versions.get((change.kind, change.id), 0)
            assert isinstance(change, Created) == (known == 0)
            assert change.version > known, f"the version of a {change.kind} strictly increases"
            self.versions[change.kind, change.id] = change.version
            match change.kind:
                case "thread":
                    self.thread = Thread.model_validate(change.value)
                case "message":
                    self.messages[MessageId(change.id)] = Message.model_validate(change.value)
                case "run":
                    before = self.runs.get(RunId(change.id))
                    known_of = {} if before is None else before.model_dump()
                    told = {**change.value, "priors": known_of.get("priors", ())}
                    self.runs[RunId(change.id)] = ChorusState.model_validate(known_of | told)
                case "invitation":
                    invitation = Invitation.model_validate(change.value)
                    self.invitations[invitation.id] = invitation
                case "invite_link":
                    link = InviteLink.model_validate(change.value)
                    self.links[link.id] = link
                case "removal":
                    removal = Removal.model_validate(change.value)
                    self.removals[removal.id] = removal
                case kind:
                    pytest.fail(f"a decision about a thread changes no {kind}")

    def _keep_gathered(self, entry: JournalEntry) -> None:
        """What an event brings to its run; a change names the priors alone."""
        for fired in entry.fired:
            if not isinstance(fired, ChorusFired):
                continue
            run = self.runs[fired.instance]
            match fired.event:
                case RunStarted(messages=messages):
                    gathered: dict[str, object] = {"messages": messages}
                case StepCompleted() as done:
                    gathered = {"steps": (*run.steps, done)}
                case PriorsRetrieved(priors=found):
                    (change,) = entry.changes
                    assert not isinstance(change, Deleted)
                    added = change.value.get("priors", [])
                    taken = tuple(each for each in found if each.message_id in added)  # type: ignore[operator]
                    gathered = {"priors": (*run.priors, *taken)}
                case _:
                    continue
            self.runs[fired.instance] = run.model_copy(update=gathered)

    def _keep_rows(self, batch: Batch) -> None:
        self.timers -= set(batch.cancelled_timers)
        self.timers |= {row.id for row in batch.timers}
        self.remembered += [
            task.message_id for task in batch.memory if isinstance(task, IndexMessage)
        ]


def opened(visibility: Visibility) -> History:
    """The history of a thread that Alice has just opened."""
    command = OpenThread(thread_id=THREAD, at=NOW, by=ALICE, name="T", visibility=visibility)
    decision = open_thread(command)
    history = History(decision.facts, thread=decision.facts.view.thread)
    history.keep(decision)
    return history


# --- Commands ------------------------------------------------------------------------------------


def draw_command(data: st.DataObject, history: History) -> ThreadCommand:
    """Something that may happen next; about every other one is refused."""
    history.now += data.draw(st.sampled_from([timedelta(seconds=1), timedelta(hours=9)]))
    kind = data.draw(st.sampled_from(_KINDS))
    by: PublicKey = data.draw(st.sampled_from(PEOPLE))
    base, system = history.basis(by), history.basis(None)
    messages = [*history.messages, NOBODY_ELSE]
    pending = [each.id for each in history.facts.view.pending] or messages
    live = list(history.facts.view.runs)
    run_ids = [*history.runs, RunId(uuid(9_998))]
    match kind:
        case "submit":
            return SubmitMessage(**base, content=f"Said {history.ids}")
        case "vote":
            return Vote(
                **base,
                message_id=data.draw(st.sampled_from(pending)),
                decision=data.draw(st.sampled_from([Ballot.APPROVE] * 3 + [Ballot.REJECT])),
            )
        case "withdraw":
            return Withdraw(**base, message_id=data.draw(st.sampled_from(messages)))
        case "expire":
            return Expire(**system, message_id=data.draw(st.sampled_from(pending)))
        case "stop":
            return StopRun(**base, run_id=data.draw(st.sampled_from(run_ids)))
        case "retry":
            return RetryRun(**base, run_id=data.draw(st.sampled_from(run_ids)))
        case "invite":
            newcomer = data.draw(st.sampled_from(PEOPLE))
            return Invite(**base, public_key=newcomer)
        case "accept":
            return AcceptInvitation(**base)
        case "decline":
            return DeclineInvitation(**base)
        case "revoke":
            return RevokeInvitation(**base, public_key=data.draw(st.sampled_from(PEOPLE)))
        case "make link":
            hours = data.draw(st.sampled_from([1, 24]))
            return MakeLink(**base, secret_hash=f"hash {history.ids}", hours=hours)
        case "use link":
            secrets = [each.secret_hash for each in history.links.values()] or ["unknown"]
            return UseLink(**base, secret_hash=data.draw(st.sampled_from(secrets)))
        case "revoke link" | "expire link":
            link_id = data.draw(st.sampled_from([*history.links, InviteLinkId(uuid(9_995))]))
            if kind == "revoke link":
                return RevokeLink(**base, link_id=link_id)
            return ExpireLink(**system, link_id=link_id)
        case "propose":
            return ProposeRemoval(**base, public_key=data.draw(st.sampled_from(PEOPLE)))
        case "vote on removal":
            named = [each.public_key for each in history.facts.view.removals] or PEOPLE
            return VoteOnRemoval(
                **base,
                public_key=data.draw(st.sampled_from(named)),
                decision=data.draw(st.sampled_from(RemovalDecision)),
            )
        case "withdraw removal":
            return WithdrawRemoval(**base, public_key=data.draw(st.sampled_from(PEOPLE)))
        case "expire removal":
            open_ones = [*history.removals, RemovalId(uuid(9_996))]
            return ExpireRemoval(**system, removal_id=data.draw(st.sampled_from(open_ones)))
        case "expire invitation":
            known = [*history.invitations, InvitationId(uuid(9_997))]
            return ExpireInvitation(**system, invitation_id=data.draw(st.sampled_from(known)))
        case "leave":
            return LeaveCoAuthorship(**base)
        case "rename":
            return Rename(**base, name=f"Name {history.ids}")
        case "archive":
            return Archive(**base)
        case "balance":
            amount = data.draw(st.integers(-3, 3).filter(bool))
            return ChangeBalance(**system, amount=amount, cause="a test")
        case "take over":
            run = data.draw(st.sampled_from(live)) if live else loop.queued()
            outcomes: list[Outcome] = [Continue(), End("`it` is gone")]
            outcome = data.draw(st.sampled_from(outcomes))
            taken_over = take_over(
                chorus_machine(), run, outcome, declared="chorus:f00d", at=history.now
            )
            return taken_over or AdvanceRun(**system, run_id=run.id, event=loop.state_lost(run))
        case _:
            run = data.draw(st.sampled_from(live)) if live else loop.queued()
            brought = [
                each
                for each in loop.events_at(run)
                if not isinstance(each, RunStarted | RunCancelled | ChartChanged)
            ]
            event = data.draw(st.sampled_from(brought))
            return AdvanceRun(**system, run_id=run.id, event=event)


_KINDS: Final = (
    *(["submit"] * 4),
    *(["vote"] * 5),
    *(["advance"] * 8),
    *(["take over"] * 2),
    *(["invite"] * 2),
    *(["accept"] * 2),
    *("withdraw", "expire", "stop", "retry", "leave", "rename", "balance"),
    *("decline", "revoke", "expire invitation"),
    *("make link", "make link", "use link", "use link", "revoke link", "expire link"),
    *("propose", "vote on removal", "vote on removal", "withdraw removal", "expire removal"),
)


# --- The rules -----------------------------------------------------------------------------------


def check_rules(history: History) -> None:
    """Everything that is true of a thread at any time."""
    view = history.facts.view
    assert view.head_seq == len(history.entries) == history.entries[-1].seq
    assert view.thread == history.thread, "the room knows what the journal holds"
    thread = view.thread
    assert isinstance(thread.validate_state(), Valid)
    assert thread.co_authors, "co-authors are never empty"
    assert thread.token_balance >= 0
    indices = sorted(message.index for message in history.messages.values())
    assert indices == list(range(thread.message_count))
    _check_messages(history)
    _check_runs(history)
    _check_invitations(history)
    _check_links(history)
    _check_removals(history)


def _check_links(history: History) -> None:
    view = history.facts.view
    waiting = [each for each in history.links.values() if each.status is InviteLinkStatus.OPEN]
    assert waiting == list(view.links)
    assert len(waiting) <= MAX_OPEN_LINKS
    assert {each.made_by for each in waiting} <= set(view.thread.co_authors)
    timers = {each for each in history.timers if each.startswith("invite_link:")}
    assert timers == {f"invite_link:{each.id}" for each in waiting}
    for link in history.links.values():
        assert isinstance(link.validate_state(), Valid)
    if view.thread.status is ThreadStatus.ARCHIVED:
        assert not waiting


def _check_removals(history: History) -> None:
    view = history.facts.view
    waiting = [each for each in history.removals.values() if each.status is RemovalStatus.PROPOSED]
    assert waiting == list(view.removals)
    assert len(waiting) <= MAX_OPEN_REMOVALS
    named = [each.public_key for each in waiting]
    assert len(named) == len(set(named)), "one vote on a co-author at a time"
    assert set(named) <= set(view.thread.co_authors)
    for removal in waiting:
        assert set(removal.electors) <= set(view.thread.co_authors), "who left counts no more"
    timers = {each for each in history.timers if each.startswith("removal:")}
    assert timers == {f"removal:{each.id}" for each in waiting}
    for removal in history.removals.values():
        assert isinstance(removal.validate_state(), Valid)
    if view.thread.status is ThreadStatus.ARCHIVED:
        assert not waiting


def _check_invitations(history: History) -> None:
    view = history.facts.view
    waiting = [
        each for each in history.invitations.values() if each.status is InvitationStatus.INVITED
    ]
    assert waiting == list(view.invitations)
    asked = [each.public_key for each in waiting]
    assert len(asked) == len(set(asked)), "a key is invited once at a time"
    assert set(asked).isdisjoint(view.thread.co_authors)
    assert {each.invited_by for each in waiting} <= set(view.thread.co_authors)
    timers = {each for each in history.timers if each.startswith("invitation:")}
    assert timers == {f"invitation:{each.id}" for each in waiting}
    for invitation in history.invitations.values():
        assert isinstance(invitation.validate_state(), Valid)
    if view.thread.status is ThreadStatus.ARCHIVED:
        assert not waiting


def _check_messages(history: History) -> None:
    view = history.facts.view
    waiting = [each for each in history.messages.values() if each.status is MessageStatus.PENDING]
    assert sorted(waiting, key=lambda each: each.index) == list(view.pending)
    for message in history.messages.values():
        assert isinstance(message.validate_state(), Valid), message.validate_state()
        assert message.status is not MessageStatus.SUBMITTED
    for message in waiting:
        assert set(message.electors) <= set(view.thread.co_authors), "who left counts no more"
    timers = {each for each in history.timers if each.startswith("approval:")}
    assert timers == {f"approval:{each.id}" for each in waiting}
    approved = [
        each.id for each in history.messages.values() if each.status is MessageStatus.APPROVED
    ]
    assert sorted(history.remembered) == sorted(approved), "each is remembered, and once"
    recent = history.facts.recent
    assert [each.index for each in recent] == sorted({each.index for each in recent})
    assert all(history.messages[each.id] == each for each in recent)
    assert {each.id for each in recent} == set(approved[-len(recent) :] if recent else ())


def _check_runs(history: History) -> None:
    view = history.facts.view
    unfinished = {each.id: each for each in history.runs.values() if not each.status.final}
    assert {each.id: each for each in view.runs} == unfinished
    running = [each for each in view.runs if each.status is RunStatus.RUNNING]
    assert len(running) <= 1, "at most one run of a thread is under way"
    if view.runs:
        assert view.runs[0] in running, "a run waits only while another is under way"
    recovering = [each for each in running if each.health is Health.RECOVERING]
    timers = {each for each in history.timers if each.startswith("retry:")}
    assert timers == {f"retry:{each.id}" for each in recovering}
    for run in history.runs.values():
        assert isinstance(run.validate_state(), Valid), run.validate_state()
    for run in running:
        if run.health is Health.STABLE:
            assert history.under_way[run.id] == effect_under_way(run)
    if view.thread.status is ThreadStatus.ARCHIVED:
        assert (view.runs, view.pending) == ((), ())


def check_entries(history: History) -> None:
    """Everything that is true of a thread's journal as a whole."""
    statuses: dict[RunId, list[str]] = {}
    for entry in history.entries:
        message = entry.data.get("message")
        hidden = isinstance(message, dict) and message["status"] != "approved"
        assert (entry.restricted_to is not None) == hidden, entry.kind
        if entry.type == "chorus_response":
            statuses.setdefault(RunId(str(entry.data["run_id"])), []).append(entry.kind)
    assert statuses.keys() == history.runs.keys()
    for run_id, told in statuses.items():
        assert told[0] == "queued"
        ends = [each for each in told if each in {"finished", "failed", "cancelled"}]
        final = history.runs[run_id].status
        assert ends == ([final.value] if final.final else [])
        assert not ends or told[-1] == ends[0], "nothing follows the end of a run"
        assert replay_run(run_id, history.entries) == history.runs[run_id]
    assert _replayed_thread(history) == history.thread


def _replayed_thread(history: History) -> Thread:
    (created,) = history.entries[0].changes
    assert isinstance(created, Created)
    thread = Thread.model_validate(created.value)
    for fired in (each for entry in history.entries for each in entry.fired):
        if isinstance(fired, ThreadFired):
            result = StateManager.transition(thread, fired.event)
            assert isinstance(result, Success)
            thread = result.new_state
    return thread


# --- Tests ---------------------------------------------------------------------------------------


@given(data=st.data(), visibility=st.sampled_from(Visibility))
def test_every_rule_holds_after_every_command(data: st.DataObject, visibility: Visibility) -> None:
    history = opened(visibility)
    for _ in range(data.draw(st.integers(5, 40))):
        perform(history, draw_command(data, history))
    check_entries(history)
    if data.draw(st.booleans()):
        by = history.facts.view.thread.co_authors[0]
        assert perform(history, Archive(**history.basis(by))) is not None
        check_entries(history)
        for _ in range(5):
            assert perform(history, draw_command(data, history)) is None, (
                "an archived thread is only read"
            )


def perform(history: History, command: ThreadCommand) -> Decided | None:
    """Decide and keep; None where the command was refused."""
    facts = history.named(command)
    before = facts.model_dump_json()
    try:
        decision = decide(facts, command, POLICY)
    except (RequestRefused, InvalidTransition):
        assert facts.model_dump_json() == before
        return None
    again = decide(facts, command, POLICY)
    assert (again.batch, again.facts, again.effects) == (
        *(decision.batch, decision.facts, decision.effects),
    ), "the same command on the same facts is the same decision"
    assert facts.model_dump_json() == before
    history.keep(decision)
    check_rules(history)
    return decision


def test_random_histories_reach_what_they_are_for() -> None:
    """Long runs of plausible commands end runs and decide votes; else the rules test nothing."""
    history = opened(Visibility.PUBLIC)
    for command in _plausible(history):
        assert perform(history, command) is not None, command
    ended = {each.status for each in history.runs.values()}
    assert ended == {RunStatus.FINISHED, RunStatus.CANCELLED}
    check_entries(history)


def _plausible(history: History) -> Iterator[ThreadCommand]:
    yield Invite(**history.basis(ALICE), public_key=BOB)
    yield AcceptInvitation(**history.basis(BOB))
    yield SubmitMessage(**history.basis(CAROL), content="From outside")
    pending = history.facts.view.pending[0].id
    yield SubmitMessage(**history.basis(ALICE), content="From inside")
    yield Vote(**history.basis(ALICE), message_id=pending, decision=Ballot.APPROVE)
    yield Vote(**history.basis(BOB), message_id=pending, decision=Ballot.APPROVE)
    assert CAROL in history.facts.view.thread.co_authors
    while len(history.facts.view.runs) > 1:
        run = history.facts.view.runs[0]
        recalls = isinstance(history.under_way[run.id], RecallPriors)
        event = loop.recalled(run, ()) if recalls else loop.answered(run)
        yield AdvanceRun(**history.basis(None), run_id=run.id, event=event)
    yield StopRun(**history.basis(CAROL), run_id=history.facts.view.runs[0].id)


def with_pending() -> tuple[History, MessageId]:
    """A public thread of Alice and Bob, and a message of Carol that Alice approved."""
    history = opened(Visibility.PUBLIC)
    commands = (
        Invite(**history.basis(ALICE), public_key=BOB),
        AcceptInvitation(**history.basis(BOB)),
        SubmitMessage(**history.basis(CAROL), content="May I come in?"),
    )
    for command in commands:
        assert perform(history, command) is not None
    message_id = history.facts.view.pending[0].id
    vote = Vote(thread_id=THREAD, at=NOW, by=ALICE, message_id=message_id, decision=Ballot.APPROVE)
    assert perform(history, vote) is not None
    return history, message_id


@pytest.mark.parametrize("ballot", Ballot)
@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1)])
def test_a_vote_at_or_after_the_deadline_expires_the_message_and_is_refused(
    ballot: Ballot, late: timedelta
) -> None:
    history, message_id = with_pending()
    history.now = NOW + DAY + late
    vote = Vote(**history.basis(BOB), message_id=message_id, decision=ballot)
    decision = perform(history, vote)
    assert decision is not None
    assert isinstance(decision.refused, InvalidTransition)
    assert decision.refused.guards == ("deadline_is_ahead",)
    (entry,) = decision.batch.entries
    assert entry.kind == "message_expired"
    assert entry.by is None
    message = history.messages[message_id]
    assert message.status is MessageStatus.EXPIRED
    assert [each.co_author for each in message.approvals] == [ALICE], "it was not counted"
    assert decision.run_id is None


def test_the_deciding_vote_is_one_batch_with_all_that_follows_from_it() -> None:
    history, message_id = with_pending()
    history.now = NOW + DAY - timedelta(microseconds=1)
    vote = Vote(**history.basis(BOB), message_id=message_id, decision=Ballot.APPROVE)
    decision = perform(history, vote)
    assert decision is not None
    assert [each.kind for each in decision.batch.entries] == [
        *("vote_cast", "message_approved", "co_author_joined", "queued", "started"),
    ]
    assert decision.refused is None
    assert decision.run_id == history.facts.view.runs[0].id
    assert history.facts.view.thread.co_authors == (ALICE, BOB, CAROL)


def advanced(history: History, model: str) -> None:
    """The oldest run of the thread, brought to its end by answers of that model."""
    run_id = history.facts.view.runs[0].id
    while run_id in {run.id for run in history.facts.view.runs}:
        run = next(run for run in history.facts.view.runs if run.id == run_id)
        recalls = isinstance(history.under_way[run.id], RecallPriors)
        event = loop.recalled(run, ()) if recalls else loop.answered(run, model=model)
        assert perform(history, AdvanceRun(**history.basis(None), run_id=run.id, event=event))


def test_a_run_reads_the_thread_with_its_days_and_without_answers_that_only_repeat() -> None:
    history = opened(Visibility.PRIVATE)
    for model in ("scripted", EXTRACTIVE_MODEL):
        history.now += DAY
        assert perform(history, SubmitMessage(**history.basis(ALICE), content=f"To {model}"))
        advanced(history, model)
    assert perform(history, SubmitMessage(**history.basis(ALICE), content="And now?"))
    (run,) = history.facts.view.runs
    read = [(each.role, each.created_at) for each in run.messages]
    assert read == [
        (Role.USER, NOW + DAY),
        (Role.CHORUS, NOW + DAY),
        (Role.USER, NOW + 2 * DAY),
    ]


def test_a_run_is_given_the_context_of_the_policy() -> None:
    history = opened(Visibility.PRIVATE)
    command = SubmitMessage(**history.basis(ALICE), content="Hello")
    small = POLICY.model_copy(update={"context_tokens": 4_096})
    (run,) = decide(history.named(command), command, small).facts.view.runs
    assert run.context_tokens == 4_096


def test_an_empty_electorate_never_approves() -> None:
    history, message_id = with_pending()
    assert perform(history, Invite(**history.basis(ALICE), public_key=CAROL)) is not None
    assert perform(history, AcceptInvitation(**history.basis(CAROL))) is not None
    for leaver in (ALICE, BOB):
        assert perform(history, LeaveCoAuthorship(**history.basis(leaver))) is not None
    message = history.messages[message_id]
    assert (message.status, message.electors) == (MessageStatus.PENDING, ())
    history.now = NOW + DAY
    assert perform(history, Expire(**history.basis(None), message_id=message_id)) is not None
    assert history.messages[message_id].status is MessageStatus.EXPIRED


# --- Invitations ---------------------------------------------------------------------------------


def invited() -> History:
    """A public thread of Alice, into which Bob is invited."""
    history = opened(Visibility.PUBLIC)
    assert perform(history, Invite(**history.basis(ALICE), public_key=BOB)) is not None
    return history


def kinds_of(decision: Decided | None) -> list[str]:
    """What a decision told."""
    assert decision is not None
    return [entry.kind for entry in decision.batch.entries]


def test_an_acceptance_in_time_is_one_entry_with_the_invitation_and_the_thread() -> None:
    history = invited()
    decision = perform(history, AcceptInvitation(**history.basis(BOB)))
    assert kinds_of(decision) == ["co_author_joined"]
    (entry,) = history.entries[-1:]
    assert entry.by == BOB
    assert [each.machine for each in entry.transitions] == ["invitation", "thread"]
    assert history.facts.view.thread.co_authors == (ALICE, BOB)


def test_an_acceptance_at_the_deadline_expires_the_invitation_and_is_refused() -> None:
    history = invited()
    history.now = history.facts.view.invitations[0].expires_at
    decision = perform(history, AcceptInvitation(**history.basis(BOB)))
    assert kinds_of(decision) == ["invitation_expired"]
    assert decision is not None
    assert isinstance(decision.refused, InvalidTransition)
    assert decision.refused.guards == ("deadline_is_ahead",)
    assert history.facts.view.thread.co_authors == (ALICE,)


def test_an_inviter_who_leaves_takes_their_invitations_along() -> None:
    history = invited()
    assert perform(history, AcceptInvitation(**history.basis(BOB))) is not None
    assert perform(history, Invite(**history.basis(BOB), public_key=CAROL)) is not None
    decision = perform(history, LeaveCoAuthorship(**history.basis(BOB)))
    assert kinds_of(decision) == ["co_author_left", "invitation_revoked"]
    assert perform(history, AcceptInvitation(**history.basis(CAROL))) is None


def test_who_joins_by_an_approved_message_is_invited_no_more() -> None:
    history = invited()
    assert perform(history, SubmitMessage(**history.basis(BOB), content="Me?")) is not None
    (message,) = history.facts.view.pending
    vote = Vote(**history.basis(ALICE), message_id=message.id, decision=Ballot.APPROVE)
    told = kinds_of(perform(history, vote))
    assert told[:3] == ["vote_cast", "message_approved", "co_author_joined"]
    (invitation,) = history.invitations.values()
    assert invitation.status is InvitationStatus.ACCEPTED


@pytest.mark.parametrize(
    "counts", [InvitationCounts(of_key=100), InvitationCounts(by_inviter=100), None]
)
def test_invitations_are_bounded_by_key_by_inviter_and_by_thread(
    counts: InvitationCounts | None,
) -> None:
    history = invited()
    policy = POLICY if counts else POLICY.model_copy(update={"invitations_per_thread": 1})
    facts = history.facts.model_copy(update={"invitations": counts or InvitationCounts()})
    with pytest.raises(RequestRefused) as refused:
        decide(facts, Invite(**history.basis(ALICE), public_key=CAROL), policy)
    assert refused.value.code is ErrorCode.RATE_LIMITED
    unbounded = dict.fromkeys(
        ("invitations_per_thread", "invitations_per_user", "invitations_per_key"), 0
    )
    decide(
        facts,
        Invite(**history.basis(ALICE), public_key=CAROL),
        POLICY.model_copy(update=unbounded),
    )


# --- Links ---------------------------------------------------------------------------------------


def linked() -> History:
    """A public thread of Alice, who made a link into it."""
    history = opened(Visibility.PUBLIC)
    make = MakeLink(**history.basis(ALICE), secret_hash="known", hours=1)
    assert kinds_of(perform(history, make)) == ["invite_link_made"]
    return history


def refusal(history: History, command: ThreadCommand) -> RequestRefused:
    """How the command is refused."""
    with pytest.raises(RequestRefused) as refused:
        decide(history.facts, command, POLICY)
    return refused.value


def test_who_uses_a_link_joins_in_one_entry_with_the_link_and_the_thread() -> None:
    history = linked()
    use = UseLink(**history.basis(BOB), secret_hash="known")
    assert kinds_of(perform(history, use)) == ["co_author_joined"]
    (entry,) = history.entries[-1:]
    assert entry.by == BOB
    assert [each.machine for each in entry.transitions] == ["invite_link", "thread"]
    assert history.facts.view.thread.co_authors == (ALICE, BOB)
    (link,) = history.links.values()
    assert link.used_by == BOB


def test_a_used_a_revoked_an_expired_and_an_unknown_link_are_refused_alike() -> None:
    used, revoked, expired, archived = linked(), linked(), linked(), linked()
    assert perform(used, UseLink(**used.basis(BOB), secret_hash="known")) is not None
    (link_id,) = revoked.links
    assert perform(revoked, RevokeLink(**revoked.basis(ALICE), link_id=link_id)) is not None
    expired.now = expired.facts.view.links[0].expires_at
    late = perform(expired, UseLink(**expired.basis(CAROL), secret_hash="known"))
    assert kinds_of(late) == ["invite_link_expired"]
    assert perform(archived, Archive(**archived.basis(ALICE))) is not None
    answers = [
        refusal(history, UseLink(**history.basis(CAROL), secret_hash="known"))
        for history in (used, revoked, expired, archived)
    ]
    unknown = linked()
    answers.append(refusal(unknown, UseLink(**unknown.basis(CAROL), secret_hash="guessed")))
    assert late is not None
    assert late.refused is not None
    assert {(each.code, str(each)) for each in answers} == {(late.refused.code, str(late.refused))}
    assert late.refused.code is ErrorCode.NOT_FOUND


def test_a_co_author_who_opens_a_link_leaves_it_to_another() -> None:
    history = linked()
    with pytest.raises(InvalidTransition) as refused:
        decide(history.facts, UseLink(**history.basis(ALICE), secret_hash="known"), POLICY)
    assert "not guest_is_co_author" in refused.value.guards
    assert perform(history, UseLink(**history.basis(BOB), secret_hash="known")) is not None


def test_a_maker_who_leaves_takes_their_links_along() -> None:
    history = linked()
    assert perform(history, UseLink(**history.basis(BOB), secret_hash="known")) is not None
    own = MakeLink(**history.basis(BOB), secret_hash="of Bob", hours=1)
    assert perform(history, own) is not None
    decision = perform(history, LeaveCoAuthorship(**history.basis(BOB)))
    assert kinds_of(decision) == ["co_author_left", "invite_link_revoked"]


def test_who_is_invited_and_joins_by_a_link_is_invited_no_more() -> None:
    history = linked()
    assert perform(history, Invite(**history.basis(ALICE), public_key=BOB)) is not None
    use = UseLink(**history.basis(BOB), secret_hash="known")
    assert kinds_of(perform(history, use)) == ["co_author_joined"]
    (invitation,) = history.invitations.values()
    assert invitation.status is InvitationStatus.ACCEPTED


def test_open_links_are_bounded_and_each_keeps_a_place_in_the_thread() -> None:
    history = linked()
    others = [PublicKey(f"key {number}") for number in range(MAX_CO_AUTHORS - 2)]
    full = history.facts.view.thread.changed(co_authors=(ALICE, *others))
    view = history.facts.view.model_copy(update={"thread": full})
    make = MakeLink(**history.basis(ALICE), secret_hash="another", hours=1)
    with pytest.raises(RequestRefused) as refused:
        decide(history.facts.model_copy(update={"view": view}), make, POLICY)
    assert refused.value.code is ErrorCode.TOO_LARGE
    for number in range(1, MAX_OPEN_LINKS):
        more = MakeLink(**history.basis(ALICE), secret_hash=f"{number}", hours=1)
        assert perform(history, more) is not None
    assert refusal(history, make).code is ErrorCode.RATE_LIMITED


# --- Removals ------------------------------------------------------------------------------------


def crowd() -> History:
    """A public thread of Alice, Bob and Carol."""
    history = invited()
    assert perform(history, AcceptInvitation(**history.basis(BOB))) is not None
    assert perform(history, Invite(**history.basis(ALICE), public_key=CAROL)) is not None
    assert perform(history, AcceptInvitation(**history.basis(CAROL))) is not None
    return history


def test_all_the_others_remove_a_co_author_in_one_batch_with_what_follows() -> None:
    history = crowd()
    assert perform(history, SubmitMessage(**history.basis(DAVE), content="Me?")) is not None
    (message,) = history.facts.view.pending
    for voter in (ALICE, BOB):
        vote = Vote(**history.basis(voter), message_id=message.id, decision=Ballot.APPROVE)
        assert perform(history, vote) is not None
    proposal = ProposeRemoval(**history.basis(ALICE), public_key=CAROL)
    assert kinds_of(perform(history, proposal)) == ["removal_proposed"]
    agree = VoteOnRemoval(**history.basis(BOB), public_key=CAROL, decision=RemovalDecision.REMOVE)
    told = kinds_of(perform(history, agree))
    assert told[:4] == [
        *("removal_vote_cast", "co_author_removed", "message_approved", "co_author_joined")
    ], "a lost key holds up no vote for ever"
    assert history.facts.view.thread.co_authors == (ALICE, BOB, DAVE)


def test_one_vote_to_keep_ends_a_removal() -> None:
    history = crowd()
    assert perform(history, ProposeRemoval(**history.basis(ALICE), public_key=CAROL)) is not None
    keep = VoteOnRemoval(**history.basis(BOB), public_key=CAROL, decision=RemovalDecision.KEEP)
    assert kinds_of(perform(history, keep)) == ["removal_vote_cast", "co_author_kept"]
    assert CAROL in history.facts.view.thread.co_authors


def test_who_is_named_has_no_vote_and_may_leave() -> None:
    history = crowd()
    assert perform(history, ProposeRemoval(**history.basis(ALICE), public_key=CAROL)) is not None
    for decision in RemovalDecision:
        own = VoteOnRemoval(**history.basis(CAROL), public_key=CAROL, decision=decision)
        assert perform(history, own) is None
    left = perform(history, LeaveCoAuthorship(**history.basis(CAROL)))
    assert kinds_of(left) == ["co_author_left", "removal_withdrawn"]
