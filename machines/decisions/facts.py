"""What an explanation tells of an event: the fields that are declared here, and no other. Pure.

An explanation is told to all who may read the thread, whatever else they may see of it. So a field is
told only where `TOLD` names it; `WITHHELD` names the others, and says with that that they were thought of.
A test holds both to the events.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from machines.models.journal import Fired
from machines.models.outputs import ActionOutput, UpdateOutput, Usage
from machines.models.wire.explained import Fact

TOLD: Final = frozenset(
    {
        # where a run stood, and what it went on with
        "attempt",
        "available",
        "context_exceeded",
        "context_tokens",
        "cut",
        "declared",
        "iteration",
        "links",
        "messages",
        "model",
        "outcome",
        "output",
        "priors",
        "stands",
        "step",
        "thread_is_busy",
        "usage",
        "version",
        # what failed; `message` is a sentence of the server
        "code",
        "message",
        "retry_after_ms",
        "retryable",
        "wait_ms",
        # who did it, to whom, and who was there
        "actor",
        "author_is_co_author",
        "by",
        "by_co_author",
        "co_authors",
        "elector",
        "invited",
        "inviter",
        "leaver",
        "named",
        "public_key",
        "voter",
        # what else decided
        "amount",
        "expires_at",
        "newest",
        "successor",
        "thread_archived",
    }
)
"""Fields of events, by name. Of what they list an explanation tells how many there are; of an output what
the next step depends on."""

WITHHELD: Final = frozenset(
    {
        # told beside the facts, or of no use
        "at",
        "event",
        "jitter",
        "run_id",
        # written by users or models
        "cause",
        "instructions",
        "name",
        "partial",
        "reason",
        "text",
    }
)
"""Fields of events that an explanation does not tell, by name."""

_LONGEST: Final = 200
"""Code points of a fact."""


def facts_of(fired: Fired) -> Iterator[tuple[str, Fact]]:
    """What matters of an event, as far as it is told."""
    for name, value in fired.event:
        if name not in TOLD:
            continue
        match value:
            case bool() | int() | float():
                yield name, value
            case str() if 0 < len(value) <= _LONGEST:
                yield name, str(value)
            case datetime():
                yield name, value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            case tuple():
                yield name, len(value)
            case Usage():
                yield "tokens", value.total_tokens
            case ActionOutput():
                yield "enough", value.enough
            case UpdateOutput():
                yield "loop", value.loop
            case _:
                pass
