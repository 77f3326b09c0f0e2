"""Invite links outside of their thread: their secrets, and what one says to who was given it.

A secret is kept nowhere: the journal has its hash. It is derived from the token of its maker's session,
whose 256 random bits the server knows only while the session is connected, and from the id of the request
that asks for the link. So the same request, sent again in that session, is told the same secret, also
after a restart. In another session nobody can tell it any more: there that request is `conflict`.
"""

import hmac
from base64 import urlsafe_b64encode
from typing import Final

from machines.decisions.connections import hash_token
from machines.decisions.links import no_such_link
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey, RequestId, ThreadId
from machines.models.invite_link import InviteLink, InviteLinkStatus
from machines.models.wire.frames import (
    InviteLinkData,
    InviteLinkFrame,
)
from machines.models.wire.views import NewInviteLink
from server.environment import Environment
from storage.journal.port import Journal

SECRET_BYTES: Final = 24
"""Of a secret, which is 32 characters in the URL-safe alphabet of base64."""


def secret_for(token: str, request_id: RequestId) -> str:
    """The secret of the link that a request asks for, made in the session of `token`."""
    digest = hmac.digest(token.encode(), f"invite link {request_id}".encode(), "sha256")
    return urlsafe_b64encode(digest[:SECRET_BYTES]).decode()


class InviteLinks:
    """Finds links by their secrets."""

    def __init__(self, environment: Environment, journal: Journal) -> None:
        self._environment = environment
        self._journal = journal

    async def made_by(self, token: str, request_id: RequestId) -> NewInviteLink:
        """The link that a request of the session made, with its secret.

        Raises:
            RequestRefused: `conflict`, where another session made it.
            JournalError: the journal cannot be asked.
        """
        secret = secret_for(token, request_id)
        link = await self._journal.link_of_secret(hash_token(secret))
        if link is None:
            raise RequestRefused(
                ErrorCode.CONFLICT,
                "The link was made in another session, and its address can be told no more: take it"
                " back, and make another.",
            )
        return NewInviteLink(id=link.id, secret=secret, expires_at=link.expires_at)

    async def thread_of(self, secret_hash: str) -> ThreadId:
        """The thread that an open link leads into. Raises RequestRefused: not_found."""
        return (await self._open_link(secret_hash)).thread_id

    async def view(self, secret: str, caller: PublicKey) -> InviteLinkFrame:
        """What a link leads to, for who was given it. Raises RequestRefused: not_found."""
        link = await self._open_link(hash_token(secret))
        thread = await self._journal.thread(link.thread_id)
        if thread is None:
            raise no_such_link()
        names = await self._journal.names((link.made_by,))
        return InviteLinkFrame(
            data=InviteLinkData(
                thread_name=thread.name,
                invited_by=link.made_by,
                invited_by_name=names.get(link.made_by),
                expires_at=link.expires_at,
                thread_id=thread.id if caller in thread.co_authors else None,
            )
        )

    async def _open_link(self, secret_hash: str) -> InviteLink:
        link = await self._journal.link_of_secret(secret_hash)
        if link is None or link.status is not InviteLinkStatus.OPEN:
            raise no_such_link()
        # The timer that ends it may be late.
        if link.expires_at <= self._environment.now():
            raise no_such_link()
        return link
