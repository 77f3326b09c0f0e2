"""Small well-formed values for tests of the journal; the time is counted, never read."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid5

from machines.models.branch import Branch
from machines.models.chorus import ChorusState, ContextMessage, RunStarted, RunStatus
from machines.models.domain import (
    BaseState,
    Created,
    Deleted,
    Role,
    SessionRecord,
    StateTransition,
    Updated,
    User,
)
from machines.models.ids import (
    InvitationId,
    MessageId,
    PublicKey,
    RequestId,
    RunId,
    StreamId,
    ThreadId,
    UserId,
    thread_stream,
)
from machines.models.invitation import Invitation, InvitationStatus
from machines.models.invite_link import InviteLink
from machines.models.journal import (
    Batch,
    ChorusFired,
    JournalEntry,
    MachineTransition,
    RememberedReply,
)
from machines.models.message import Message, MessageStatus
from machines.models.removal import Removal
from machines.models.thread import Thread, Visibility
from machines.models.user_thread import UserThread

NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
ANN, BEN, CAY = PublicKey("Ann"), PublicKey("Ben"), PublicKey("Cay")
_NAMESPACE = UUID("6f1f4f7e-7a5b-4f0e-9a51-0d8a4c1f2b3c")


def at(seconds: float) -> datetime:
    """`seconds` after the beginning of the test's time."""
    return NOW + timedelta(seconds=seconds)


def uuid(name: object) -> str:
    """The same UUID for the same name."""
    return str(uuid5(_NAMESPACE, str(name)))


def thread(
    name: str = "t",
    *co_authors: PublicKey,
    visibility: Visibility = Visibility.PRIVATE,
    **fields: object,
) -> Thread:
    base = Thread(
        id=ThreadId(uuid(f"thread {name}")),
        created_at=NOW,
        updated_at=NOW,
        name=name,
        visibility=visibility,
        co_authors=co_authors or (ANN,),
    )
    return base.model_copy(update=fields)


def message(of: Thread, index: int, **fields: object) -> Message:
    base = Message(
        id=MessageId(uuid(f"message {of.id} {index}")),
        created_at=NOW,
        updated_at=NOW,
        thread_id=of.id,
        index=index,
        role=Role.USER,
        author=ANN,
        content=f"What about {index}? é\u2028",
        status=MessageStatus.APPROVED,
    )
    return base.model_copy(update=fields)


def run(of: Message, number: int = 0, **fields: object) -> ChorusState:
    base = ChorusState(
        id=RunId(uuid(f"run {of.id} {number}")),
        created_at=NOW,
        updated_at=NOW,
        thread_id=of.thread_id,
        message_id=of.id,
        answer_id=MessageId(uuid(f"answer {of.id} {number}")),
        requested_by=ANN,
        prompt=of.content,
        max_iterations=3,
        max_attempts=4,
        query=of.content,
    )
    return base.model_copy(update=fields)


def context_of(*messages: Message) -> tuple[ContextMessage, ...]:
    return tuple(
        ContextMessage(
            message_id=one.id,
            role=one.role,
            author=one.author,
            content=one.content,
            created_at=one.created_at,
        )
        for one in messages
    )


def user(key: PublicKey, name: str | None = None) -> User:
    return User(
        id=UserId(uuid(f"user {key}")), created_at=NOW, updated_at=NOW, public_key=key, name=name
    )


def invitation(of: Thread, key: PublicKey, number: int = 0, **fields: object) -> Invitation:
    """An open invitation, made at second `number`."""
    base = Invitation(
        id=InvitationId(uuid(f"invitation {of.id} {key} {number}")),
        created_at=at(number),
        updated_at=at(number),
        thread_id=of.id,
        public_key=key,
        invited_by=of.co_authors[0],
        status=InvitationStatus.INVITED,
        expires_at=at(3600),
    )
    return base.model_copy(update=fields)


