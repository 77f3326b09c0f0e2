"""A request that waits for its reply, and what its reply means to the client. Values only."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from server.chat.frames import ErrorReply, Frame

RESENDABLE = frozenset(
    {
        "create_thread",
        "submit_prompt",
        "cancel_run",
        "retry_run",
        "fork_run",
        "propose_adoption",
        "vote_on_branch",
        "discard_branch",
        "approve_message",
        "reject_message",
        "withdraw_message",
        "invite_co_author",
        "accept_invitation",
        "decline_invitation",
        "revoke_invitation",
        "create_invite_link",
        "revoke_invite_link",
        "accept_invite_link",
        "propose_removal",
        "vote_on_removal",
        "withdraw_removal",
        "leave_co_authorship",
        "rename_thread",
        "configure_thread",
        "archive_thread",
        "mark_read",
        "hide_thread",
        "hide_message",
        "set_presence",
        "set_name",
    }
)
"""Requests that are sent again under the same id."""

READS = frozenset({"get_thread", "list_threads", "get_inbox", "compare_runs", "search"})
"""Requests that are made again by themselves where the server names a time."""

READ_ATTEMPTS = 5
"""Of one read, before its refusal is told."""


class Purpose(Enum):
    """What the reply to a request means to the client itself."""

    PLAIN = auto()
    FOLLOW = auto()
    """A caller opens a thread."""
    CATCH_UP = auto()
    """After a resume: go on from the last `seq` told."""
    REOPEN = auto()
    """Catching up was refused: begin again from a snapshot."""


@dataclass(frozen=True)
class Pending:
    """A request without its reply."""

    id: str
    type: str
    data: Mapping[str, object]
    purpose: Purpose
    reply: asyncio.Future[Frame] | None
    """None where the client itself asked."""
    attempt: int = 1

    def is_due_later(self, refusal: ErrorReply) -> bool:
        """Whether it is a read that the server refuses only for now."""
        return (
            refusal.retry_after_ms is not None
            and self.type in READS
            and self.attempt < READ_ATTEMPTS
        )

    def encode(self) -> str:
        frame = {"type": self.type, "id": self.id, "data": self.data}
        return json.dumps(frame, ensure_ascii=False)
