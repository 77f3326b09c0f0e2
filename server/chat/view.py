"""What a person sees, folded from what the client tells. Pure: no clock, no IO, no printing.

`fold(state, event)` is the whole interface. Texts stay as they came, since offsets count in them;
they are cleaned where they are rendered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from server.chat.events import CaughtUp, ClientEvent, Gone, Live, Offline, Online, Opened, Skipped
from server.chat.frames import (
    STORAGE_UNAVAILABLE,
    ChatMessage,
    ChatThread,
    Notice,
    OpenBranch,
    OpenLink,
    OpenRemoval,
    RunCancelledEvent,
    RunEventUnion,
    RunFailedEvent,
    RunFinishedEvent,
    RunQueuedEvent,
    RunSnapshot,
    StepCompletedEvent,
    StepDeltaEvent,
    StepRecoveringEvent,
    StepStartedEvent,
    StepThinkingEvent,
    ThreadEvent,
    ThreadMessages,
)
from server.chat.runs import (
    NO_ANSWER,
    ChatRun,
    ChatRunStatus,
    ChatStep,
    StepStatus,
    attempt_of,
    begin,
    bounded,
    is_late,
    put,
    with_current,
)


@dataclass(frozen=True)
class ChatState:
    """All that the user interface shows."""

    me: str
    """The person's own public key."""
    my_name: str | None = None
    model: str = ""
    offline_model: bool = False
    models: tuple[str, ...] = ()
    """Names that a thread's model may have, the server's own first."""
    link: Online | Offline | None = None
    """None before the first sign-in was told."""
    thread: ChatThread | None = None
    thread_names: Mapping[str, str] = field(default_factory=dict)
    """Of the person's threads, as they were called when the client signed in."""
    names: Mapping[str, str | None] = field(default_factory=dict)
    messages: tuple[ChatMessage, ...] = ()
    """Oldest first."""
    links: tuple[OpenLink, ...] = ()
    """Invite links into the thread that nobody has used, oldest first."""
    removals: tuple[OpenRemoval, ...] = ()
    branches: tuple[OpenBranch, ...] = ()
    """Those that are open, oldest first."""
    """Open votes on whether a co-author stays."""
    runs: tuple[ChatRun, ...] = ()
    """In the order in which they were first heard of."""
    waits_because: str | None = None
    """Why a run of the thread cannot go on now, since its last entry; None where it can."""

    def run(self, run_id: str) -> ChatRun | None:
        return next((run for run in self.runs if run.run_id == run_id), None)

    def message(self, message_id: str) -> ChatMessage | None:
        return next((message for message in self.messages if message.id == message_id), None)

    def run_of(self, index: int | None) -> str | None:
        """The run of the prompt or the answer at a place in the thread; None where none is known.

        Args:
            index: the place; of the newest message that has a run where it is None.
        """
        # A prompt that came before its run does not name it until a frame of the run comes.
        begun = {run.message_id: run.run_id for run in self.runs if run.branch_id is None}
        named = (each for each in reversed(self.messages) if index in (None, each.index))
        runs = (each.run_id or begun.get(each.id) for each in named)
        return next((run_id for run_id in runs if run_id is not None), None)

    @property
    def to_run_again(self) -> ChatRun | None:
        """The newest run that failed or was cancelled, of a prompt that counts and has no other since."""

        def is_its_prompts_own(run: ChatRun) -> bool:
            prompt = self.message(run.message_id)
            if prompt is None:
                return run.branch_id is None
            return prompt.status != "superseded" and prompt.run_id in {None, run.run_id}

        ended = (run for run in reversed(self.runs) if run.status in NO_ANSWER)
        return next(filter(is_its_prompts_own, ended), None)

    @property
    def live_runs(self) -> tuple[ChatRun, ...]:
        return tuple(run for run in self.runs if run.is_live)

    @property
    def running(self) -> ChatRun | None:
        """The run whose steps stream now."""
        return next((run for run in self.runs if run.status is ChatRunStatus.RUNNING), None)

    @property
    def pending(self) -> tuple[ChatMessage, ...]:
        """Messages that wait for approval."""
        return tuple(message for message in self.messages if message.status == "pending")

    @property
    def to_vote_on(self) -> tuple[ChatMessage, ...]:
        """Pending messages that wait for this person's vote."""
        return tuple(
            message
            for message in self.pending
            if self.me in message.electors
            and all(vote.co_author != self.me for vote in message.approvals)
        )