def session(key: PublicKey = ANN) -> SessionRecord:
    return SessionRecord(
        id="hash", created_at=NOW, updated_at=NOW, public_key=key, expires_at=at(3600)
    )


_KINDS: Mapping[type[BaseState], str] = {
    Thread: "thread",
    Message: "message",
    ChorusState: "run",
    User: "user",
    SessionRecord: "session",
    Invitation: "invitation",
    InviteLink: "invite_link",
    Removal: "removal",
    Branch: "branch",
    UserThread: "user_thread",
}


def change(value: BaseState) -> StateTransition:
    """The change that leaves `value`; what a run gathers stands in its events."""
    kind = _KINDS[type(value)]
    form = Created if value.version == 1 else Updated
    gathered = {"messages", "steps", "priors"}
    if form is Updated:
        gathered |= {"prompt", "query"}
    body = value.model_dump(mode="json", exclude=gathered if kind == "run" else None)
    return form(kind=kind, id=value.id, version=value.version, value=body)


def deleted(value: BaseState) -> Deleted:
    return Deleted(kind=_KINDS[type(value)], id=value.id, version=value.version + 1)


def entry(
    stream: StreamId,
    *values: BaseState,
    kind: str = "thread_renamed",
    **fields: object,
) -> JournalEntry:
    base = JournalEntry(
        stream=stream,
        type="thread_event" if stream.startswith("thread:") else "user_event",
        kind=kind,
        at=NOW,
        by=ANN,
        data={"kind": kind, "text": "é\u0000", "number": 1.5, "list": [1, None, {"a": True}]},
        changes=tuple(map(change, values)),
        seq=1,
    )
    return base.model_copy(update=fields)


def run_entry(of: ChorusState, status: str, *values: BaseState) -> JournalEntry:
    """A `chorus_response` of a run; a `started` one carries the event with its messages."""
    fired: tuple[ChorusFired, ...] = ()
    if status == "started":
        event = RunStarted(at=NOW, thread_is_busy=False, messages=of.messages)
        fired = (ChorusFired(instance=of.id, event=event),)
    return entry(
        thread_stream(of.thread_id),
        *values,
        kind=status,
        type="chorus_response",
        data={"run_id": of.id, "status": status},
        fired=fired,
        transitions=(
            MachineTransition(
                machine="chorus",
                instance=of.id,
                event="start",
                source="queued",
                target="running",
                edge="chorus_queued_start_running",
                effects=("AICall",),
            ),
        ),
        fingerprint="f00d",
    )


def batch(head: int, *entries: JournalEntry, **fields: object) -> Batch:
    """A batch that was decided on at `head`: the entries of each stream are numbered from there."""
    next_of: defaultdict[StreamId, count[int]] = defaultdict(lambda: count(head + 1))
    numbered = tuple(one.changed(seq=next(next_of[one.stream])) for one in entries)
    return Batch(entries=numbered).model_copy(update=fields)


def opening(of: Thread, *messages: Message) -> Batch:
    """A new thread with its first messages, an entry for each."""
    stream = thread_stream(of.id)
    whole = of.model_copy(update={"message_count": len(messages)})
    return batch(
        0,
        entry(stream, whole, kind="thread_created"),
        *(entry(stream, one, kind="message_submitted") for one in messages),
    )


def started(of: ChorusState, *context: Message) -> ChorusState:
    return of.model_copy(
        update={
            "status": RunStatus.RUNNING,
            "version": of.version + 1,
            "messages": context_of(*context),
        }
    )


def finished(of: ChorusState) -> ChorusState:
    return of.model_copy(update={"status": RunStatus.CANCELLED, "version": of.version + 1})


def reply(request: str = "r1", of: Thread | None = None, **fields: object) -> RememberedReply:
    base = RememberedReply(
        public_key=ANN,
        request_id=RequestId(request),
        digest="d",
        thread_id=None if of is None else of.id,
        at=NOW,
    )
    return base.model_copy(update=fields)
