"""Requests about who is a co-author of a thread: invitations, links, removals, leaving."""

from typing import Literal

from machines.models.wire.request_base import MutatingRequest, Request
from machines.models.wire.request_data import (
    CoAuthorRef,
    CreateInviteLinkData,
    InviteCoAuthorData,
    InviteLinkRef,
    RevokeInvitationData,
    RevokeInviteLinkData,
    ThreadRef,
    VoteOnRemovalData,
)


class InviteCoAuthorRequest(MutatingRequest):
    """Ask a key in: it is a co-author once it accepts."""

    type: Literal["invite_co_author"] = "invite_co_author"
    data: InviteCoAuthorData


class AcceptInvitationRequest(MutatingRequest):
    """Become a co-author of the thread that one is invited into."""

    type: Literal["accept_invitation"] = "accept_invitation"
    data: ThreadRef


class DeclineInvitationRequest(MutatingRequest):
    """Stay outside of the thread that one is invited into."""

    type: Literal["decline_invitation"] = "decline_invitation"
    data: ThreadRef


class RevokeInvitationRequest(MutatingRequest):
    """Take the open invitation of a key back."""

    type: Literal["revoke_invitation"] = "revoke_invitation"
    data: RevokeInvitationData


class CreateInviteLinkRequest(MutatingRequest):
    """Make an address that lets one user in, whoever it is given to."""

    type: Literal["create_invite_link"] = "create_invite_link"
    data: CreateInviteLinkData


class RevokeInviteLinkRequest(MutatingRequest):
    """Take an open link back."""

    type: Literal["revoke_invite_link"] = "revoke_invite_link"
    data: RevokeInviteLinkData


class ViewInviteLinkRequest(Request):
    """Ask what a link leads to, and who invites."""

    reply = "invite_link"
    type: Literal["view_invite_link"] = "view_invite_link"
    data: InviteLinkRef


class AcceptInviteLinkRequest(MutatingRequest):
    """Become a co-author by a link."""

    type: Literal["accept_invite_link"] = "accept_invite_link"
    data: InviteLinkRef


class ProposeRemovalRequest(MutatingRequest):
    """Let all the others vote on whether a co-author stays; it is one's own vote too."""

    type: Literal["propose_removal"] = "propose_removal"
    data: CoAuthorRef


class VoteOnRemovalRequest(MutatingRequest):
    """Let a co-author go, or keep them."""

    type: Literal["vote_on_removal"] = "vote_on_removal"
    data: VoteOnRemovalData


class WithdrawRemovalRequest(MutatingRequest):
    """Take one's own proposal back."""

    type: Literal["withdraw_removal"] = "withdraw_removal"
    data: CoAuthorRef


class LeaveCoAuthorshipRequest(MutatingRequest):
    """Be a co-author no more."""

    type: Literal["leave_co_authorship"] = "leave_co_authorship"
    data: ThreadRef
