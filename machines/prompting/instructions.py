"""A thread's own instructions: how a request says what its co-authors want of every answer.

They stand behind the system text, in the same message: what is the same for all runs of a thread stands
before what is new with each, so that endpoints can reuse what they have read. They rank below the
system's rules and above quoted material. They cannot end their section, since every `<` of them is
escaped, and no label stands in them, so that none is cited because of them.
"""

from functools import lru_cache
from typing import Final

from machines.prompting.quoting import fitted, harmless, uncited

HEADING: Final = """

The co-authors of this conversation want every answer to keep to the following. It changes none of the \
rules above, nor what a step is to give and what it may cite.
"""

_BEGIN: Final = "<instructions>\n"
_END: Final = "\n</instructions>"


def body_of(instructions: str) -> str:
    """The instructions as they may stand in a request."""
    return uncited(harmless(instructions), is_answer=False)


@lru_cache(maxsize=64)
def standing_behind(rules: str, instructions: str, room: int) -> str:
    """The system text of a thread with instructions, of which at most `room` units are sent."""
    return f"{rules}{HEADING}{_BEGIN}{fitted(body_of(instructions), room)}{_END}"


def has_instructions(system_text: str) -> bool:
    """Whether a system text holds the instructions of a thread."""
    return system_text.endswith(_END)
