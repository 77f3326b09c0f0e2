"""The adapters of the embeddings port, one module each, and the rules that all of them keep.

Here lives only what every adapter shares: what goes in is text that UTF-8 can hold, what comes out
is a finite vector of unit length. Which adapter serves is decided in `server.memory.embeddings`.
"""

import math
from collections.abc import Sequence

from machines.models.errors import VectorError


class EmbedderUnavailable(Exception):
    """An embedder cannot serve on this machine; the text is a clause that tells the operator why."""


def encodable(text: str) -> str:
    """`text` with `?` for each lone surrogate.

    A model that cuts its output between the halves of a surrogate pair puts one into an answer;
    such an answer must still be remembered.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def unit_vector(values: Sequence[float], dimensions: int) -> tuple[float, ...]:
    """`values`, scaled to length 1.

    Raises VectorError unless there are exactly `dimensions` finite values, not all of them zero.
    A failure never becomes a vector: one made up would be found by searches for ever after.
    """
    if len(values) != dimensions:
        raise VectorError(f"A vector has {len(values)} dimensions; {dimensions} were expected.")
    if not all(map(math.isfinite, values)):
        raise VectorError("A vector holds a value that is not a finite number.")
    # The largest component first: squares of huge or tiny components leave the range of a float.
    largest = max(map(abs, values), default=0.0)
    if largest == 0.0:
        raise VectorError("A vector holds only zeros, so it points nowhere.")
    scaled = [value / largest for value in values]
    length = math.hypot(*scaled)
    return tuple(value / length for value in scaled)
