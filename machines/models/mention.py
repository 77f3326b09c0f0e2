"""A mention: where a message names a co-author of its thread.

Only the value is here. What counts as a mention says `machines.decisions.mentions`.
"""

from typing import Annotated

from pydantic import Field

from machines.models.ids import PublicKey
from machines.models.outputs import Value


class Mention(Value):
    """One co-author who is named; who share a name are named together, each by a mention."""

    public_key: PublicKey
    start: Annotated[int, Field(ge=0)]
    """Code points of the content before the `@`."""
    end: Annotated[int, Field(ge=0)]
    """Code points of the content up to the end of the name."""


def _is_empty(value: object) -> bool:
    return value == ()


Mentions = Annotated[tuple[Mention, ...], Field(exclude_if=_is_empty)]
"""A key that is left out of JSON where nobody is mentioned; its default is empty."""
