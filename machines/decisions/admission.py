"""How a key becomes a co-author of a thread, and how many may."""

from machines.decisions.changes import Change
from machines.decisions.unit_of_work import Draft
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey, RunId
from machines.models.invitation import AuthorAdmitted
from machines.models.limits import MAX_CO_AUTHORS
from machines.models.message import Message
from machines.models.thread import JoinCoAuthor
from machines.models.wire.frames import ThreadEventKind


def require_place_for_co_author(draft: Draft) -> None:
    """Entries name every co-author, so a thread without end of them would grow by their square.

    Raises RequestRefused: too_large.
    """
    waiting = len(draft.pending) + len(draft.invitations)
    if len(draft.thread.co_authors) + waiting >= MAX_CO_AUTHORS:
        raise RequestRefused(
            ErrorCode.TOO_LARGE, f"A thread has at most {MAX_CO_AUTHORS} co-authors."
        )


def admit(draft: Draft, message: Message, by: PublicKey | None) -> RunId:
    """An approved message: say so with the run that it starts, let its author in, and run it."""
    run, running = draft.create_run(message)
    draft.tell(ThreadEventKind.MESSAGE_APPROVED, Change(), message=running, run_id=run.id, by=by)
    if message.author is not None and message.author not in draft.thread.co_authors:
        _let_in(draft, message.author)
    draft.queue_run(run, running)
    return run.id


def _let_in(draft: Draft, author: PublicKey) -> None:
    """Approval makes the author a co-author, whose invitation has nothing left to say."""
    joined = draft.change_thread(JoinCoAuthor(at=draft.at, actor=None, public_key=author))
    invitation = draft.invitation_of(author)
    if invitation is not None:
        event = AuthorAdmitted(at=draft.at, public_key=author)
        invitation, accepted = draft.change_invitation(invitation, event)
        joined += accepted
    draft.tell(
        ThreadEventKind.CO_AUTHOR_JOINED,
        joined,
        public_key=author,
        thread=draft.thread,
        invitation=invitation,
        by=None,
    )
