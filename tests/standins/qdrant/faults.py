"""What a stand-in does wrong when it is told to, and to which requests."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Does(StrEnum):
    """What becomes of a request."""

    STATUS = "status"
    """It is answered with `status`, and not carried out."""
    DELAY = "delay"
    """It is answered `seconds` later."""
    CUT = "cut"
    """The connection is cut before anything is done."""
    LOSE = "lose"
    """It is carried out, and the connection is cut in place of the answer."""
    STALL = "stall"
    """It is never answered."""
    DRIP = "drip"
    """Its answer never ends: a byte comes now and then."""
    UNSURE = "unsure"
    """A write is carried out, and answered with the status `wait_timeout`."""


class Fault(BaseModel):
    """One fault: what, and to which requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    does: Does
    status: int = Field(default=503, ge=400, le=599)
    retry_after: str | None = None
    """The header of an answer with `status`: seconds, or a date."""
    seconds: float = Field(default=0.1, ge=0, le=3_600)
    requests: Literal["all", "reads", "writes"] = "all"
    every: int = Field(default=1, ge=1)
    """It hits each so many-th of its requests, the first one too."""
    times: int | None = Field(default=None, ge=1)
    """It is over after so many; None: it lasts until it is taken back."""


class Faults:
    """The faults of one stand-in, and what they hit so far."""

    def __init__(self) -> None:
        self.failed = 0
        """Requests that a fault hit, ever."""
        self._faults: list[tuple[Fault, int, int]] = []
        """With each, requests that were its own, and those that it hit."""

    @property
    def now(self) -> tuple[Fault, ...]:
        """Those that are set; the first whose turn it is hits a request."""
        return tuple(fault for fault, _, _ in self._faults)

    def set(self, *faults: Fault) -> None:
        """These, and no others, begin now; none ends all."""
        self._faults = [(fault, 0, 0) for fault in faults]

    def hits(self, *, writes: bool) -> Fault | None:
        """What becomes of a request that comes now."""
        hit: Fault | None = None
        for place, (fault, asked, hits) in enumerate(self._faults):
            if hit is not None or fault.requests == ("reads" if writes else "writes"):
                continue
            over = fault.times is not None and hits >= fault.times
            if not over and asked % fault.every == 0:
                hit, hits = fault, hits + 1
            self._faults[place] = (fault, asked + 1, hits)
        self.failed += hit is not None
        return hit
