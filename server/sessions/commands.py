"""What each mutating request asks of a thread: the command that it becomes."""

from collections.abc import Callable
from functools import partial

from machines.decisions.connections import hash_token
from machines.models import commands
from machines.models.commands import ThreadCommand
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey
from machines.models.message import Decision
from machines.models.removal import RemovalDecision
from machines.models.wire import membership_requests, requests
from machines.models.wire.request_base import MutatingRequest
from server.sessions.links import secret_for
from server.sessions.signatures import can_sign


def command_of(message: MutatingRequest, token: str) -> Callable[..., ThreadCommand]:
    """What makes the command of a request, given the fields that every command begins with.

    Args:
        token: Of the session, of which the secret of a link is made.

    Raises:
        RequestRefused: the request names a key that cannot sign (invalid_field).
    """
    match message:
        case requests.SubmitPromptRequest(data=data):
            return partial(commands.SubmitMessage, content=data.prompt, supersedes=data.supersedes)
        case requests.CancelRunRequest(data=data):
            return partial(commands.StopRun, run_id=data.run_id)
        case requests.RetryRunRequest(data=data):
            return partial(commands.RetryRun, run_id=data.run_id)
        case requests.ApproveMessageRequest(data=data):
            return partial(commands.Vote, message_id=data.message_id, decision=Decision.APPROVE)
        case requests.RejectMessageRequest(data=data):
            return partial(
                commands.Vote,
                message_id=data.message_id,
                decision=Decision.REJECT,
                reason=data.reason,
            )
        case requests.WithdrawMessageRequest(data=data):
            return partial(commands.Withdraw, message_id=data.message_id)
        case membership_requests.InviteCoAuthorRequest(data=data):
            _require_signing_key(data.public_key)
            return partial(commands.Invite, public_key=data.public_key)
        case membership_requests.AcceptInvitationRequest():
            return commands.AcceptInvitation
        case membership_requests.DeclineInvitationRequest():
            return commands.DeclineInvitation
        case membership_requests.RevokeInvitationRequest(data=data):
            return partial(commands.RevokeInvitation, public_key=data.public_key)
        case membership_requests.CreateInviteLinkRequest(data=data):
            secret_hash = hash_token(secret_for(token, message.id))
            return partial(commands.MakeLink, secret_hash=secret_hash, hours=data.expires_in_hours)
        case membership_requests.RevokeInviteLinkRequest(data=data):
            return partial(commands.RevokeLink, link_id=data.link_id)
        case membership_requests.ProposeRemovalRequest(data=data):
            return partial(commands.ProposeRemoval, public_key=data.public_key)
        case membership_requests.VoteOnRemovalRequest(data=data):
            return partial(
                commands.VoteOnRemoval,
                public_key=data.public_key,
                decision=RemovalDecision(data.decision),
            )
        case membership_requests.WithdrawRemovalRequest(data=data):
            return partial(commands.WithdrawRemoval, public_key=data.public_key)
        case membership_requests.LeaveCoAuthorshipRequest():
            return commands.LeaveCoAuthorship
        case requests.RenameThreadRequest(data=data):
            return partial(commands.Rename, name=data.name)
        case requests.ForkRunRequest(data=data):
            return partial(
                commands.ForkRun,
                run_id=data.run_id,
                step=data.step,
                iteration=data.iteration,
                change=data.change.value(),
            )
        case requests.ProposeAdoptionRequest(data=data):
            return partial(commands.ProposeAdoption, branch_id=data.branch_id)
        case requests.VoteOnBranchRequest(data=data):
            decision = Decision(data.decision)
            return partial(commands.VoteOnBranch, branch_id=data.branch_id, decision=decision)
        case requests.DiscardBranchRequest(data=data):
            return partial(commands.DiscardBranch, branch_id=data.branch_id)
        case requests.ConfigureThreadRequest(data=data):
            return partial(commands.Configure, instructions=data.instructions, model=data.model)
        case requests.ArchiveThreadRequest():
            return commands.Archive
        case membership_requests.AcceptInviteLinkRequest(data=data):
            return partial(commands.UseLink, secret_hash=hash_token(data.secret))
        case _:
            raise AssertionError(f"{type(message).__name__} is no command to a thread")


def _require_signing_key(public_key: PublicKey) -> None:
    """A co-author who can never vote would hold up every vote of the thread for good."""
    if not can_sign(public_key):
        problem = "is no key that can sign"
        raise RequestRefused(
            ErrorCode.INVALID_FIELD,
            f"The field public_key {problem}.",
            details={"field": "public_key", "problem": problem},
        )
