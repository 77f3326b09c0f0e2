"""What the server tells of a run while it goes on: `chorus_response`, and the shapes of its `data`.

`step_delta` and `step_thinking` are passing: they have no `seq` and are kept nowhere.
"""

from typing import Annotated, Literal

from pydantic import Field

from machines.models.errors import ErrorCode
from machines.models.ids import BranchId, MessageId, PublicKey, RunId
from machines.models.outputs import (
    Flag,
    Omittable,
    Prior,
    StepEnum,
    StepOutput,
    Timestamp,
    Usage,
    Value,
)
from machines.models.wire.envelope import ServerFrame
from machines.models.wire.views import (
    MessageView,
    RenderedText,
    TransitionView,
)


class RunFrameData(Value):
    """What every `chorus_response` says."""

    run_id: RunId
    message_id: MessageId
    """The prompt that the run answers."""
    branch_id: Omittable[BranchId] = None
    """Of a forked run: its frames are for co-authors alone, and its answer is no message yet."""
    step: StepEnum
    iteration: Annotated[int, Field(ge=1)]
    attempt: Annotated[int, Field(ge=1)]
    at: Omittable[Timestamp] = None
    """When it happened; left out of what passes."""
    transitions: tuple[TransitionView, ...] = ()


class RunQueuedData(RunFrameData):
    """The run waits for its thread to be free."""

    status: Literal["queued"] = "queued"


class StepStartedData(RunFrameData):
    """A step, or a new attempt of it, began. Experience says it again once its priors are in."""

    status: Literal["started"] = "started"
    priors: Omittable[tuple[Prior, ...]] = None
    """With experience, once the search has answered."""
    memory_available: Omittable[bool] = None
    """With `priors`; false where they could not be searched."""


class StepDeltaData(RunFrameData):
    """Partial text; passing, never in the journal."""

    status: Literal["delta"] = "delta"
    offset: Annotated[int, Field(ge=0)]
    """Code points of the attempt's text before this."""
    text: str
    rendered: Omittable[tuple[RenderedText, ...]] = None
    """With yield alone, and then `text` is empty: the end of the text so far as HTML. It takes the
    place of every part rendered before that does not end before its first."""


class StepThinkingData(RunFrameData):
    """What the model thinks aloud before it answers; passing, never in the journal or in an answer."""

    status: Literal["thinking"] = "thinking"
    offset: Annotated[int, Field(ge=0)]
    """Code points of the attempt's thoughts before this."""
    text: str


class StepCompletedData(RunFrameData):
    """A step has its output."""

    status: Literal["completed"] = "completed"
    text: str
    """What a person reads; for action and yield exactly the deltas of this attempt."""
    output: StepOutput
    priors: Omittable[tuple[Prior, ...]] = None
    """With the step that searched the memory alone: experience, or yield in a short loop."""
    memory_available: Omittable[bool] = None
    """With the same step alone: False where memory could not be searched."""
    usage: Usage | None
    """None is unknown, which is not zero."""
    cut: Flag = False
    """True where the text ended at its length limit; with action and yield alone."""


class StepRecoveringData(RunFrameData):
    """An attempt failed and another follows; nothing of it feeds a later step."""

    status: Literal["recovering"] = "recovering"
    code: ErrorCode
    message: Omittable[str] = None
    retry_in_ms: Annotated[int, Field(ge=0)]
    partial: Omittable[str] = None


class RunFinishedData(RunFrameData):
    """The run has its answer."""

    status: Literal["finished"] = "finished"
    message_id_of_answer: MessageId
    message: MessageView


class RunFailedData(RunFrameData):
    """The run ended without an answer; `retry_run` begins another."""

    status: Literal["failed"] = "failed"
    code: ErrorCode
    message: str
    partial: Omittable[str] = None


class RunCancelledData(RunFrameData):
    """The run was stopped."""

    status: Literal["cancelled"] = "cancelled"
    by: PublicKey | None
    """None for the system, e.g. when the thread is archived."""
    partial: Omittable[str] = None
    """Text of the attempt that was under way; it is no answer."""


ChorusResponseData = Annotated[
    RunQueuedData
    | StepStartedData
    | StepDeltaData
    | StepThinkingData
    | StepCompletedData
    | StepRecoveringData
    | RunFinishedData
    | RunFailedData
    | RunCancelledData,
    Field(discriminator="status"),
]
"""What a run tells its thread, told apart by `status`."""


class ChorusResponseFrame(ServerFrame):
    """A run goes on. With `seq` it is a journal entry, without it is a passing delta."""

    type: Literal["chorus_response"] = "chorus_response"
    data: ChorusResponseData
