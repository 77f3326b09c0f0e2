"""Pages of replies, each ended where the next item would make its frame too large (`server.wire.bounds`).

Values only: what is asked of the journal, and who may read it, is known to `server.sessions.requests`.
"""

from collections.abc import Iterable, Mapping, Sequence
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
from server.wire.bounds import ENVELOPE_BYTES, fitting, least_size_of, size_of
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
    *,
    now: Thread | None = None,
) -> ThreadMessagesFrame:
    """A thread and the newest messages of a page as `reader` may see them, who `kept` this of the
    thread. Renders Markdown.

    Args:
        now: the thread as it is, where `view` is of its past: rights are those of today.
    """
    thread = thread_view(view.thread)
    entitling = now or view.thread
    insider = reader in entitling.co_authors
    invitations = tuple(map(invitation_view, view.invitations))
    links = tuple(map(link_view, view.links))
    removals = tuple(map(removal_view, view.removals))
    branches = tuple(map(branch_view, view.branches)) if insider else ()
    beside = sum(map(size_of, (*invitations, *links, *removals, *branches)))
    hidden = frozenset(kept.hidden_messages if kept is not None else ())
    beside += sum(len(each.id) + len('"",') for each in page.messages if each.id in hidden)
    asked = tuple(run_view(*each) for each in runs if insider or each.run.branch_id is None)
    room = FRAME_ROOM - size_of(thread) - beside - sum(map(size_of, asked))
    messages = newest_that_fit(page.messages, reader, entitling, room)
    room -= sum(map(size_of, messages))
    live = asked
    if room < 0:
        least = least_size_of(thread) + beside + sum(map(least_size_of, messages))
        live = runs_that_fit(asked, FRAME_ROOM - least)
    people = [each.author for each in messages if each.author is not None]
    people += view.thread.co_authors
    return ThreadMessagesFrame(
        shortened=True if live != asked else None,
        data=ThreadMessagesData(
            thread=thread,
            names=names_that_fit(names, people, room),
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
        ),
    )


def runs_that_fit(runs: tuple[views.RunView, ...], room: int) -> tuple[views.RunView, ...]:
    """The first of some runs, with as many of their last steps as `room` bytes hold once texts are cut;
    at least one run."""
    shown: list[views.RunView] = []
    for run in runs:
        bare = run.model_copy(update={"outputs": ()})
        if least_size_of(bare) > room:
            # The parts of a text that is rendered have no end; the text says the same.
            bare = bare.model_copy(update={"rendered": None})
        room -= least_size_of(bare)
        if room < 0 and shown:
            break
        count = fitting_last(run.outputs, room)
        outputs = run.outputs[len(run.outputs) - count :]
        room -= sum(map(least_size_of, outputs))
        shown.append(bare.model_copy(update={"outputs": outputs}))
    return tuple(shown)


def fitting_last(steps: Sequence[views.StepView], room: int) -> int:
    """How many of the last steps fit into `room` bytes, once their texts are cut."""
    sizes = tuple(map(least_size_of, reversed(steps)))
    count = fitting(sizes, room)
    return count if sum(sizes[:count]) <= room else 0


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
