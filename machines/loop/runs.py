"""A run as a value: how it begins, and which fields stand for which states of the chart."""

from collections.abc import Mapping
from datetime import datetime
from itertools import product
from types import MappingProxyType
from typing import Final

from machines.models.chorus import (
    BACKOFF_BASE_MS,
    CONTEXT_TOKENS,
    ChorusEvent,
    ChorusState,
    Health,
    LoopMode,
    Prefix,
    RunStatus,
)
from machines.models.ids import BranchId, MessageId, PublicKey, RunId, ThreadId
from machines.models.outputs import STATE_OF_STEP, StepEnum
from machines.statechart import Configuration

_FIELDS: Final[Mapping[Configuration, Mapping[str, object]]] = MappingProxyType(
    {(status.value,): {"status": status} for status in RunStatus if status != RunStatus.RUNNING}
    | {
        (STATE_OF_STEP[step], health.value): {
            "status": RunStatus.RUNNING,
            "current_step": step,
            "health": health,
        }
        for step, health in product(StepEnum, Health)
    }
)
"""What a run's fields hold in each configuration of the chart."""

_CONFIGURATIONS: Final[Mapping[object, Configuration]] = MappingProxyType(
    {tuple(fields.values()): configuration for configuration, fields in _FIELDS.items()}
)


def states_of(run: ChorusState) -> Configuration:
    """The innermost states of the chart that a run is in."""
    if run.status is RunStatus.RUNNING:
        return _CONFIGURATIONS[run.status, run.current_step, run.health]
    return _CONFIGURATIONS[run.status,]


def place(run: ChorusState, event: ChorusEvent, states: Configuration) -> ChorusState:
    """The run as it stands in these states, one version later."""
    return run.transition_to(event.at, **_FIELDS[states])


def create_initial_state(
    *,
    run_id: RunId,
    thread_id: ThreadId,
    message_id: MessageId,
    answer_id: MessageId,
    requested_by: PublicKey,
    prompt: str,
    at: datetime,
    max_iterations: int,
    max_attempts: int,
    loop: LoopMode = LoopMode.FULL,
    backoff_base_ms: int = BACKOFF_BASE_MS,
    context_tokens: int = CONTEXT_TOKENS,
    branch_id: BranchId | None = None,
    prefix: Prefix | None = None,
) -> ChorusState:
    """A run that waits in its thread's queue; next: fire `RunStarted`.

    Args:
        branch_id, prefix: Of a run that is forked from another.
    """
    return ChorusState(
        id=run_id,
        thread_id=thread_id,
        message_id=message_id,
        answer_id=answer_id,
        requested_by=requested_by,
        prompt=prompt,
        query=prompt,
        loop=loop,
        max_iterations=max_iterations,
        max_attempts=max_attempts,
        backoff_base_ms=backoff_base_ms,
        context_tokens=context_tokens,
        branch_id=branch_id,
        prefix=prefix,
        created_at=at,
        updated_at=at,
    )
