"""How a key becomes a co-author of a thread, and how many may."""

from machines.decisions.changes import Change
from machines.decisions.unit_of_work import Draft
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey, RunId
from machines.models.invitation import AuthorAdmitted, Invitation
from machines.models.invite_link import InviteLink
from machines.models.limits import MAX_CO_AUTHORS
from machines.models.message import Message
from machines.models.thread import JoinCoAuthor
from machines.models.wire.frames import ThreadEventKind


def require_place_for_co_author(draft: Draft) -> None:
    """Entries name every co-author, so a thread without end of them would grow by their square.

    Raises RequestRefused: too_large.
    """
    waiting = len(draft.pending) + len(draft.invitations) + len(draft.links)
    if len(draft.thread.co_authors) + waiting >= MAX_CO_AUTHORS:
        raise RequestRefused(
            ErrorCode.TOO_LARGE, f"A thread has at most {MAX_CO_AUTHORS} co-authors."
        )


def admit(draft: Draft, message: Message, by: PublicKey | None) -> RunId:
    """An approved message: say so with the run that it starts, let its author in, and run it."""
    run, running = draft.create_run(message)
    draft.tell(ThreadEventKind.MESSAGE_APPROVED, Change(), message=running, run_id=run.id, by=by)
    if message.author is not None and message.author not in draft.thread.co_authors:
        let_in(draft, message.author, Change(), by=None)
    draft.queue_run(run, running)
    return run.id


def let_in(
    draft: Draft,
    newcomer: PublicKey,
    change: Change,
    *,
    invitation: Invitation | None = None,
    link: InviteLink | None = None,
    by: PublicKey | None,
) -> None:
    """Make a user a co-author, in one entry with `change`.

    Args:
        invitation, link: What was accepted by `change`. An invitation that is open all the same has
            nothing left to say.
    """
    change += draft.change_thread(JoinCoAuthor(at=draft.at, actor=None, public_key=newcomer))
    waiting = draft.invitation_of(newcomer)
    if waiting is not None:
        event = AuthorAdmitted(at=draft.at, public_key=newcomer)
        invitation, accepted = draft.change_invitation(waiting, event)
        change += accepted
    draft.tell(
        ThreadEventKind.CO_AUTHOR_JOINED,
        change,
        public_key=newcomer,
        thread=draft.thread,
        invitation=invitation,
        link=link,
        by=by,
    )
