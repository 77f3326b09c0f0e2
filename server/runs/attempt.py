"""The name of an attempt of a run: of the call of a model, or of what another server tells of one."""

from typing import Protocol

from machines.models.ids import BranchId, MessageId, RunId, ThreadId
from machines.models.outputs import StepEnum


class Attempt(Protocol):
    """One attempt of one step in one iteration."""

    @property
    def thread_id(self) -> ThreadId: ...

    @property
    def run_id(self) -> RunId: ...

    @property
    def message_id(self) -> MessageId:
        """Of the prompt."""

    @property
    def branch_id(self) -> BranchId | None:
        """Of a forked run: what it writes is for co-authors alone."""

    @property
    def step(self) -> StepEnum: ...

    @property
    def iteration(self) -> int: ...

    @property
    def attempt(self) -> int: ...
