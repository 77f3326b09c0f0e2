"""Frozen pydantic values that every package shares.

Values and their own sanity only: no machine, no IO. `machines.models.wire` has those of the wire
protocol.
"""

__all__ = [
    "blank",
    "branch",
    "breaker",
    "chorus",
    "commands",
    "connection",
    "domain",
    "effects",
    "errors",
    "fork",
    "heat",
    "ids",
    "invitation",
    "invite_link",
    "journal",
    "keys",
    "lease",
    "limits",
    "mention",
    "message",
    "outputs",
    "removal",
    "retry_after",
    "thread",
    "user_thread",
    "wire",
]
