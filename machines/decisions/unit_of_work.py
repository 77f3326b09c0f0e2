"""A decision in the making: fires machines, collects entries, and ends as one batch.

The draft is the one mutable thing among the pure functions. It lives for one decision, is never
shared, and what it is made from and what it becomes are frozen values.
"""

from datetime import timedelta
from typing import Literal, TypeVar

from machines.branch import branch_machine
from machines.chorus import chorus_machine
from machines.decisions.answers import CONTEXT_MESSAGES, answer_of, context_of, links_of
from machines.decisions.changes import Change, Decided, fingerprint_of, keep, run_change
from machines.decisions.succession import never_started
from machines.decisions.views import (
    branch_view,
    invitation_view,
    link_view,
    message_view,
    removal_view,
    thread_view,
)
from machines.invitation import invitation_machine
from machines.invite_link import invite_link_machine
from machines.loop.runs import create_initial_state
from machines.loop.steps import about
from machines.message import message_machine
from machines.models.branch import Branch, BranchAnswered, BranchEvent, BranchRunEnded
from machines.models.chorus import (
    AnswerReady,
    ChorusEvent,
    ChorusResponse,
    ChorusState,
    RunCancelled,
    RunStarted,
    RunStatus,
)
from machines.models.commands import Facts, Policy, ThreadCommand
from machines.models.domain import BaseState
from machines.models.effects import CancelTimer, DBOperation, RunEffect, ScheduleTimer
from machines.models.errors import ChorusError, InvalidTransition
from machines.models.ids import BranchId, MessageId, PublicKey, RunId, TimerId, thread_stream
from machines.models.invitation import Invitation, InvitationEvent, InvitationStatus
from machines.models.invite_link import InviteLink, InviteLinkEvent, InviteLinkStatus
from machines.models.journal import (
    Batch,
    BranchFired,
    ChorusFired,
    DecisionView,
    Fired,
    InvitationBound,
    InvitationFired,
    InviteLinkFired,
    JournalEntry,
    MemoryTask,
    MessageFired,
    RemovalFired,
    ThreadFired,
    TimerRow,
    creation_of,
    fields_of,
    update_of,
)
from machines.models.message import AnswerGiven, Message, MessageEvent, MessageStatus
from machines.models.removal import Removal, RemovalEvent, RemovalStatus
from machines.models.thread import AddMessage, Thread, ThreadOperation
from machines.models.wire import frames, run_frames
from machines.models.wire.frames import ThreadEventKind
from machines.models.wire.views import ThreadSettingsView
from machines.outcomes import recorded, refused
from machines.removal import removal_machine
from machines.statechart import Accepted, Machine, Refusal
from machines.thread import Failure, StateManager, Success

V = TypeVar("V", bound=BaseState)
E = TypeVar("E", MessageEvent, InvitationEvent, InviteLinkEvent, RemovalEvent, BranchEvent)


