"""From journal entries to encoded live frames: each encoded once per audience, not per follower.

A thread's frames have two audiences: those who may see everything, and those who get the same frame
without content that is not approved. Where nothing is hidden, both share one text.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pydantic_core import to_json

from machines.decisions.inbox import inboxes_changed
from machines.decisions.views import message_view, without_content
from machines.models.domain import Role
from machines.models.ids import MessageId, PublicKey, ThreadId
from machines.models.journal import JournalEntry
from machines.models.message import Message
from machines.models.thread import Thread
from machines.models.wire import frames, views
from server.wire.bounds import within_bound
from server.wire.codec import encode_server_frame
from server.wire.markdown import render_markdown

_OF_WHO_GOES: Final = frozenset(
    {
        frames.ThreadEventKind.CO_AUTHOR_LEFT.value,
        frames.ThreadEventKind.CO_AUTHOR_REMOVED.value,
    }
)
_OF_INVITATIONS: Final = frozenset(
    {
        frames.ThreadEventKind.CO_AUTHOR_INVITED.value,
        frames.ThreadEventKind.INVITATION_DECLINED.value,
        frames.ThreadEventKind.INVITATION_REVOKED.value,
        frames.ThreadEventKind.INVITATION_EXPIRED.value,
    }
)
"""Kinds that the invited user is told of. Who accepts is a co-author, and told as such."""

OF_BRANCHES: Final = frozenset(
    {
        frames.ThreadEventKind.BRANCH_FORKED.value,
        frames.ThreadEventKind.BRANCH_READY.value,
        frames.ThreadEventKind.BRANCH_FAILED.value,
        frames.ThreadEventKind.BRANCH_PROPOSED.value,
        frames.ThreadEventKind.BRANCH_VOTE_CAST.value,
        frames.ThreadEventKind.BRANCH_REJECTED.value,
        frames.ThreadEventKind.BRANCH_EXPIRED.value,
        frames.ThreadEventKind.BRANCH_DISCARDED.value,
    }
)
"""Kinds of which outsiders are told nothing. What is adopted is theirs to read."""


_EFFORT_OF_AN_ENTRY: Final = 2_500
"""Code points whose encoding takes as long as an entry without long texts."""


@dataclass(frozen=True)
class LiveEntry:
    """One journal entry of a thread, as frames; encoded when the first follower wants one."""

    entry: JournalEntry

    @property
    def thread_id(self) -> ThreadId:
        """The thread whose stream it stands in."""
        return ThreadId(self.entry.stream.removeprefix("thread:"))

    @property
    def seq(self) -> int:
        """Its number in the stream."""
        return self.entry.seq

    @property
    def kind(self) -> str:
        """PROTOCOL's `kind` of a thread_event, or `chorus_response`."""
        return self.entry.kind if self.entry.type == "thread_event" else "chorus_response"

    @property
    def by(self) -> PublicKey | None:
        """Whose doing it is; None is the system itself."""
        return self.entry.by

    @property
    def author(self) -> PublicKey | None:
        """Of the hidden content: sees it, co-author or not."""
        return self.entry.restricted_to

    @cached_property
    def left(self) -> PublicKey | None:
        """Who left the thread by this entry, or was removed."""
        if self.entry.kind not in _OF_WHO_GOES:
            return None
        key = self.entry.data.get("public_key")
        return PublicKey(key) if isinstance(key, str) else None

    @cached_property
    def invited(self) -> PublicKey | None:
        """Whose invitation this entry is about."""
        if self.entry.kind not in _OF_INVITATIONS:
            return None
        view = views.InvitationView.model_validate(self.entry.data["invitation"])
        return view.public_key

    @cached_property
    def inboxes(self) -> frozenset[PublicKey]:
        """Whose inbox it changes, but for the invited user's."""
        if self.entry.type != "thread_event":
            return frozenset()
        message, removal = self.entry.data.get("message"), self.entry.data.get("removal")
        branch = self.entry.data.get("branch")
        return inboxes_changed(
            frames.ThreadEventKind(self.entry.kind),
            self.entry.by,
            None if message is None else views.MessageView.model_validate(message),
            None if removal is None else views.RemovalView.model_validate(removal),
            None if branch is None else views.BranchView.model_validate(branch),
        )

    def notice_for(self, reader: PublicKey, *, inbox: bool = False) -> str:
        """The notice of the entry; who is invited, or is no more, gets one of the invitation.

        Args:
            inbox: whether the reader's inbox may have changed since the last notice.
        """
        if reader == self.invited:
            return self._notice_of_invitation
        return self._notice_of_inbox if inbox else self._notice

    @cached_property
    def _notice_of_invitation(self) -> str:
        """The frame for who is invited, or is no more: nothing of the thread but its id."""
        made = self.entry.kind == frames.ThreadEventKind.CO_AUTHOR_INVITED.value
        data = frames.NoticeData(
            thread_id=self.thread_id,
            head_seq=0,
            kind="invited" if made else "invitation_ended",
            inbox=True,
        )
        return encode_server_frame(frames.NoticeFrame(data=data))

    @cached_property
    def _notice(self) -> str:
        """The frame for co-authors who do not follow the thread; of a busy one few are sent."""
        return self._encode_notice(inbox=False)

    @cached_property
    def _notice_of_inbox(self) -> str:
        """The same, for those whose inbox may have changed."""
        return self._encode_notice(inbox=True)

    def _encode_notice(self, *, inbox: bool) -> str:
        data = frames.NoticeData.model_validate(
            {
                "thread_id": self.thread_id,
                "head_seq": self.seq,
                "kind": self.kind,
                "inbox": inbox,
            }
        )
        return encode_server_frame(frames.NoticeFrame(data=data))

    @property
    def full(self) -> str:
        """The frame with everything."""
        return self._texts[0]

    @property
    def redacted(self) -> str:
        """For those who may read the thread, and not what is not approved in it."""
        return self._texts[1]

    @property
    def rendered_characters(self) -> int:
        """Code points of Markdown that encoding it renders."""
        match self.entry.data.get("message"):
            case views.MessageView(role=Role.CHORUS, content=str(content)) | {
                "role": Role.CHORUS,
                "content": str(content),
            }:
                return len(content)
            case _:
                return 0

    @property
    def effort(self) -> int:
        """What encoding it takes, in code points of text."""
        texts = [self.entry.data.get("text"), self.entry.data.get("partial")]
        match self.entry.data.get("message"):
            case views.MessageView(content=content) | {"content": content}:
                texts.append(content)
            case _:
                pass
        return _EFFORT_OF_AN_ENTRY + sum(len(text) for text in texts if isinstance(text, str))

    @cached_property
    def _texts(self) -> tuple[str, str]:
        return _encode_both(self.entry, self.thread_id)

    @property
    def is_same_for_all(self) -> bool:
        """Whether all who may read the thread get the same frame."""
        return self.full is self.redacted

    def encode(self) -> "LiveEntry":
        """Encode it now, in whatever thread this is: rendering long answers takes its time."""
        self._texts  # noqa: B018 - it keeps them
        return self

    def text_for(self, reader: PublicKey, thread: Thread) -> str:
        """The frame that this person may see now."""
        if reader in thread.co_authors or reader == self.author or reader == self.left:
            return self.full
        return self.redacted


