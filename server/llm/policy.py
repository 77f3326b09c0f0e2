"""How long the server waits for its model, and when it gives up; settings move the bounds of an answer.

One value, so that a test of failures passes a small one in place of waiting minutes.
"""

from dataclasses import dataclass, field

from machines.models.breaker import BreakerPolicy
from machines.models.chorus import BACKOFF_BASE_MS
from server.llm.port import Bounds


@dataclass(frozen=True)
class ModelPolicy:
    """What `open_services` builds the model's side with."""

    bounds: Bounds = field(default_factory=Bounds)
    """Of one answer."""
    backoff_base_ms: int = BACKOFF_BASE_MS
    """Of the waits between the attempts of a step."""
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    """When the endpoint's breaker opens, and for how long."""
