"""Identifiers: one `NewType` for each thing that has a name.

Only names live here. Ids are made at the boundary and passed in; nothing below it invents one.
"""

from typing import Final, NewType

ThreadId = NewType("ThreadId", str)
"""UUID string of a thread."""

MessageId = NewType("MessageId", str)
"""UUID string of a message."""

RunId = NewType("RunId", str)
"""UUID string of one run of the Chorus loop."""

InvitationId = NewType("InvitationId", str)
"""UUID string of an invitation of a key into a thread."""

RemovalId = NewType("RemovalId", str)
"""UUID string of a vote on whether a co-author stays."""

BranchId = NewType("BranchId", str)
"""UUID string of a branch: what becomes of a run that was forked from another."""

InviteLinkId = NewType("InviteLinkId", str)
"""UUID string of a link that lets one user into a thread."""

UserId = NewType("UserId", str)
"""UUID string of a user's row; users are addressed by their `PublicKey`."""

PublicKey = NewType("PublicKey", str)
"""Base58 of the 32 bytes of an ed25519 public key: the name of a person everywhere."""

RequestId = NewType("RequestId", str)
"""The client's own id of a request, 1-64 of `A-Z a-z 0-9 _ - . :`."""

ClientId = NewType("ClientId", str)
"""UUID string of one client session (one connection chart instance)."""

TimerId = NewType("TimerId", str)
"""What a timer is for, e.g. `retry:<run_id>`; setting the same id again moves the timer."""

StreamId = NewType("StreamId", str)
"""A journal stream: `thread:<ThreadId>` or `user:<PublicKey>`."""

ServerId = NewType("ServerId", str)
"""UUID string of one server among those that share a store; new at each start."""

PointId = NewType("PointId", str)
"""UUID string of a point in the vector store, derived by uuid5 from what it stands for."""

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def thread_stream(thread_id: ThreadId) -> StreamId:
    """The stream that holds everything that happened in a thread."""
    return StreamId(f"thread:{thread_id}")


def user_stream(public_key: PublicKey) -> StreamId:
    """The stream that holds what a user did outside any thread."""
    return StreamId(f"user:{public_key}")


SESSION_PREFIX: Final = "session:"


def session_stream(token_hash: str) -> StreamId:
    """Names a session to other processes; no entry is in it."""
    return StreamId(f"{SESSION_PREFIX}{token_hash}")
