"""What the journal holds, and the batches that are committed to it.

A batch is one decision: all its entries, snapshots, timers, memory tasks and the remembered reply
become durable in one transaction, or none of them does.
"""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, Field

from machines.models.branch import Branch, BranchEvent
from machines.models.chorus import ChorusEvent, ChorusState
from machines.models.domain import BaseState, Created, Frozen, StateTransition, Updated
from machines.models.ids import (
    BranchId,
    InvitationId,
    InviteLinkId,
    MessageId,
    PublicKey,
    RemovalId,
    RequestId,
    RunId,
    ServerId,
    StreamId,
    ThreadId,
    TimerId,
)
from machines.models.invitation import Invitation, InvitationEvent
from machines.models.invite_link import InviteLink, InviteLinkEvent
from machines.models.message import Message, MessageEvent
from machines.models.outputs import Omittable, OmittableNames, StepEnum
from machines.models.removal import Removal, RemovalEvent
from machines.models.thread import Thread, ThreadOperation

# --- What a machine did -------------------------------------------------------------------------


class MachineTransition(Frozen):
    """One edge that was taken; `edge` is the literal id of its element in the drawing."""

    machine: str
    instance: str
    event: str
    source: str
    target: str
    edge: str
    effects: tuple[str, ...] = ()
    """Names of the effects that it emitted."""
    passed_over: OmittableNames = ()
    """Of each edge of this event that was tried before it: the first guard that did not hold, as the
    drawing spells it. Earlier versions do not record it."""


class ChorusFired(Frozen):
    """An event that a run accepted; replaying these gives the run's state again."""

    machine: Literal["chorus"] = "chorus"
    instance: RunId
    event: ChorusEvent


class MessageFired(Frozen):
    """An event that a message accepted."""

    machine: Literal["message"] = "message"
    instance: MessageId
    event: MessageEvent


class ThreadFired(Frozen):
    """An operation that a thread accepted."""

    machine: Literal["thread"] = "thread"
    instance: ThreadId
    event: ThreadOperation


class InvitationFired(Frozen):
    """An event that an invitation accepted."""

    machine: Literal["invitation"] = "invitation"
    instance: InvitationId
    event: InvitationEvent


class InviteLinkFired(Frozen):
    """An event that an invite link accepted."""

    machine: Literal["invite_link"] = "invite_link"
    instance: InviteLinkId
    event: InviteLinkEvent


class RemovalFired(Frozen):
    """An event that a vote on a removal accepted."""

    machine: Literal["removal"] = "removal"
    instance: RemovalId
    event: RemovalEvent


class BranchFired(Frozen):
    """An event that a branch accepted."""

    machine: Literal["branch"] = "branch"
    instance: BranchId
    event: BranchEvent


Fired = Annotated[
    ChorusFired
    | MessageFired
    | ThreadFired
    | InvitationFired
    | InviteLinkFired
    | RemovalFired
    | BranchFired,
    Field(discriminator="machine"),
]

# --- Timers and memory tasks, kept as rows beside the journal -----------------------------------


class RetryTimer(Frozen):
    """The wait after a failed attempt of a run's step."""

    timer: Literal["retry"] = "retry"
    thread_id: ThreadId
    run_id: RunId
    step: StepEnum
    iteration: int
    attempt: int


class ApprovalTimer(Frozen):
    """The deadline of a pending message."""

    timer: Literal["approval"] = "approval"
    thread_id: ThreadId
    message_id: MessageId


class InvitationTimer(Frozen):
    """The deadline of an open invitation."""

    timer: Literal["invitation"] = "invitation"
    thread_id: ThreadId
    invitation_id: InvitationId


class InviteLinkTimer(Frozen):
    """The deadline of an open invite link."""

    timer: Literal["invite_link"] = "invite_link"
    thread_id: ThreadId
    link_id: InviteLinkId


class RemovalTimer(Frozen):
    """The deadline of a vote on a removal."""

    timer: Literal["removal"] = "removal"
    thread_id: ThreadId
    removal_id: RemovalId


class BranchTimer(Frozen):
    """The deadline of a branch whose answer is there."""

    timer: Literal["branch"] = "branch"
    thread_id: ThreadId
    branch_id: BranchId


class SessionTimer(Frozen):
    """The end of a session."""

    timer: Literal["session"] = "session"
    token_hash: str
    public_key: PublicKey


Timer = Annotated[
    RetryTimer
    | ApprovalTimer
    | InvitationTimer
    | InviteLinkTimer
    | RemovalTimer
    | BranchTimer
    | SessionTimer,
    Field(discriminator="timer"),
]


class TimerRow(Frozen):
    """A timer with its due time."""

    id: TimerId
    due_at: AwareDatetime
    timer: Timer


class IndexMessage(Frozen):
    """An approved message must be found by vector search."""

    task: Literal["index_message"] = "index_message"
    thread_id: ThreadId
    message_id: MessageId


class ForgetMessage(Frozen):
    """A message that was approved counts no more, and must not be found."""

    task: Literal["forget_message"] = "forget_message"
    thread_id: ThreadId
    message_id: MessageId


class RecordLinks(Frozen):
    """Observation links the prompt to the priors that were selected."""

    task: Literal["record_links"] = "record_links"
    thread_id: ThreadId
    run_id: RunId
    prompt_id: MessageId
    priors: tuple[tuple[MessageId, str], ...]
    """(selected prior, why)."""


MemoryTask = Annotated[IndexMessage | ForgetMessage | RecordLinks, Field(discriminator="task")]


