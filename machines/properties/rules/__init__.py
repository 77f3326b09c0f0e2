"""The rules that hold of Chorus, by theme: messages, runs, threads, who comes into them and goes,
branches, connections, leases, and what several machines do together. `all_rules` has them all.

A rule says what is promised, in the words of the promise; it does not repeat an edge or a guard. Of a
value it reads only what tells two values of a space apart (`key_of` of `tests.machines.transitions.spaces`),
or the event: a search keeps one value for each key.
"""

from machines.properties.form import Rule
from machines.properties.rules import (
    branches,
    connections,
    leases,
    membership,
    messages,
    runs,
    threads,
    together,
)

__all__ = [
    "all_rules",
    "branches",
    "connections",
    "leases",
    "membership",
    "messages",
    "runs",
    "threads",
    "together",
]


def all_rules() -> tuple[Rule, ...]:
    """Every rule, by theme; those of several machines last."""
    return (
        *messages.RULES,
        *runs.RULES,
        *threads.RULES,
        *membership.RULES,
        *branches.RULES,
        *connections.RULES,
        *leases.RULES,
        *together.RULES,
    )