class Draft:
    """Collects what one command does to a thread."""

    def __init__(self, facts: Facts, command: ThreadCommand, policy: Policy) -> None:
        self._facts = facts
        self._command = command
        self._policy = policy
        self._ids = iter(command.ids)
        self.at = command.at
        self._stream = thread_stream(facts.view.thread.id)
        self.thread: Thread = facts.view.thread
        self.pending: dict[str, Message] = {each.id: each for each in facts.view.pending}
        self.runs: dict[str, ChorusState] = {each.id: each for each in facts.view.runs}
        self.invitations: dict[str, Invitation] = {each.id: each for each in facts.view.invitations}
        self.links: dict[str, InviteLink] = {each.id: each for each in facts.view.links}
        self.removals: dict[str, Removal] = {each.id: each for each in facts.view.removals}
        self.branches: dict[str, Branch] = {each.id: each for each in facts.view.branches}
        self.adoptable = dict(facts.adoptable)
        """What adopting each branch comes to, where the command may do so."""
        self.recent: list[Message] = list(facts.recent)
        self._entries: list[JournalEntry] = []
        self._effects: list[RunEffect] = []
        self.bounds: list[InvitationBound] = []
        """What the journal holds the batch to."""
        self.advances: list[RunId] = []
        """Runs that are brought what their carrier did for them."""

    # Machines

    def change_thread(self, operation: ThreadOperation) -> Change:
        """Apply an operation. Raises InvalidTransition where the thread refuses it."""
        match StateManager.transition(self.thread, operation):
            case Failure(error=error):
                raise error
            case Success(new_state=thread, transition=transition):
                self.thread = thread
                fired = ThreadFired(instance=thread.id, event=operation)
                return Change((fired,), (transition,), (update_of("thread", thread),))

    def change_message(
        self, message: Message, event: MessageEvent, *, created: bool = False
    ) -> tuple[Message, Change]:
        """Fire a message's event. Raises InvalidTransition where the message refuses it."""
        fired = MessageFired(instance=message.id, event=event)
        after, change = self._change(message_machine(), message, event, fired, created=created)
        self.place(after)
        return after, change

    def change_invitation(
        self, invitation: Invitation, event: InvitationEvent, *, created: bool = False
    ) -> tuple[Invitation, Change]:
        """Fire an invitation's event. Raises InvalidTransition where the invitation refuses it."""
        fired = InvitationFired(instance=invitation.id, event=event)
        after, change = self._change(
            invitation_machine(), invitation, event, fired, created=created
        )
        keep(self.invitations, after, is_open=after.status is InvitationStatus.INVITED)
        return after, change

    def change_link(
        self, link: InviteLink, event: InviteLinkEvent, *, created: bool = False
    ) -> tuple[InviteLink, Change]:
        """Fire a link's event. Raises InvalidTransition where the link refuses it."""
        fired = InviteLinkFired(instance=link.id, event=event)
        after, change = self._change(invite_link_machine(), link, event, fired, created=created)
        keep(self.links, after, is_open=after.status is InviteLinkStatus.OPEN)
        return after, change

    def change_removal(
        self, removal: Removal, event: RemovalEvent, *, created: bool = False
    ) -> tuple[Removal, Change]:
        """Fire a removal's event. Raises InvalidTransition where the removal refuses it."""
        fired = RemovalFired(instance=removal.id, event=event)
        after, change = self._change(removal_machine(), removal, event, fired, created=created)
        keep(self.removals, after, is_open=after.status is RemovalStatus.PROPOSED)
        return after, change

    def change_branch(
        self, branch: Branch, event: BranchEvent, *, created: bool = False
    ) -> tuple[Branch, Change]:
        """Fire a branch's event. Raises InvalidTransition where the branch refuses it."""
        fired = BranchFired(instance=branch.id, event=event)
        after, change = self._change(branch_machine(), branch, event, fired, created=created)
        keep(self.branches, after, is_open=after.status.is_open)
        return after, change

    def new_id(self) -> str:
        """One of the command's fresh ids."""
        return next(self._ids)

    def invitation_of(self, public_key: PublicKey | None) -> Invitation | None:
        """The open invitation of a key."""
        asked = (each for each in self.invitations.values() if each.public_key == public_key)
        return next(asked, None)

    def place(self, message: Message) -> None:
        """Let the draft's picture of the thread hold this version of a message."""
        if message.status is MessageStatus.PENDING:
            self.pending[message.id] = message
        else:
            self.pending.pop(message.id, None)
        self.recent = [each for each in self.recent if each.id != message.id]
        if message.status is MessageStatus.APPROVED:
            self.recent = sorted([*self.recent, message], key=lambda each: each.index)

    def fire_run(
        self, run: ChorusState, event: ChorusEvent, *, before: ChorusState | None = None
    ) -> None:
        """Fire a run's event and tell the thread. Raises InvalidTransition where it is refused.

        Args:
            before: the run as the journal has it, where `run` stands elsewhere already.
        """
        match chorus_machine().fire(run, event):
            case Refusal() as refusal:
                raise refused(refusal)
            case Accepted() as accepted:
                self._take_run(before or run, accepted, event)

    def cancel_run(self, run: ChorusState, *, by: PublicKey | None) -> None:
        """Stop a run for a user or the system; what its attempt has written is kept with it.

        Raises InvalidTransition where it is over.
        """
        partial = self._facts.partials.get(run.id)
        self.fire_run(run, RunCancelled(at=self.at, by=by, partial=partial))

    # What several commands do

    def create_run(self, message: Message) -> tuple[ChorusState, Message]:
        """A new run of an approved prompt, and the prompt naming it. Next: `queue_run`."""
        assert message.author is not None  # noqa: S101 - only users' messages are run
        run = create_initial_state(
            run_id=RunId(self.new_id()),
            thread_id=self.thread.id,
            message_id=message.id,
            answer_id=MessageId(self.new_id()),
            requested_by=message.author,
            prompt=message.content,
            at=self.at,
            loop=self._policy.loop,
            max_iterations=self._policy.max_iterations,
            max_attempts=self._policy.max_attempts,
            backoff_base_ms=self._policy.backoff_base_ms,
            context_tokens=self._policy.context_tokens,
        )
        return run, message.transition_to(self.at, run_id=run.id)

    def queue_run(self, run: ChorusState, message: Message) -> None:
        """Put a created run at the end of the queue, and let it start if nothing else does."""
        self.place(message)
        self.runs[run.id] = run
        made = (run_change(None, run), update_of("message", message))
        self.tell_run(run_frames.RunQueuedData(**about(run)), Change(changes=made))
        self.start_next()

    def start_next(self) -> None:
        """Let the first waiting run start, if no other run of the thread is under way; and the next
        where that one is over by it."""
        while self.runs and all(run.status is RunStatus.QUEUED for run in self.runs.values()):
            waiting = next(iter(self.runs.values()))
            try:
                self.fire_run(waiting, self._start_of(waiting))
            except InvalidTransition:
                # A server of another version queued it. What ended the run before it must not fail by that.
                ending = never_started(chorus_machine(), waiting, at=self.at)
                self.fire_run(ending.run, ending.event, before=waiting)

    def _start_of(self, waiting: ChorusState) -> RunStarted:
        policy, prefix = self._policy, waiting.prefix
        model = self.thread.model if prefix is None else prefix.chosen_model
        if model not in policy.models:
            model = None  # the operator allows it no more
        return RunStarted(
            at=self.at,
            thread_is_busy=False,
            messages=(
                context_of(waiting, self.recent, self.runs.values())
                if prefix is None
                else prefix.messages
            ),
            instructions=self.thread.instructions if prefix is None else prefix.instructions,
            model=model,
            context_tokens=policy.context_of_models.get(model) if model is not None else None,
        )

    # Telling

    def tell(
        self,
        kind: ThreadEventKind,
        change: Change,
        *,
        message: Message | None = None,
        thread: Thread | None = None,
        before: ThreadSettingsView | None = None,
        run_id: RunId | None = None,
        prompt_id: MessageId | None = None,
        public_key: PublicKey | None = None,
        invitation: Invitation | None = None,
        link: InviteLink | None = None,
        removal: Removal | None = None,
        branch: Branch | None = None,
        cause: str | None = None,
        by: PublicKey | None,
    ) -> None:
        """One `thread_event` entry."""
        data = frames.ThreadEventData(
            kind=kind,
            at=self.at,
            by=by,
            message_id=message.id if message else None,
            run_id=run_id,
            prompt_id=prompt_id,
            public_key=public_key,
            invitation=invitation_view(invitation) if invitation else None,
            link=link_view(link) if link else None,
            removal=removal_view(removal) if removal else None,
            branch=branch_view(branch) if branch else None,
            message=message_view(message) if message else None,
            thread=thread_view(thread) if thread else None,
            before=before,
            cause=cause,
        )
        hidden = message is not None and not message.status.was_approved
        restricted_to = message.author if hidden and message else None
        self._append("thread_event", kind.value, by, data, change, restricted_to)

    def tell_run(
        self, response: ChorusResponse | run_frames.RunFinishedData, change: Change | None = None
    ) -> None:
        """One `chorus_response` entry."""
        by = response.by if isinstance(response, run_frames.RunCancelledData) else None
        self._append("chorus_response", response.status, by, response, change or Change())

    def decision(
        self,
        *,
        message_id: MessageId | None = None,
        run_id: RunId | None = None,
        branch_id: BranchId | None = None,
        refused: ChorusError | None = None,
    ) -> Decided:
        """The finished decision."""
        timers: dict[TimerId, TimerRow] = {}
        cancelled: dict[TimerId, None] = {}
        memory: list[MemoryTask] = []
        rest: list[RunEffect] = []
        for effect in self._effects:
            match effect:
                case ScheduleTimer(timer_id=timer_id, due_at=due_at, timer=timer):
                    timers[timer_id] = TimerRow(id=timer_id, due_at=due_at, timer=timer)
                    cancelled.pop(timer_id, None)
                case CancelTimer(timer_id=timer_id):
                    timers.pop(timer_id, None)
                    cancelled[timer_id] = None
                case DBOperation(task=task):
                    memory.append(task)
                case _:
                    rest.append(effect)
        batch = Batch(
            entries=tuple(self._entries),
            timers=tuple(timers.values()),
            cancelled_timers=tuple(cancelled),
            memory=tuple(memory),
            bounds=tuple(self.bounds),
            advances=tuple(self.advances),
        )
        live = tuple(run for run in self.runs.values() if not run.status.final)
        view = DecisionView(
            head_seq=self._facts.view.head_seq + len(self._entries),
            thread=self.thread,
            pending=tuple(self.pending.values()),
            runs=live,
            invitations=tuple(self.invitations.values()),
            links=tuple(self.links.values()),
            removals=tuple(self.removals.values()),
            branches=tuple(self.branches.values()),
        )
        facts = Facts(view=view, recent=tuple(self.recent[-CONTEXT_MESSAGES:]))
        return Decided(batch, facts, tuple(rest), message_id, run_id, branch_id, refused)

    # Inside

    def _change(
        self,
        machine: Machine[V, E, object, RunEffect],
        value: V,
        event: E,
        fired: Fired,
        *,
        created: bool,
    ) -> tuple[V, Change]:
        """Fire an event on one of the thread's values, whose kind is the name of its machine."""
        match machine.fire(value, event):
            case Refusal() as refusal:
                raise refused(refusal)
            case Accepted(state=after, effects=effects) as accepted:
                self._effects.extend(effects)
                make = creation_of if created else update_of
                transition = recorded(accepted, after.id)
                return after, Change((fired,), (transition,), (make(fired.machine, after),))

    def _take_run(
        self,
        before: ChorusState,
        accepted: Accepted[ChorusState, ChorusResponse, RunEffect],
        event: ChorusEvent,
    ) -> None:
        """Keep a run's new state, and tell its responses: the first carries the transition."""
        run = accepted.state
        self.runs[run.id] = run
        self._effects.extend(accepted.effects)
        change = Change(
            (ChorusFired(instance=run.id, event=event),),
            (recorded(accepted, run.id),),
            (run_change(before, run),),
        )
        for response in accepted.responses:
            if not isinstance(response, AnswerReady):
                self.tell_run(response, change)
            elif run.branch_id is None:
                self._give_answer(run)
            else:
                self._end_growth(run, change)
            change = Change()
        if run.status.final:
            del self.runs[run.id]
            if run.status is not RunStatus.FINISHED:
                self._end_growth(run, change)

    def _end_growth(self, run: ChorusState, change: Change) -> None:
        """The run of a branch is over. `change` is what the run did, unless it was told."""
        branch = self.branches.get(run.branch_id) if run.branch_id is not None else None
        if branch is None:
            return  # it was given up before
        event: BranchEvent = BranchRunEnded(at=self.at)
        kind = ThreadEventKind.BRANCH_FAILED
        if run.status is RunStatus.FINISHED:
            expires_at = self.at + timedelta(days=self._policy.approval_days)
            event = BranchAnswered(at=self.at, expires_at=expires_at, links=links_of(run))
            kind = ThreadEventKind.BRANCH_READY
        after, ended = self.change_branch(branch, event)
        self.tell(kind, change + ended, branch=after, by=None)

    def _give_answer(self, run: ChorusState) -> None:
        """The answer becomes the thread's next message, in the transaction that ends the run."""
        grown = self.change_thread(AddMessage(at=self.at, actor=None))
        answer = answer_of(run, index=self.thread.message_count - 1, at=self.at)
        message, given = self.change_message(answer, AnswerGiven(at=self.at), created=True)
        finished = run_frames.RunFinishedData(
            **about(run), message_id_of_answer=message.id, message=message_view(message)
        )
        self.tell_run(finished, grown + given)

    def _append(
        self,
        type_: Literal["chorus_response", "thread_event"],
        kind: str,
        by: PublicKey | None,
        data: frames.ThreadEventData | ChorusResponse | run_frames.RunFinishedData,
        change: Change,
        restricted_to: PublicKey | None = None,
    ) -> None:
        charts = sorted({each.machine for each in change.transitions})
        self._entries.append(
            JournalEntry(
                stream=self._stream,
                type=type_,
                kind=kind,
                at=self.at,
                by=by,
                request_id=self._command.request_id,
                data=fields_of(data, "transitions"),
                fired=change.fired,
                transitions=change.transitions,
                changes=change.changes,
                restricted_to=restricted_to,
                fingerprint=" ".join([fingerprint_of(name) for name in charts]),
                seq=self._facts.view.head_seq + len(self._entries) + 1,
            )
        )