def fold(state: ChatState, event: ClientEvent) -> ChatState:
    """The state after `event`."""
    match event:
        case Online():
            return replace(
                state,
                link=event,
                my_name=event.user.name,
                model=event.model.name,
                offline_model=event.model.offline,
                models=event.models,
                thread_names={each.id: each.name for each in event.threads},
            )
        case Offline():
            return replace(state, link=event)
        case Opened(snapshot):
            return _open(state, snapshot)
        case CaughtUp(snapshot):
            return _overlay(state, snapshot)
        case Live(thread_id, seq, body):
            if state.thread is None or state.thread.id != thread_id:
                return state
            if seq is not None:
                state = replace(state, waits_because=None)
            if isinstance(body, ThreadEvent):
                return _fold_thread_event(state, body)
            return _fold_run_event(state, body)
        case Gone(thread_id, _):
            if state.thread is None or state.thread.id != thread_id:
                return state
            return close(state)
        case Notice(thread_id=thread_id, kind=kind, message=message):
            if kind == STORAGE_UNAVAILABLE and state.thread and state.thread.id == thread_id:
                return replace(state, waits_because=message)
            return state
        case Skipped():
            return state
        case _:
            assert_never(event)


def begins_to_wait(before: ChatState, after: ChatState) -> str | None:
    """Why a run waits in `after`, where it did not wait for that reason in `before`; else None."""
    return None if after.waits_because == before.waits_because else after.waits_because


def close(state: ChatState) -> ChatState:
    """No thread is followed any more."""
    return replace(
        state,
        thread=None,
        names={},
        messages=(),
        links=(),
        removals=(),
        branches=(),
        runs=(),
        waits_because=None,
    )


def expect(
    state: ChatState, run_id: str, message_id: str, branch_id: str | None = None
) -> ChatState:
    """A run that the server accepted; its frames may come later, or have come already."""
    if state.run(run_id) is not None:
        return state
    return replace(state, runs=put(state.runs, ChatRun(run_id, message_id, branch_id)))


def _open(state: ChatState, snapshot: ThreadMessages) -> ChatState:
    reopened = state.thread is not None and state.thread.id == snapshot.thread.id
    answers = {message.run_id: message for message in snapshot.messages if message.role == "chorus"}
    told = {run.run_id for run in snapshot.runs}
    earlier = (
        # A run that this person waits for may have ended in what a fresh snapshot leaves out.
        _settle(run, answers.get(run.run_id)) if run.is_live else run
        for run in (state.runs if reopened else ())
        if run.run_id not in told
    )
    return replace(
        state,
        thread=snapshot.thread,
        names=snapshot.names,
        messages=snapshot.messages,
        links=snapshot.links,
        removals=snapshot.removals,
        branches=snapshot.branches,
        waits_because=None,
        runs=bounded((*earlier, *(_from_snapshot(run) for run in snapshot.runs))),
    )


def _settle(run: ChatRun, answer: ChatMessage | None) -> ChatRun:
    status = ChatRunStatus.UNKNOWN if answer is None else ChatRunStatus.FINISHED
    return replace(run, status=status, answer=answer)


def _from_snapshot(run: RunSnapshot) -> ChatRun:
    if run.step is None or run.status == "queued":
        return ChatRun(run.run_id, run.message_id, run.branch_id)
    step = ChatStep(
        run.step, run.iteration, run.attempt, text=run.text or "", thinking=run.thinking or ""
    )
    return ChatRun(run.run_id, run.message_id, run.branch_id, ChatRunStatus.RUNNING, (step,))


def _overlay(state: ChatState, snapshot: ThreadMessages) -> ChatState:
    """Take from the snapshot what no entry holds: names, and the partial text of running steps."""
    if state.thread is None or state.thread.id != snapshot.thread.id:
        return state
    texts = {
        (run.run_id, run.step, run.iteration, run.attempt): run.text or "" for run in snapshot.runs
    }

    def with_text(run: ChatRun) -> ChatRun:
        step = run.current
        if step is None or step.status is not StepStatus.RUNNING:
            return run
        text = texts.get((run.run_id, *step.key), "")
        return with_current(run, replace(step, text=text)) if len(text) > len(step.text) else run

    known = {run.run_id for run in state.runs}
    unknown = tuple(_from_snapshot(run) for run in snapshot.runs if run.run_id not in known)
    return replace(
        state,
        thread=snapshot.thread,
        names=snapshot.names,
        links=snapshot.links,
        removals=snapshot.removals,
        branches=snapshot.branches,
        runs=bounded((*(with_text(run) for run in state.runs), *unknown)),
    )


