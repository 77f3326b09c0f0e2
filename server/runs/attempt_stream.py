"""The texts of one attempt on their way to those who follow the thread: its answer and its thoughts.

Pieces are gathered and sent as deltas; an answer (the text of yield) is rendered as it grows, too.
Who comes in the middle is shown what was sent so far.
"""

from typing import Final, Protocol

from machines.models.ids import ThreadId
from machines.models.outputs import StepEnum
from machines.models.wire.run_frames import (
    ChorusResponseFrame,
    StepDeltaData,
)
from machines.models.wire.views import RenderedText
from server.passing.messages import Piece
from server.runs.attempt import Attempt
from server.runs.live_answer import LiveAnswer
from server.runs.thought_stream import ThoughtStream
from server.threads.broadcast import Broadcast, Delta
from server.wire.codec import DeltaEncoder, encode_server_frame
from server.wire.renderer import Renderer

DELTA_CHARACTERS: Final = 32_000
"""Code points of one delta: whatever they are, a frame holds them."""


class OnSent(Protocol):
    """Told each piece that followers were sent."""

    def __call__(
        self, stream: "AttemptStream", offset: int, text: str, *, thought: bool
    ) -> None: ...


class AttemptStream:
    """What an attempt has written.

    Args:
        renderer: renders the answer as it grows.
        on_sent: never blocks.
    """

    def __init__(
        self,
        call: Attempt,
        broadcast: Broadcast,
        renderer: Renderer,
        on_sent: OnSent | None = None,
    ) -> None:
        self._call = call
        self._on_sent = on_sent
        self._broadcast = broadcast
        self._renderer = renderer
        self._encoder: DeltaEncoder | None = None
        """Made for the first piece that has a follower."""
        self._answer: LiveAnswer | None = None
        """Likewise, with yield alone."""
        self._sent: list[str] = []
        self._length = 0
        """Code points that were sent."""
        self._gathered: list[str] = []
        self._thoughts = ThoughtStream(call, broadcast, self._thought_sent)

    @property
    def thread_id(self) -> ThreadId:
        """Whose followers are sent it."""
        return self._call.thread_id

    @property
    def attempt(self) -> tuple[StepEnum, int, int]:
        """Step, iteration and attempt of the run."""
        return (self._call.step, self._call.iteration, self._call.attempt)

    @property
    def text(self) -> str:
        """What was sent."""
        return "".join(self._sent)

    @property
    def length(self) -> int:
        """Code points of it."""
        return self._length

    @property
    def rendered(self) -> tuple[RenderedText, ...]:
        """The same as HTML, as far as it is rendered; nothing but for yield."""
        return () if self._answer is None else self._answer.rendered

    @property
    def thoughts(self) -> str:
        """What was sent of the thoughts."""
        return self._thoughts.text

    @property
    def thoughts_length(self) -> int:
        """Code points of them."""
        return self._thoughts.length

    def piece(self, offset: int, text: str, *, thought: bool) -> Piece:
        """A part of it, for another server."""
        call = self._call
        return Piece(
            thread_id=call.thread_id,
            run_id=call.run_id,
            message_id=call.message_id,
            branch_id=call.branch_id,
            step=call.step,
            iteration=call.iteration,
            attempt=call.attempt,
            thought=thought,
            offset=offset,
            text=text,
        )

    def gather(self, text: str) -> bool:
        """Keep a piece until `flush`; whether it is the first one that waits."""
        self._gathered.append(text)
        return len(self._gathered) == 1 and not self._thoughts.waits

    def gather_thought(self, text: str) -> bool:
        """Keep a piece of the thoughts until `flush`; whether it is the first one that waits."""
        is_first = not self._gathered and not self._thoughts.waits
        self._thoughts.gather(text)
        return is_first

    def flush(self) -> None:
        """Send what was gathered."""
        self._thoughts.flush()
        text = "".join(self._gathered)
        self._gathered.clear()
        for start in range(0, len(text), DELTA_CHARACTERS):
            self._send(text[start : start + DELTA_CHARACTERS])

    def close(self) -> None:
        """The attempt is over: what waits is given up."""
        self._gathered.clear()
        self._thoughts.close()
        if self._answer is not None:
            self._answer.close()

    def _send(self, text: str) -> None:
        """One delta, to those who follow."""
        call, offset = self._call, self._length
        self._sent.append(text)
        self._length += len(text)
        if self._on_sent is not None:
            self._on_sent(self, offset, text, thought=False)
        if not self._broadcast.has_followers(call.thread_id):
            return
        self._encoder = self._encoder or DeltaEncoder(call.thread_id, self._delta())
        key = (call.run_id, call.step.value, call.iteration, call.attempt)
        encoded = self._encoder.encode(offset, text)
        delta = Delta(key, offset, text, encoded, call.branch_id is not None)
        self._broadcast.publish_delta(call.thread_id, delta)
        if call.step is StepEnum.YIELD:
            self._render(text)

    def _thought_sent(self, offset: int, text: str) -> None:
        if self._on_sent is not None:
            self._on_sent(self, offset, text, thought=True)

    def _render(self, text: str) -> None:
        if self._answer is None:
            self._answer = LiveAnswer(self._send_rendered, self._renderer)
            text = self.text  # nobody followed its beginning
        self._answer.add(text)

    def _send_rendered(self, parts: tuple[RenderedText, ...]) -> None:
        call = self._call
        data = self._delta().model_copy(update={"offset": self._length, "rendered": parts})
        frame = ChorusResponseFrame(thread_id=call.thread_id, data=data)
        # Of a key of its own, since it is no piece of the text and cannot be merged with one.
        key = (call.run_id, "rendered", call.iteration, call.attempt)
        delta = Delta(key, self._length, "", encode_server_frame(frame), call.branch_id is not None)
        self._broadcast.publish_delta(call.thread_id, delta)

    def _delta(self) -> StepDeltaData:
        call = self._call
        return StepDeltaData(
            run_id=call.run_id,
            message_id=call.message_id,
            branch_id=call.branch_id,
            step=call.step,
            iteration=call.iteration,
            attempt=call.attempt,
            offset=0,
            text="",
        )
