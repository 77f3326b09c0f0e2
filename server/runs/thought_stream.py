"""What a model thinks aloud in one attempt, on its way to those who follow the thread.

Its frames have a status and offsets of their own, so that those of the answer stay as they are. No
entry holds thoughts: they are gone when their attempt is over.
"""

from collections.abc import Callable

from machines.models.wire.run_frames import StepThinkingData
from server.runs.attempt import Attempt
from server.threads.broadcast import Broadcast, Delta
from server.wire.codec import DeltaEncoder


class ThoughtStream:
    """What an attempt has thought; how much that may be is known to the adapter of the model."""

    def __init__(
        self, call: Attempt, broadcast: Broadcast, on_sent: Callable[[int, str], None]
    ) -> None:
        """
        Args:
            on_sent: told each piece that is sent, and its offset.
        """
        self._call = call
        self._on_sent = on_sent
        self._length = 0
        self._broadcast = broadcast
        self._encoder: DeltaEncoder | None = None
        """Made for the first piece that has a follower."""
        self._sent: list[str] = []
        self._gathered: list[str] = []

    @property
    def text(self) -> str:
        """What was sent."""
        return "".join(self._sent)

    @property
    def length(self) -> int:
        """Code points of it."""
        return self._length

    @property
    def waits(self) -> bool:
        """Whether a piece waits for `flush`."""
        return bool(self._gathered)

    def gather(self, text: str) -> None:
        """Keep a piece until `flush`."""
        self._gathered.append(text)

    def flush(self) -> None:
        """Send what was gathered, to those who follow."""
        text = "".join(self._gathered)
        self._gathered.clear()
        if not text:
            return
        call, offset = self._call, self._length
        self._sent.append(text)
        self._length += len(text)
        self._on_sent(offset, text)
        if self._broadcast.has_followers(call.thread_id):
            self._encoder = self._encoder or _encoder(call)
            key = (call.run_id, "thinking", call.step.value, call.iteration, call.attempt)
            encoded = self._encoder.encode(offset, text)
            delta = Delta(key, offset, text, encoded, call.branch_id is not None)
            self._broadcast.publish_delta(call.thread_id, delta)

    def close(self) -> None:
        """The attempt is over: what waits is given up."""
        self._gathered.clear()


def _encoder(call: Attempt) -> DeltaEncoder:
    piece = StepThinkingData(
        run_id=call.run_id,
        message_id=call.message_id,
        branch_id=call.branch_id,
        step=call.step,
        iteration=call.iteration,
        attempt=call.attempt,
        offset=0,
        text="",
    )
    return DeltaEncoder(call.thread_id, piece)