def _fold_thread_event(state: ChatState, event: ThreadEvent) -> ChatState:
    thread = event.thread or state.thread
    if thread is None:
        return state
    if (
        event.kind in {"co_author_left", "co_author_removed"}
        and event.public_key == state.me
        and thread.visibility == "private"
    ):
        return close(state)
    messages = state.messages if event.message is None else _upsert(state.messages, event.message)
    if event.link is not None:
        kept = tuple(each for each in state.links if each.id != event.link.id)
        state = replace(state, links=(*kept, event.link) if event.link.status == "open" else kept)
    if event.removal is not None:
        others = tuple(each for each in state.removals if each.id != event.removal.id)
        is_open = event.removal.status == "proposed"
        state = replace(state, removals=(*others, event.removal) if is_open else others)
    if event.branch is not None:
        state = _with_branch(state, event.branch, is_ready=event.kind == "branch_ready")
    state = replace(state, thread=thread, messages=messages)
    if event.kind == "branch_adopted" and event.prompt_id and event.run_id:
        return _answered_by(state, event.prompt_id, event.run_id)
    return state


def _answered_by(state: ChatState, prompt_id: str, run_id: str) -> ChatState:
    """The prompt with another run of its own."""
    prompt = state.message(prompt_id)
    if prompt is None:
        return state
    prompt = prompt.model_copy(update={"run_id": run_id})
    return replace(state, messages=_upsert(state.messages, prompt))


def _with_branch(state: ChatState, branch: OpenBranch, *, is_ready: bool) -> ChatState:
    known = {each.id: each for each in (*state.branches, branch)}
    state = replace(state, branches=tuple(each for each in known.values() if each.is_open))
    run = state.run(branch.run_id)
    if run is None or not is_ready:
        return state
    return replace(state, runs=put(state.runs, replace(run, status=ChatRunStatus.READY)))


def _fold_run_event(state: ChatState, event: RunEventUnion) -> ChatState:
    run = state.run(event.run_id) or ChatRun(event.run_id, event.message_id, event.branch_id)
    match event:
        case RunQueuedEvent():
            run = replace(run, status=ChatRunStatus.QUEUED)
            if event.branch_id is None:
                state = _answered_by(state, event.message_id, event.run_id)
        case StepStartedEvent():
            run = begin(run, event)
        case StepDeltaEvent() | StepThinkingEvent():
            return _fold_delta(state, run, event)
        case StepCompletedEvent():
            step = attempt_of(run, event)
            run = with_current(
                run,
                replace(
                    step,
                    status=StepStatus.COMPLETED,
                    text=event.text,
                    output=event.output,
                    priors=event.priors or (),
                ),
            )
        case StepRecoveringEvent():
            step = replace(
                attempt_of(run, event),
                status=StepStatus.RECOVERING,
                code=event.code,
                retry_in_ms=event.retry_in_ms,
            )
            run = with_current(run, step)
        case RunFinishedEvent():
            run = replace(run, status=ChatRunStatus.FINISHED, answer=event.message)
            state = replace(state, messages=_upsert(state.messages, event.message))
        case RunFailedEvent():
            run = replace(run, status=ChatRunStatus.FAILED, failure=(event.code, event.message))
        case RunCancelledEvent():
            run = replace(run, status=ChatRunStatus.CANCELLED)
        case _:
            assert_never(event)
    return replace(state, runs=put(state.runs, run))


def _fold_delta(
    state: ChatState, run: ChatRun, event: StepDeltaEvent | StepThinkingEvent
) -> ChatState:
    """A piece is added only where its offset is the length of what is there."""
    step = attempt_of(run, event)
    known = step.text if isinstance(event, StepDeltaEvent) else step.thinking
    if (
        not run.is_live
        or step.status is not StepStatus.RUNNING
        or is_late(run.current, step)
        or event.offset != len(known)
    ):
        return state
    if isinstance(event, StepDeltaEvent):
        step = replace(step, text=known + event.text)
    else:
        step = replace(step, thinking=known + event.text)
    return replace(state, runs=put(state.runs, with_current(run, step)))


def _upsert(messages: tuple[ChatMessage, ...], message: ChatMessage) -> tuple[ChatMessage, ...]:
    before = next((known for known in messages if known.id == message.id), None)
    if before is not None and message.run_id is None:
        # What was told of a prompt before its run does not name it.
        message = message.model_copy(update={"run_id": before.run_id})
    others = (known for known in messages if known.id != message.id)
    return tuple(sorted((*others, message), key=lambda known: known.index))
