"""Where a run was forked from another, and what was changed there. Values only."""

from enum import StrEnum

from machines.models.domain import Frozen
from machines.models.ids import BranchId, RunId
from machines.models.outputs import StepEnum, Value


class ChangeKind(StrEnum):
    """What a fork changes; the rest stays as it was in the run that it leaves."""

    STEP_TEXT = "step_text"
    PROMPT = "prompt"
    MODEL = "model"
    INSTRUCTIONS = "instructions"


class Change(Frozen):
    """The one thing that a fork changes."""

    kind: ChangeKind
    text: str
    """The step's or the prompt's new text, the instructions (empty for none), or the model's name."""


class ForkPoint(Frozen):
    """A completed step of a run."""

    run_id: RunId
    step: StepEnum
    iteration: int


class ForkMark(Value):
    """Of an answer that was adopted: where it comes from."""

    branch_id: BranchId
    run_id: RunId
    """The run that it left."""
    step: StepEnum
    iteration: int
    change: ChangeKind
