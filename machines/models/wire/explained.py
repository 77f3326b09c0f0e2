"""What explains a run on the wire: each of its transitions with the guards that were asked, and what it
brought.

Values only; `machines.decisions.explanation` makes them.
"""

from typing import Annotated, Literal

from pydantic import Field

from machines.models.ids import RunId
from machines.models.outputs import Flag, Omittable, OmittableText, Timestamp, Value
from machines.models.wire.views import TransitionView

Fact = bool | int | float | str

Milliseconds = Annotated[int, Field(ge=0)]

Judged = Literal["executed", "recorded", "declared", "unknown", "contradicted"]
"""How it is known what the guards of a transition said: today's machine was given the event again; the entry
records it, and it follows from the declaration that wrote it; by that declaration alone, which does not say
what the guards before the edge said; not at all; or today's machine, or that declaration, says something
else than the entry."""


class GuardView(Value):
    """A guard of an edge."""

    name: str
    expected: bool
    """What it must say for the edge to be taken."""
    value: bool | None
    """What it said; None where it was not asked, or that is not recorded."""


class TriedEdgeView(Value):
    """An edge that the event could have taken."""

    edge: str
    """The `id` of its element in `/diagrams/{machine}.svg`."""
    target: str
    verdict: Literal["taken", "passed_over", "not_tried", "not_recorded"]
    """Of those that are not taken: a guard did not hold, an edge before it was taken, or it was passed
    over by an earlier version, which did not record why."""
    guards: tuple[GuardView, ...]


class EffectView(Value):
    """An effect that a transition emitted."""

    effect: str
    brought: Omittable[str] = None
    """The event that it came back as, in the entry `seq`, after so many milliseconds."""
    seq: Omittable[int] = None
    after_ms: Omittable[Milliseconds] = None


class ExplainedTransition(Value):
    """Why one transition was taken, and what came of it."""

    seq: int
    at: Timestamp
    after_ms: Milliseconds
    """Since the transition before it, or since the run came to be."""
    transition: TransitionView
    facts: dict[str, Fact]
    """What matters of the event: its short fields, tokens, and how many there are of what it lists."""
    is_declared: bool
    """False where no declaration of the machine as it was is known: then `edges` is empty."""
    judged: Judged
    edges: tuple[TriedEdgeView, ...]
    """In the order in which they are tried."""
    effects: tuple[EffectView, ...]


class AskedWith(Value):
    """What a run was asked with: its prompt, and the instructions and the model that its thread had then."""

    prompt: str
    instructions: OmittableText = ""
    model: Omittable[str] = None
    """The model that it asks, where that is not the server's own."""


class ExplanationData(Value):
    created_seq: int
    created_at: Timestamp
    transitions: tuple[ExplainedTransition, ...]
    """In their order; of a run also those of what it moved with it."""
    meanings: dict[str, str]
    """By name: when each guard holds."""
    has_more: Flag = False
    """Whether more follow than one frame holds; ask again with the last `seq` as `after_seq`."""


class RunExplanationData(ExplanationData):
    run_id: RunId
    asked_with: Omittable[AskedWith] = None
    """For co-authors alone, and once it has started."""


class ValueExplanationData(ExplanationData):
    value_id: str
    """Of the message, invitation, link, removal, branch or run."""
