"""Pages of replies, each ended where the next item would make its frame too large (`server.wire.bounds`).

Values only: what is asked of the journal, and who may read it, is known to `server.sessions.requests`.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel

from machines.decisions.views import invitation_summary, thread_summary
from machines.models.ids import PublicKey
from machines.models.limits import MAX_SERVER_FRAME_BYTES
from machines.models.message import Message
from machines.models.thread import Thread
from machines.models.wire import views
from server.wire.bounds import ENVELOPE_BYTES, fitting, size_of
from server.wire.presenter import present_message
from storage.journal.port import InvitationPage, ThreadPage

FRAME_ROOM = MAX_SERVER_FRAME_BYTES - ENVELOPE_BYTES
"""Bytes for the items of a page."""

INVITATIONS_ROOM = 65_536
"""Bytes of `init` for invitations."""

V = TypeVar("V", bound=BaseModel)


def first_that_fit(values: tuple[V, ...], room: int = FRAME_ROOM) -> tuple[V, ...]:
    """The first of some values, as many as `room` bytes hold; at least one."""
    return values[: fitting(map(size_of, values), room)]


def threads_that_fit(
    page: ThreadPage, room: int = FRAME_ROOM
) -> tuple[tuple[views.ThreadSummary, ...], str | None]:
    """The threads of a page, and the cursor of what is left out or follows."""
    rows = page.rows
    shown = first_that_fit(tuple(thread_summary(row.thread, row.head_seq) for row in rows), room)
    return shown, page.next if len(shown) == len(rows) else rows[len(shown) - 1].cursor


def invitations_that_fit(
    page: InvitationPage, room: int = FRAME_ROOM
) -> tuple[tuple[views.InvitationSummary, ...], str | None]:
    """The invitations of a page, and the cursor of what is left out or follows."""
    rows = page.rows
    shown = first_that_fit(
        tuple(
            invitation_summary(row.invitation, row.thread_name, row.invited_by_name) for row in rows
        ),
        room,
    )
    return shown, page.next if len(shown) == len(rows) else rows[len(shown) - 1].cursor


def newest_that_fit(
    messages: tuple[Message, ...], reader: PublicKey, thread: Thread, room: int
) -> tuple[views.MessageView, ...]:
    """The newest messages of a page as `reader` may see them; at least one. Renders Markdown."""
    shown: list[views.MessageView] = []
    for message in reversed(messages):
        view = present_message(message, reader, thread)
        room -= size_of(view)
        if room < 0 and shown:
            break
        shown.append(view)
    return tuple(reversed(shown))


def names_that_fit(
    names: Mapping[PublicKey, str], keys: Iterable[PublicKey], room: int
) -> dict[PublicKey, str]:
    """Names of the first of `keys`, each once: what has no place is shown by its key."""
    shown: dict[PublicKey, str] = {}
    for key in dict.fromkeys(keys):
        if key not in names:
            continue
        # A name has no control character, so that JSON at most doubles what is not four bytes already.
        room -= len(key) + 4 * len(names[key]) + len('"":"",')
        if room < 0:
            break
        shown[key] = names[key]
    return shown