class QueuedTask(Frozen):
    """A memory task that waits, in the order of the journal."""

    position: int
    """Grows with every task; the task is gone once the memory holds it."""
    thread_id: ThreadId
    seq: int
    """Of the journal entry that asked for it."""
    task: MemoryTask


# --- Entries and batches ------------------------------------------------------------------------


class JournalEntry(Frozen):
    """One accepted transition, numbered 1, 2, 3 ... in its stream."""

    stream: StreamId
    type: Literal["chorus_response", "thread_event", "user_event"]
    kind: str
    """PROTOCOL's `kind`, the `status` of a chorus_response, or the kind of a user event."""
    at: AwareDatetime
    by: PublicKey | None
    """Whose doing it is; None is the system itself."""
    request_id: RequestId | None = None
    """The cause, where it was a client's request."""
    data: dict[str, object]
    """The live frame's `data` without `transitions`: as JSON where it was read, and what JSON says of
    it where it was just decided."""
    fired: tuple[Fired, ...] = ()
    transitions: tuple[MachineTransition, ...] = ()
    changes: tuple[StateTransition, ...] = ()
    """The resulting values; the snapshot rows are written from these alone. A run's change leaves out
    what its events hold: the messages that it reads, its steps, and its priors, but for the ids of those
    that it adds. Its prompt stands in the first alone, its query where it is another one."""
    restricted_to: PublicKey | None = None
    """Set where `data.message` is not approved: its content is for the co-authors and this author."""
    fingerprint: str = ""
    """Of the charts that accepted it."""
    seq: int = Field(ge=1)


@cache
def _omittable(model: type[BaseModel]) -> tuple[tuple[str, Callable[[object], bool]], ...]:
    """The fields that JSON may lack, each with when it does."""
    fields = model.model_fields.items()
    return tuple((name, each.exclude_if) for name, each in fields if each.exclude_if is not None)


def creation_of(kind: str, value: BaseState, *without: str) -> Created:
    """The change that `value` came to be."""
    fields = fields_of(value, *without)
    return Created(kind=kind, id=value.id, version=value.version, value=fields)


def update_of(kind: str, value: BaseState, *without: str) -> Updated:
    """The change that left `value`."""
    fields = fields_of(value, *without)
    return Updated(kind=kind, id=value.id, version=value.version, value=fields)


def fields_of(value: BaseModel, *without: str) -> dict[str, object]:
    """The fields of a value as an entry keeps them: they become JSON once, with the whole entry.

    Args:
        without: Names of fields that it does not keep.
    """
    fields = vars(value).copy()
    for name in without:
        del fields[name]
    for name, is_left_out in _omittable(type(value)):
        if name in fields and is_left_out(fields[name]):
            del fields[name]
    return fields


class RememberedReply(Frozen):
    """The answer of a mutating request, kept so that the same request is carried out once."""

    public_key: PublicKey
    request_id: RequestId
    digest: str
    """Of the request's type and data: another digest under the same id is a conflict."""
    thread_id: ThreadId | None
    message_id: MessageId | None = None
    run_id: RunId | None = None
    branch_id: Omittable[BranchId] = None
    at: AwareDatetime
    seq: int | None = None
    """Filled by the journal: the number of the batch's last entry in the thread's stream."""


class InvitationBound(Frozen):
    """How many open invitations there may be in all threads once a batch is written.

    A decision counts before it is written, under the lock of its own thread alone; the journal counts
    again where it writes, one batch after the other, so that no two pass the bound together.
    """

    of: Literal["key", "inviter"]
    public_key: PublicKey
    """Who is invited, or who invites."""
    most: int = Field(ge=1)


NOBODY: Final = ServerId("")
"""Carries a run that needs a server and has none."""


class Batch(Frozen):
    """What one decision makes durable."""

    entries: tuple[JournalEntry, ...]
    """Those of one stream are in order; where the first of them stands tells the head (last seq, 0 for
    a new stream) that was decided on."""
    timers: tuple[TimerRow, ...] = ()
    """Set or moved."""
    cancelled_timers: tuple[TimerId, ...] = ()
    memory: tuple[MemoryTask, ...] = ()
    reply: RememberedReply | None = None
    bounds: tuple[InvitationBound, ...] = ()
    """What must hold once it is written; else nothing of it is."""
    carrier: ServerId = NOBODY
    """The server that performs what the batch's runs ask for: it carries each that it leaves running."""
    advances: tuple[RunId, ...] = ()
    """Runs that it brings results to: `carrier` must carry them already; else nothing is written."""

    @property
    def expected(self) -> dict[StreamId, int]:
        """For every stream of `entries`: the head that was decided on."""
        heads: dict[StreamId, int] = {}
        for entry in self.entries:
            heads.setdefault(entry.stream, entry.seq - 1)
        return heads


class Committed(Frozen):
    """A batch that is durable."""

    entries: tuple[JournalEntry, ...]
    reply: RememberedReply | None = None


class DecisionView(Frozen):
    """A thread as decisions see it: one consistent read at `head_seq`."""

    head_seq: int
    thread: Thread
    pending: tuple[Message, ...] = ()
    """Messages that wait for approval, oldest first."""
    runs: tuple[ChorusState, ...] = ()
    """Runs that are not final, in the order of their requests."""
    invitations: tuple[Invitation, ...] = ()
    """Those that wait for an answer, oldest first."""
    links: tuple[InviteLink, ...] = ()
    """Invite links that are open, oldest first."""
    removals: tuple[Removal, ...] = ()
    """Those that are voted on, oldest first."""
    branches: tuple[Branch, ...] = ()
    """Those that are open, oldest first."""
