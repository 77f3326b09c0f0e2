"""What a program must not make up by itself: the time, fresh ids, randomness. Passed in everywhere.

Tests pass an environment of their own; the composition root passes `system_environment()`.
"""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Environment:
    """Sources of everything that differs between two runs of the same program."""

    now: Callable[[], datetime]
    """The time in UTC; may step back. Of servers that share a journal all have the same."""
    monotonic: Callable[[], float]
    """Seconds that never step back, from an arbitrary start."""
    new_id: Callable[[], str]
    """A UUID string."""
    random: Callable[[], float]
    """In [0, 1); for jitter, never for secrets."""
    secret: Callable[[int], bytes]
    """That many bytes that cannot be guessed."""


def system_environment() -> Environment:
    """The environment of this process: the system clock, and the randomness of the operating system."""
    return Environment(
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        new_id=lambda: str(uuid4()),
        random=random.SystemRandom().random,
        secret=secrets.token_bytes,
    )
