"""The reply to `compare_runs`: two runs of a thread, and where their texts differ."""

from typing import Annotated, Literal

from pydantic import Field

from machines.models.fork import ChangeKind
from machines.models.ids import MessageId, RunId
from machines.models.outputs import Omittable, OmittableText, StepEnum, Value
from machines.models.wire.envelope import ServerFrame
from machines.models.wire.views import BranchView, StepView


class ChangeView(Value):
    """What a fork changed."""

    kind: ChangeKind
    text: Omittable[str] = None
    """The new text; empty for no instructions."""
    model: Omittable[str] = None
    """In place of `text`, where the model was changed."""


class OriginView(Value):
    """Where a run was forked."""

    run_id: RunId
    step: StepEnum
    iteration: int
    change: ChangeView


class RunPath(Value):
    """One of two runs: what it was asked, what it gave, and the way that it took."""

    run_id: RunId
    message_id: MessageId
    """The prompt."""
    status: Literal["queued", "running", "finished", "failed", "cancelled"]
    branch: Omittable[BranchView] = None
    """Of a forked run."""
    origin: Omittable[OriginView] = None
    """Likewise."""
    prompt: str
    instructions: OmittableText = ""
    model: Omittable[str] = None
    """The model that it asks, where that is not the server's own."""
    steps: tuple[StepView, ...]
    """Completed ones of all iterations, in order; a forked run's begin with those that it kept. The
    last of them where the frame does not hold all."""
    edges: tuple[str, ...]
    """What it took of `/diagrams/chorus.svg`, in order, with its origin's up to the fork; the first
    `MAX_WAY`."""


class Span(Value):
    """A part of two texts."""

    kind: Literal["same", "removed", "added"]
    """`same` in both, `removed` in the one alone, `added` in the other alone."""
    length: Annotated[int, Field(ge=1)]
    """Code points."""


class StepDifference(Value):
    """A step that both runs completed, of one iteration."""

    step: StepEnum
    iteration: int
    kept: bool
    """Whether it is one step, which the fork kept or both kept of a third run."""
    spans: tuple[Span, ...]
    """Both texts, from their beginnings; one `same` where they do not differ."""


class ComparisonData(Value):
    one: RunPath
    other: RunPath
    common_edges: int
    """So many edges at the beginning of both ways are of the one same run."""
    steps: tuple[StepDifference, ...]
    """Of the steps that both completed, in order."""
    answers: Omittable[tuple[Span, ...]] = None
    """Of the texts of the last steps, where both runs have their answers."""


class ComparisonFrame(ServerFrame):
    """Two runs of a thread side by side. Where it is `shortened`, spans may reach beyond a text's end."""

    type: Literal["comparison"] = "comparison"
    data: ComparisonData
