"""The lists of `list_threads`: a user's own threads, the public ones, and what they are invited into."""

from typing import assert_never

from machines.models.ids import PublicKey
from machines.models.wire.frames import ThreadsData, ThreadsFrame
from machines.models.wire.requests import ListThreadsData
from server.sessions.pages import invitations_that_fit, threads_that_fit
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
            page = await journal.threads_of(caller, after=wanted.after, limit=wanted.limit)
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
