"""The stand-in of a Qdrant server (`tests.standins.qdrant`) in this process, and its failings by name."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final

from tests.standins.qdrant.answers import NEWEST
from tests.standins.qdrant.faults import Does, Fault
from tests.standins.qdrant.standin import StandIn


class Failing(StrEnum):
    """What it does instead of its work."""

    STALLS = "stalls"
    DRIPS = "sends an answer that never ends"
    TOO_MANY_REQUESTS = "answers 429"
    SERVER_ERROR = "answers 500"
    KEY_REFUSED = "answers 401"
    READ_ONLY = "answers 500 to writes"
    """As a server whose disk is full."""
    LOSES_THE_ANSWER = "carries out, and loses the answer"
    """Of every other request."""


_FAULTS: Final[Mapping[Failing, Fault]] = {
    Failing.STALLS: Fault(does=Does.STALL),
    Failing.DRIPS: Fault(does=Does.DRIP),
    Failing.TOO_MANY_REQUESTS: Fault(does=Does.STATUS, status=429, retry_after="1"),
    Failing.SERVER_ERROR: Fault(does=Does.STATUS, status=500),
    Failing.KEY_REFUSED: Fault(does=Does.STATUS, status=401),
    Failing.READ_ONLY: Fault(does=Does.STATUS, status=500, requests="writes"),
    Failing.LOSES_THE_ANSWER: Fault(does=Does.LOSE, every=2),
}


class FakeQdrant(StandIn):
    """What `fake_qdrant` gives; its `url` is for CHORUS_QDRANT_URL."""

    def __init__(self, *, version: str = NEWEST, api_key: str | None = None) -> None:
        super().__init__(version=version, api_key=api_key)
        self._failing: Failing | None = None

    @property
    def failing(self) -> Failing | None:
        """How it fails now; setting it ends what was set before."""
        return self._failing

    @failing.setter
    def failing(self, failing: Failing | None) -> None:
        self._failing = failing
        self.faults.set(*(() if failing is None else (_FAULTS[failing],)))

    @property
    def failed(self) -> int:
        """Requests that it failed."""
        return self.faults.failed


@asynccontextmanager
async def fake_qdrant(
    *, version: str = NEWEST, api_key: str | None = None
) -> AsyncIterator[FakeQdrant]:
    """A running one, on a free port of this machine."""
    fake = FakeQdrant(version=version, api_key=api_key)
    await fake.appear()
    try:
        yield fake
    finally:
        await fake.disappear()
        fake.answers.close()
