"""Shares: how the context of a run is divided between what its requests hold.

Each part has its own share, so that a part which grows never moves what stands before it. Pure functions
of the run's context and its thread's instructions.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from machines.prompting.instructions import HEADING, body_of
from machines.prompting.quoting import UNITS_PER_TOKEN, units

PRIORS_SENT: Final = 12
"""Priors in one request, at most; more of them cost more than they add."""

FRESH_PRIORS: Final = 4
"""Places of `PRIORS_SENT` that the newest search has for itself, however many were selected."""

_ANSWER_TOKENS: Final = 4_000
"""The context that is left for an answer, at most; of a small context a sixth."""

_OWN_TOKENS: Final = 700
"""What the system text and the longest instruction take."""

_INSTRUCTIONS_PER_CENT: Final = 15
"""Of what is left, for the co-authors' instructions at most. With the usual context the longest are
sent whole, in any script. What they do not take is the material's."""

_THREAD_PER_CENT: Final = 18
_REQUEST_PER_CENT: Final = 36
_PRIORS_PER_CENT: Final = 20
_RECORDS_PER_CENT: Final = 25
"""Shares of what is left for material. With the usual context the longest prompt of Latin letters is
sent whole."""

LEAST_WORTH_QUOTING: Final = 60 * UNITS_PER_TOKEN
"""Units: a message of the thread that would be clipped to less is left out."""

MARK_UNITS: Final = units("x" * 40)
"""Units, at most, that the mark of a quotation takes."""

_LEAST_PRIOR: Final = MARK_UNITS + LEAST_WORTH_QUOTING


class Shares(NamedTuple):
    """How a context is divided, in units of `machines.prompting.quoting`."""

    instructions: int
    """At most; the others are what is left by those that the thread has."""
    thread: int
    request: int
    priors: int
    records: int

    @property
    def priors_sent(self) -> int:
        """How many priors a request shows, so that each keeps enough to be worth it."""
        return min(PRIORS_SENT, max(self.priors // _LEAST_PRIOR, 1))

    @property
    def fresh_priors(self) -> int:
        """Places among them that the newest search has for itself, however many were selected."""
        return max(self.priors_sent * FRESH_PRIORS // PRIORS_SENT, 1)


def answer_room(context_tokens: int) -> int:
    """Tokens of a context that are left for the answer."""
    return min(context_tokens // 6, _ANSWER_TOKENS)


@lru_cache(maxsize=64)
def shares_of(context_tokens: int, instructions: str = "") -> Shares:
    """What each part of a request may take, beside the instructions that the thread has."""
    left = context_tokens - answer_room(context_tokens) - _OWN_TOKENS
    room = max(left, context_tokens // 4) * UNITS_PER_TOKEN
    most = _INSTRUCTIONS_PER_CENT * room // 100
    if instructions:
        room -= min(units(body_of(instructions)), most) + units(HEADING)
    units_of_one = max(room, 0) // 100
    return Shares(
        instructions=most,
        thread=_THREAD_PER_CENT * units_of_one,
        request=_REQUEST_PER_CENT * units_of_one,
        priors=_PRIORS_PER_CENT * units_of_one,
        records=_RECORDS_PER_CENT * units_of_one,
    )
