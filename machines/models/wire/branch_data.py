"""What stands in the `data` of requests about forked runs and their branches; `requests` has the frames."""

from typing import Annotated, Literal

from pydantic import Field

from machines.models.fork import Change, ChangeKind
from machines.models.outputs import StepEnum
from machines.models.wire.fields import BranchIdText, Instructions, ModelName, Prompt, RunIdText
from machines.models.wire.request_data import RequestData, RunRef, ThreadRef


class TextChange(RequestData):
    """Another text of the step, or another prompt."""

    kind: Literal["step_text", "prompt"]
    text: Prompt

    def value(self) -> Change:
        """The change as a command has it."""
        return Change(kind=ChangeKind(self.kind), text=self.text)


class InstructionsChange(RequestData):
    """Other instructions than those of the thread's co-authors."""

    kind: Literal["instructions"]
    text: Instructions
    """Blank for none."""

    def value(self) -> Change:
        """The change as a command has it."""
        return Change(kind=ChangeKind.INSTRUCTIONS, text=self.text)


class ModelChange(RequestData):
    """Another model."""

    kind: Literal["model"]
    model: ModelName
    """One of `models` of `hello`."""

    def value(self) -> Change:
        """The change as a command has it."""
        return Change(kind=ChangeKind.MODEL, text=self.model)


class ForkRunData(RunRef):
    step: Annotated[StepEnum, Field(strict=False)]
    """A completed one."""
    iteration: Annotated[int, Field(ge=1)] = 1
    change: Annotated[TextChange | InstructionsChange | ModelChange, Field(discriminator="kind")]


class BranchRef(ThreadRef):
    """A request about a branch of a thread."""

    branch_id: BranchIdText


class VoteOnBranchData(BranchRef):
    decision: Literal["approve", "reject"]


class CompareRunsData(RunRef):
    other_run_id: RunIdText
