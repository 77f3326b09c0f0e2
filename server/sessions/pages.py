"""Pages of replies, each ended where the next item would make its frame too large (`server.wire.bounds`).

Values only: what is asked of the journal, and who may read it, is known to `server.sessions.requests`.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from pydantic import BaseModel

from machines.decisions.views import (
    branch_view,
    inbox_item,
    invitation_summary,
    invitation_view,
    link_view,
    removal_view,
    run_view,
    thread_summary,
    thread_view,
)
from machines.models.chorus import ChorusState
from machines.models.ids import PublicKey
from machines.models.journal import DecisionView
from machines.models.limits import MAX_SERVER_FRAME_BYTES
from machines.models.message import Message
from machines.models.thread import Thread
from machines.models.user_thread import UserThread
from machines.models.wire import views
from machines.models.wire.frames import (
    ThreadMessagesData,
    ThreadMessagesFrame,
)
from server.wire.bounds import ENVELOPE_BYTES, size_of
from server.wire.presenter import present_message
from storage.journal.answers import InboxPage, InvitationPage, MessagePage, ThreadPage

FRAME_ROOM = MAX_SERVER_FRAME_BYTES - ENVELOPE_BYTES
"""Bytes for the items of a page."""

INVITATIONS_ROOM = 65_536
"""Bytes of `init` for invitations."""

V = TypeVar("V", bound=BaseModel)


def first_that_fit(values: Iterable[V], room: int = FRAME_ROOM) -> tuple[V, ...]:
    """The first of some values, as many as `room` bytes hold; at least one. Asks for one more at most."""
    shown: list[V] = []
    for value in values:
        room -= size_of(value)
        if room < 0 and shown:
            break
        shown.append(value)
    return tuple(shown)


def threads_that_fit(
    page: ThreadPage, room: int = FRAME_ROOM
) -> tuple[tuple[views.ThreadSummary, ...], str | None]:
    """The threads of a page, and the cursor of what is left out or follows."""
    rows = page.rows
    shown = first_that_fit((thread_summary(row.thread, row.head_seq) for row in rows), room)
    return shown, page.next if len(shown) == len(rows) else rows[len(shown) - 1].cursor


def invitations_that_fit(
    page: InvitationPage, room: int = FRAME_ROOM
) -> tuple[tuple[views.InvitationSummary, ...], str | None]:
    """The invitations of a page, and the cursor of what is left out or follows."""
    rows = page.rows
    shown = first_that_fit(
        (invitation_summary(row.invitation, row.thread_name, row.invited_by_name) for row in rows),
        room,
    )
    return shown, page.next if len(shown) == len(rows) else rows[len(shown) - 1].cursor


def inbox_that_fits(
    page: InboxPage, names: Mapping[PublicKey, str], room: int = FRAME_ROOM
) -> tuple[tuple[views.InboxItem, ...], str | None]:
    """The items of a page, and the cursor of what is left out or follows."""
    rows = page.rows
    shown = first_that_fit(
        (
            inbox_item(row.about, row.thread_name, names, seq=row.seq, read_seq=row.read_seq)
            for row in rows
        ),
        room,
    )
    return shown, page.next if len(shown) == len(rows) else rows[len(shown) - 1].cursor


class RunSoFar(NamedTuple):
    """A live run, and what the attempt under way has streamed so far."""

    run: ChorusState
    text: str
    rendered: tuple[views.RenderedText, ...]
    thoughts: str


def snapshot_that_fits(
    view: DecisionView,
    page: MessagePage,
    runs: tuple[RunSoFar, ...],
    names: Mapping[PublicKey, str],
    reader: PublicKey,
    kept: UserThread | None,
) -> ThreadMessagesFrame:
    """A thread and the newest messages of a page as `reader` may see them, who `kept` this of the
    thread. Renders Markdown."""
    thread = thread_view(view.thread)
    insider = reader in view.thread.co_authors
    live = tuple(run_view(*each) for each in runs if insider or each.run.branch_id is None)
    invitations = tuple(map(invitation_view, view.invitations))
    links = tuple(map(link_view, view.links))
    removals = tuple(map(removal_view, view.removals))
    branches = tuple(map(branch_view, view.branches)) if insider else ()
    beside = (*live, *invitations, *links, *removals, *branches)
    room = FRAME_ROOM - size_of(thread) - sum(map(size_of, beside))
    hidden = frozenset(kept.hidden_messages if kept is not None else ())
    room -= sum(len(each.id) + len('"",') for each in page.messages if each.id in hidden)
    messages = newest_that_fit(page.messages, reader, view.thread, room)
    people = [each.author for each in messages if each.author is not None]
    people += view.thread.co_authors
    return ThreadMessagesFrame(
        data=ThreadMessagesData(
            thread=thread,
            names=names_that_fit(names, people, room - sum(map(size_of, messages))),
            messages=messages,
            head_seq=view.head_seq,
            has_more=page.has_more or len(messages) < len(page.messages),
            runs=live,
            invitations=invitations,
            links=links,
            removals=removals,
            branches=branches,
            hidden=kept is not None and kept.hidden,
            hidden_messages=tuple(each.id for each in messages if each.id in hidden),
        )
    )


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
