"""What a program must not make up by itself: the time, fresh ids, randomness. Passed in everywhere.

Tests pass a world of their own; the composition root passes `real_world()`.
"""

import os
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class World:
    """Sources of everything that differs between two runs of the same program."""

    now: Callable[[], datetime]
    """The time in UTC; may step back."""
    monotonic: Callable[[], float]
    """Seconds that never step back, from an arbitrary start."""
    new_id: Callable[[], str]
    """A UUID string."""
    random: Callable[[], float]
    """In [0, 1); for jitter, never for secrets."""
    secret: Callable[[int], bytes]
    """That many bytes that nobody can guess."""


def real_world() -> World:
    """The world as it is."""
    return World(
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        new_id=_Ids().new,
        random=random.SystemRandom().random,
        secret=secrets.token_bytes,
    )


_ID_BYTES = 16
_IDS_AT_ONCE = 256
"""Ids of one call to the system, which lets go of the interpreter: with other threads at work, getting
it back costs more than an id."""


class _Ids:
    """UUIDs of version 4 (RFC 9562, 5.4). They name things and guard nothing, so they may wait here."""

    def __init__(self) -> None:
        self._drawn: list[bytes] = []

    def new(self) -> str:
        """A UUID string, on any thread: a list is popped by one at a time."""
        while True:
            try:
                digits = self._drawn.pop().hex()
            except IndexError:
                drawn = os.urandom(_ID_BYTES * _IDS_AT_ONCE)
                self._drawn += [
                    drawn[at : at + _ID_BYTES] for at in range(0, len(drawn), _ID_BYTES)
                ]
            else:
                variant = "89ab"[int(digits[16], 16) & 3]
                return (
                    f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}"
                    f"-{variant}{digits[17:20]}-{digits[20:]}"
                )