def _encode_both(entry: JournalEntry, thread_id: ThreadId) -> tuple[str, str]:
    """The frame with everything, and the one without what is not approved."""
    transitions = [each.model_dump(mode="json") for each in entry.transitions]
    data: dict[str, object] = {"at": entry.at} | entry.data | {"transitions": transitions}
    message = data.get("message")
    redacted_data = data
    # The `message` of a failed run is a sentence; every other one is a message of the thread.
    if message is not None and not isinstance(message, str):
        view = _with_html(views.MessageView.model_validate(message))
        data = data | {"message": view}
        redacted_data = data | {"message": without_content(view)}
    full = _encode(entry, thread_id, data)
    if _is_of_a_branch(entry):
        return full, _encode_withheld(entry, thread_id)
    if "branch" in data:
        return full, _encode(entry, thread_id, {**redacted_data, "branch": None})
    if entry.restricted_to is None:
        return full, full
    if redacted_data is data:
        raise AssertionError(f"entry {entry.seq} of {entry.stream} hides a message that it lacks")
    return full, _encode(entry, thread_id, redacted_data)


def _is_of_a_branch(entry: JournalEntry) -> bool:
    """Whether it tells of a forked run, or of its branch before that is adopted."""
    if entry.type == "chorus_response":
        return entry.data.get("branch_id") is not None
    return entry.kind in OF_BRANCHES


def _encode_withheld(entry: JournalEntry, thread_id: ThreadId) -> str:
    """What an outsider gets of an entry that is not theirs: its number and its time."""
    data = frames.ThreadEventData(kind=frames.ThreadEventKind.ENTRY_WITHHELD, at=entry.at, by=None)
    frame = frames.ThreadEventFrame(thread_id=thread_id, seq=entry.seq, data=data)
    return encode_server_frame(frame)


def waiting_notice(thread_id: ThreadId, head_seq: int, message: str) -> str:
    """The frame which says that a run of the thread waits until the journal takes entries.

    Args:
        head_seq: the last entry that its reader was sent.
        message: why, in a sentence.
    """
    data = frames.NoticeData(
        thread_id=thread_id, head_seq=head_seq, kind="storage_unavailable", message=message
    )
    return encode_server_frame(frames.NoticeFrame(data=data))


def read_notice(thread_id: ThreadId, seq: int) -> str:
    """The frame which says that its reader has read a thread up to an entry."""
    data = frames.NoticeData(thread_id=thread_id, head_seq=seq, kind="read", inbox=True)
    return encode_server_frame(frames.NoticeFrame(data=data))


def hidden_notice(thread_id: ThreadId, message_id: MessageId | None, *, hidden: bool) -> str:
    """The frame which says that its reader hid a thread, or a message of it, or shows it again."""
    data = frames.NoticeData(
        thread_id=thread_id, head_seq=0, kind="hidden", hidden=hidden, message_id=message_id
    )
    return encode_server_frame(frames.NoticeFrame(data=data))


def present_message(message: Message, reader: PublicKey, thread: Thread) -> views.MessageView:
    """A message as this person may see it now."""
    view = _with_html(message_view(message))
    if reader in thread.co_authors or reader == message.author:
        return view
    return without_content(view)


def _with_html(view: views.MessageView) -> views.MessageView:
    if view.role is not Role.CHORUS or view.content is None:
        return view
    return view.model_copy(update={"html": render_markdown(view.content)})


def _encode(entry: JournalEntry, thread_id: ThreadId, data: dict[str, object]) -> str:
    frame = {
        "type": entry.type,
        "re": None,
        "thread_id": thread_id,
        "seq": entry.seq,
        "data": data,
    }
    return within_bound(to_json(frame).decode())
