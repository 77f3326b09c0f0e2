"""From journal entries to encoded live frames: each encoded once per audience, not per follower.

A thread's frames have two audiences: those who may see everything, and those who get the same frame
without content that is not approved. Where nothing is hidden, both share one text.
"""

from dataclasses import dataclass

from pydantic_core import to_json

from machines.models import server_frames as frames
from machines.models import shapes
from machines.models.domain import Message, Role, Thread
from machines.models.ids import PublicKey, ThreadId
from machines.models.journal import JournalEntry
from machines.views import message_view, without_content
from server.markdown import render_markdown


@dataclass(frozen=True, slots=True)
class LiveEntry:
    """One journal entry of a thread, as frames."""

    thread_id: ThreadId
    seq: int
    kind: str
    """PROTOCOL's `kind` of a thread_event, or `chorus_response`."""
    full: str
    redacted: str
    """For those who may read the thread, and not what is not approved in it."""
    author: PublicKey | None
    """Of the hidden content: sees it, co-author or not."""
    left: PublicKey | None = None
    """Who left the thread by this entry."""

    def text_for(self, reader: PublicKey, thread: Thread) -> str:
        """The frame that this person may see now."""
        if reader in thread.co_authors or reader == self.author or reader == self.left:
            return self.full
        return self.redacted


def live_entry(entry: JournalEntry) -> LiveEntry:
    """The frames of a journal entry of a thread."""
    thread_id = ThreadId(entry.stream.removeprefix("thread:"))
    data = entry.data | {
        "transitions": [each.model_dump(mode="json") for each in entry.transitions]
    }
    message = data.get("message")
    redacted_data = data
    if isinstance(message, dict):
        view = _with_html(shapes.MessageView.model_validate(message))
        data = data | {"message": view}
        redacted_data = data | {"message": without_content(view)}
    full = _encode(entry, thread_id, data)
    hides = entry.restricted_to is not None
    return LiveEntry(
        thread_id=thread_id,
        seq=entry.seq,
        kind=entry.kind if entry.type == "thread_event" else "chorus_response",
        full=full,
        redacted=_encode(entry, thread_id, redacted_data) if hides else full,
        author=entry.restricted_to,
        left=_left(entry),
    )


def present_message(message: Message, reader: PublicKey, thread: Thread) -> shapes.MessageView:
    """A message as this person may see it now."""
    view = _with_html(message_view(message))
    if reader in thread.co_authors or reader == message.author:
        return view
    return without_content(view)


def _with_html(view: shapes.MessageView) -> shapes.MessageView:
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
    return to_json(frame).decode()


def _left(entry: JournalEntry) -> PublicKey | None:
    if entry.kind != frames.ThreadEventKind.CO_AUTHOR_LEFT.value:
        return None
    key = entry.data.get("public_key")
    return PublicKey(key) if isinstance(key, str) else None
