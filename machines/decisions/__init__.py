"""Decisions: what a command does to a thread, and what a frame does to a connection.

A decision fires charts and gathers what follows as one batch or a list of effects. Here are also
the replay of a value from its entries, which code of today gives another answer there, what explains each
of its transitions, the rehearsal of a run before another chart leads it on, and the views of stored values. What a single transition may
do is the chart's to say, not this package's; nothing is performed or stored here.
"""

__all__ = [
    "admission",
    "answers",
    "branches",
    "changes",
    "connections",
    "explanation",
    "facts",
    "forks",
    "inbox",
    "invitations",
    "leaving",
    "links",
    "mentions",
    "messages",
    "moves",
    "recomputation",
    "rehearsal",
    "removals",
    "replay",
    "rights",
    "runs",
    "succession",
    "threads",
    "unit_of_work",
    "views",
]
