"""What is listed for a user: the threads of `list_threads`, their inbox, and whom they know."""

from typing import assert_never

from machines.models.branch import Branch
from machines.models.ids import PublicKey
from machines.models.invitation import Invitation
from machines.models.limits import MAX_PAGE, MAX_PEOPLE, MAX_SHARED_THREADS_NAMED
from machines.models.message import Message
from machines.models.removal import Removal
from machines.models.wire.frames import (
    InboxData,
    InboxFrame,
    PeopleData,
    PeopleFrame,
    ThreadsData,
    ThreadsFrame,
)
from machines.models.wire.request_data import (
    GetInboxData,
    ListThreadsData,
)
from machines.models.wire.views import PersonView
from server.sessions.pages import (
    first_that_fit,
    inbox_that_fits,
    invitations_that_fit,
    threads_that_fit,
)
from storage.journal.answers import InboxPage
from storage.journal.port import Journal


async def list_threads(
    journal: Journal, wanted: ListThreadsData, caller: PublicKey
) -> ThreadsFrame:
    """A page of a list.

    Raises:
        RequestRefused: `after` is no cursor of this list (INVALID_FIELD).
        JournalError: the journal cannot be asked.
    """
    match wanted.scope:
        case "mine":
            page = await journal.threads_of(
                caller, after=wanted.after, limit=wanted.limit, hidden=wanted.hidden
            )
        case "public":
            page = await journal.public_threads(after=wanted.after, limit=wanted.limit)
        case "invited":
            asked = await journal.invitations_of(caller, after=wanted.after, limit=wanted.limit)
            invitations, further = invitations_that_fit(asked)
            return ThreadsFrame(data=ThreadsData(threads=(), invitations=invitations, next=further))
        case _:
            assert_never(wanted.scope)
    threads, further = threads_that_fit(page)
    return ThreadsFrame(data=ThreadsData(threads=threads, next=further))


async def inbox(journal: Journal, wanted: GetInboxData, caller: PublicKey) -> InboxFrame:
    """A page of what awaits a user's answer, and of where they are mentioned. Raises as `list_threads`."""
    page = await journal.inbox_of(caller, after=wanted.after, limit=wanted.limit)
    names = await journal.names(_people_of(page))
    items, further = inbox_that_fits(page, names)
    return InboxFrame(data=InboxData(items=items, count=page.count, next=further))


def _people_of(page: InboxPage) -> frozenset[PublicKey]:
    people: set[PublicKey] = set()
    for row in page.rows:
        match row.about:
            case Message(author=author):
                people |= {author} if author is not None else set()
            case Branch(proposed_by=asker):
                people |= {asker} if asker is not None else set()
            case Removal(public_key=named, proposed_by=proposer):
                people |= {named, proposer}
            case Invitation(invited_by=inviter):
                people.add(inviter)
            case _:
                assert_never(row.about)
    return frozenset(people)


async def list_people(journal: Journal, caller: PublicKey) -> PeopleFrame:
    """Those with whom `caller` co-authors one of the threads that changed last.

    Raises JournalError where the journal cannot be asked.
    """
    page = await journal.threads_of(caller, after=None, limit=MAX_PAGE)
    shared: dict[PublicKey, list[str]] = {}
    for row in page.rows:
        for key in row.thread.co_authors:
            if key != caller and (key in shared or len(shared) < MAX_PEOPLE):
                shared.setdefault(key, []).append(row.thread.name)
    names = await journal.names(shared)
    people = tuple(
        PersonView(
            public_key=key,
            name=names.get(key),
            threads=tuple(threads[:MAX_SHARED_THREADS_NAMED]),
            thread_count=len(threads),
        )
        for key, threads in shared.items()
    )
    return PeopleFrame(data=PeopleData(people=first_that_fit(people)))
