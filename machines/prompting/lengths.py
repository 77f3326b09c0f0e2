"""Lengths: how many tokens the answer to a step may have, as a pure function of the run's state.

A limit ends an answer that would not end by itself; it does not shape one that does, so it leaves
several times the room that answers of its step take, as far as the run's context has it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from machines.models.chorus import ChorusState
from machines.models.outputs import StepEnum
from machines.prompting.shares import answer_room

STEP_TOKENS: Final[Mapping[StepEnum, int]] = MappingProxyType(
    {
        StepEnum.ACTION: 4_096,
        StepEnum.EXPERIENCE: 4_096,
        StepEnum.INTENTION: 2_048,
        StepEnum.OBSERVATION: 4_096,
        StepEnum.UPDATE: 2_048,
        StepEnum.YIELD: 8_192,
    }
)
"""Of the first attempt."""

MAX_DOUBLINGS: Final = 3


class AnswerLimit(NamedTuple):
    """Tokens that a model may write."""

    answer: int
    thoughts: int
    """Besides, where the model thinks before it answers: endpoints count both against one limit."""


def answer_limit(state: ChorusState, request_tokens: int) -> AnswerLimit:
    """What the model may write for the state's current step, behind a request of so many tokens.

    Each failed attempt doubles it: an answer that was cut off needs more, and one that failed for
    another reason loses nothing. Of the context that the request leaves, a quarter stays free, since
    its tokens are estimated; what the shares keep for the answer is there in any case.
    """
    left = (state.context_tokens - request_tokens) * 3 // 4
    room = max(answer_room(state.context_tokens), left)
    wanted = STEP_TOKENS[state.current_step] << min(state.failures, MAX_DOUBLINGS)
    answer = max(min(wanted, room), 1)
    return AnswerLimit(answer, max(min(answer, room - answer), 0))
