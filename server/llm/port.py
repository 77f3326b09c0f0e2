"""The language model port: what a run asks of a model, and what it gets back.

The adapters are `server.llm.openai`, for endpoints, and the offline responder, `server.llm.offline`;
which of them this server has is chosen in `server.llm.choice`. Nothing here imports the SDK.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from machines.models.chorus import StepCompleted
from machines.models.effects import AICall
from machines.models.errors import AIError, NetworkError

OnText = Callable[[str], None]
"""Takes the next piece of the text that users read; called on the event loop, never blocks."""


def unheard(_: str) -> None:
    """Takes a piece of text that is not wanted."""


@dataclass(frozen=True)
class Bounds:
    """What ends an answer that would not end, or not begin."""

    idle_seconds: float = 90.0
    """Silence before the first chunk or between two."""
    total_seconds: float = 900.0
    """From the request to the end of the answer."""
    characters: int = 200_000
    """Of the answer."""


class AnswerFailed(Exception):
    """An attempt ended without a usable answer."""

    def __init__(self, error: AIError | NetworkError, partial: str = "") -> None:
        super().__init__(error.message)
        self.error = error
        self.partial = partial
        """What `on_text` was given until then, joined."""


class AnswerDelayed(Exception):
    """An attempt was not made, since the endpoint's breaker is open: make it again after `wait_ms`."""

    def __init__(self, error: NetworkError, wait_ms: int) -> None:
        super().__init__(error.message)
        self.error = error
        """Why, for users."""
        self.wait_ms = wait_ms


class LanguageModel(Protocol):
    """Answers one attempt of one step at a time, any number of them at once."""

    @property
    def name(self) -> str:
        """What users are shown, as `gpt-5.4-mini`."""
        ...

    @property
    def offline(self) -> bool:
        """True for the offline responder, which is no language model."""
        ...

    async def answer(
        self, call: AICall, on_text: OnText, on_thought: OnText = unheard
    ) -> StepCompleted:
        """The event that the model's answer to `call` is; its text goes to `on_text` as it is
        generated, and what the model thinks aloud, which is no part of it, to `on_thought`.

        Structured steps stream what users will read of them as well; the event's text is what
        counts. Raises AttemptFailed, and nothing else for whatever the endpoint does; and
        AttemptDelayed where it was not asked at all, which only a call that `may_be_delayed` meets.
        Cancelling the task stops the endpoint too. Never retries: that is the chart's.
        """
        ...

    async def close(self) -> None:
        """Ends the connections; the model answers no more."""
        ...
