"""Which step a request of the loop asks for, as a model that sees nothing but its text can tell."""

import re
from typing import Final

from machines.models.outputs import StepEnum

_STEP: Final = re.compile(r"^Step: ([a-z]+)$", re.MULTILINE)


def step_asked(prompt: str) -> StepEnum:
    """The step, from the `user` message of `build_ai_call`.

    Raises ValueError for any other text. The instruction stands last, so no quotation can forge it.
    """
    asked = _STEP.findall(prompt)
    if not asked:
        raise ValueError("this is no request of the Chorus loop")
    return StepEnum(asked[-1])
