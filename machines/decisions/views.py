"""From stored values to the shapes of the wire, and what of them a reader outside the thread may see.

Pure conversions. Rendering Markdown and encoding frames are the server's.
"""

from collections.abc import Mapping
from typing import assert_never

from machines.models.branch import Branch
from machines.models.chorus import ChorusState, Health, RunStatus, StepCompleted
from machines.models.domain import User
from machines.models.ids import PublicKey
from machines.models.invitation import Invitation
from machines.models.invite_link import InviteLink
from machines.models.limits import MAX_EXCERPT_LENGTH
from machines.models.message import Message, MessageStatus
from machines.models.outputs import Prior
from machines.models.removal import Removal
from machines.models.thread import Thread
from machines.models.wire import views


def thread_view(thread: Thread) -> views.ThreadView:
    """A thread as `thread_messages` and `thread_event` show it."""
    return views.ThreadView.model_validate(thread, from_attributes=True)


def settings_view(thread: Thread) -> views.ThreadSettingsView:
    """What the co-authors of a thread set for its runs."""
    return views.ThreadSettingsView(instructions=thread.instructions, model=thread.model)


def thread_summary(thread: Thread, head_seq: int) -> views.ThreadSummary:
    """A thread as a list of threads shows it."""
    return views.ThreadSummary(**vars(thread), head_seq=head_seq)


def invitation_view(invitation: Invitation) -> views.InvitationView:
    """An invitation as the thread's readers see it."""
    return views.InvitationView(
        id=invitation.id,
        public_key=invitation.public_key,
        invited_by=invitation.invited_by,
        status=invitation.status,
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
    )


def link_view(link: InviteLink) -> views.InviteLinkView:
    """A link as the thread's readers see it, without what its secret could be found by."""
    return views.InviteLinkView(
        id=link.id,
        made_by=link.made_by,
        status=link.status,
        created_at=link.created_at,
        expires_at=link.expires_at,
    )


def removal_view(removal: Removal) -> views.RemovalView:
    """A vote on whether a co-author stays."""
    return views.RemovalView(
        id=removal.id,
        public_key=removal.public_key,
        proposed_by=removal.proposed_by,
        status=removal.status,
        electors=removal.electors,
        votes=tuple(
            views.RemovalVoteView(co_author=vote.co_author, decision=vote.decision, at=vote.at)
            for vote in removal.votes
        ),
        created_at=removal.created_at,
        expires_at=removal.expires_at,
    )


def branch_view(branch: Branch) -> views.BranchView:
    """A branch as the thread's co-authors see it."""
    return views.BranchView(
        id=branch.id,
        message_id=branch.message_id,
        run_id=branch.run_id,
        origin_run_id=branch.origin.run_id,
        generation=branch.generation,
        step=branch.origin.step,
        iteration=branch.origin.iteration,
        change=branch.change,
        made_by=branch.made_by,
        status=branch.status,
        proposed_by=branch.proposed_by,
        electors=branch.electors,
        votes=tuple(
            views.BranchVoteView(co_author=vote.co_author, decision=vote.decision, at=vote.at)
            for vote in branch.votes
        ),
        created_at=branch.created_at,
        expires_at=branch.expires_at,
    )


def invitation_summary(
    invitation: Invitation, thread_name: str, invited_by_name: str | None
) -> views.InvitationSummary:
    """An invitation as the invited user sees it."""
    return views.InvitationSummary(
        thread_id=invitation.thread_id,
        thread_name=thread_name,
        invited_by=invitation.invited_by,
        invited_by_name=invited_by_name,
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
    )


def inbox_item(
    about: Message | Removal | Invitation | Branch,
    thread_name: str,
    names: Mapping[PublicKey, str],
    *,
    seq: int,
    read_seq: int,
) -> views.InboxItem:
    """What awaits a user's answer, or an approved message that mentions them.

    Args:
        seq: Number of the entry that approved the message.
        read_seq: Number of the last entry of the thread that the user has read.
    """
    match about:
        case Message():
            by = about.author
            more: dict[str, object] = {"message_id": about.id, "excerpt": _excerpt(about.content)}
            if about.status is MessageStatus.PENDING:
                more |= {"kind": "vote", "expires_at": about.expires_at}
            else:
                more |= {"kind": "mention", "seq": seq, "unread": seq > read_seq}
        case Removal():
            by, named = about.proposed_by, about.public_key
            more = {"kind": "removal", "expires_at": about.expires_at}
            more |= {"public_key": named, "name": names.get(named)}
        case Invitation():
            by = about.invited_by
            more = {"kind": "invitation", "expires_at": about.expires_at}
        case Branch():
            by = about.proposed_by
            more = {"kind": "branch", "expires_at": about.expires_at}
            more |= {"branch_id": about.id, "message_id": about.message_id}
        case _:
            assert_never(about)
    return views.InboxItem.model_validate(
        {
            **more,
            "thread_id": about.thread_id,
            "thread_name": thread_name,
            "by": by,
            "by_name": None if by is None else names.get(by),
            "at": about.created_at,
        }
    )


def _excerpt(content: str) -> str:
    if len(content) <= MAX_EXCERPT_LENGTH:
        return content
    return content[: MAX_EXCERPT_LENGTH - 1] + "…"


def message_view(message: Message) -> views.MessageView:
    """A message with all its content, for those who may see it."""
    return views.MessageView.model_validate(message, from_attributes=True)


def without_content(message: views.MessageView) -> views.MessageView:
    """The same message for a reader who may know of it, and not what it says.

    Content that is not approved, and the reasons of its votes, are for the co-authors and its
    author alone.
    """
    if message.status.was_approved:
        return message
    votes = tuple(vote.model_copy(update={"reason": None}) for vote in message.approvals)
    return message.model_copy(
        update={"content": None, "html": None, "approvals": votes, "mentions": ()}
    )


def user_view(user: User) -> views.UserView:
    """A user as `init` shows them."""
    return views.UserView.model_validate(user, from_attributes=True)


def step_view(done: StepCompleted, priors: tuple[Prior, ...] | None = None) -> views.StepView:
    """A completed step, with the priors that it searched for."""
    return views.StepView(**vars(done), priors=priors)


def run_view(
    run: ChorusState,
    text: str,
    rendered: tuple[views.RenderedText, ...] = (),
    thoughts: str = "",
) -> views.RunView:
    """A live run; `text` and `thoughts` are what the attempt under way has streamed so far,
    `rendered` is the text as HTML."""
    if run.status is RunStatus.QUEUED:
        status = "queued"
    else:
        status = "recovering" if run.health is Health.RECOVERING else "running"
    return views.RunView.model_validate(
        {
            "run_id": run.id,
            "message_id": run.message_id,
            "branch_id": run.branch_id,
            "status": status,
            "step": run.current_step,
            "iteration": run.iteration,
            "attempt": run.attempt,
            "text": text,
            "rendered": rendered or None,
            "thinking": thoughts or None,
            "outputs": tuple(
                step_view(done, run.priors if done.step is run.searches_in else None)
                for done in run.steps
            ),
        }
    )
