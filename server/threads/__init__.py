"""Threads under their locks: a command is decided, made durable, and published to the followers.

What a command does is decided in `machines.decisions.threads`. No socket is known here: followers
are called, and bring their frames out themselves. What other servers commit is brought to them too.
"""

__all__ = [
    "attendance",
    "broadcast",
    "connections",
    "counting",
    "moments",
    "named",
    "passing_rights",
    "presence",
    "publishing",
    "relay",
    "rooms",
    "service",
    "tails",
]
