"""Text while it is written, from the server that carries a run to those whose clients follow it.

A piece that is lost is noticed by the offset of the next one, and the whole is asked for. What comes is an
`AttemptStream` here too: its pieces go to the followers, and who comes in the middle is shown what was
sent so far.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from machines.models.ids import RunId, ThreadId
from server.passing.interests import Interests
from server.passing.messages import Piece, Told
from server.runs.attempt_stream import AttemptStream
from server.threads.broadcast import Broadcast
from server.wire.renderer import Renderer

IDLE_SECONDS: Final = 60.0
"""A text of another server of which nothing came for so long is forgotten; it comes whole again."""

MAX_HEARD: Final = 1_000
"""Texts of other servers that are kept; those that were silent longest are forgotten first."""

_BYTES_OF_A_CHARACTER: Final = 8
"""In JSON, at most, with room for what stands around it."""


@dataclass(slots=True)
class _Heard:
    stream: AttemptStream
    at: float
    """When a piece of it came last."""


class PassingText:
    """A `Teller` of what is written here. Takes what is written elsewhere."""

    def __init__(
        self,
        interests: Interests,
        broadcast: Broadcast,
        renderer: Renderer,
        carried: Mapping[RunId, AttemptStream],
        monotonic: Callable[[], float],
    ) -> None:
        """
        Args:
            carried: what is written here now.
        """
        self._interests = interests
        self._broadcast = broadcast
        self._renderer = renderer
        self._carried = carried
        self._monotonic = monotonic
        self._heard: dict[RunId, _Heard] = {}
        """In the order in which they were heard last."""
        self._unsent: dict[tuple[AttemptStream, bool], int] = {}
        """Texts and thoughts of which something is gathered, each with the offset of that."""
        interests.subscribe(self)

    def stream_of(self, run_id: RunId) -> AttemptStream | None:
        """What came of a run that another server carries."""
        heard = self._heard.get(run_id)
        return None if heard is None else heard.stream

    # What is written here

    def sent(self, stream: AttemptStream, offset: int, text: str, *, thought: bool) -> None:
        """A stream of this server has sent a piece to those who follow here."""
        if not (to := self._interests.asking(stream.thread_id)):
            return
        if not self._interests.gather_seconds:
            self._tell(stream, offset, text, to, thought=thought)
            return
        if not self._unsent:
            loop = asyncio.get_running_loop()
            loop.call_later(self._interests.gather_seconds, self._tell_gathered)
        self._unsent.setdefault((stream, thought), offset)

    def tell_whole(self, thread_ids: Collection[ThreadId], to: str) -> None:
        """Send a server what is written in these threads, from its beginning."""
        for stream in tuple(self._carried.values()):
            if stream.thread_id in thread_ids:
                self._tell(stream, 0, stream.thoughts, (to,), thought=True)
                self._tell(stream, 0, stream.text, (to,), thought=False)

    def lose(self, thread_id: ThreadId, server: str) -> None:
        """Nothing is kept of who was told."""

    def _tell_gathered(self) -> None:
        unsent, self._unsent = self._unsent, {}
        for (stream, thought), offset in unsent.items():
            text = (stream.thoughts if thought else stream.text)[offset:]
            to = self._interests.asking(stream.thread_id)
            self._tell(stream, offset, text, to, thought=thought)

    def _tell(
        self,
        stream: AttemptStream,
        offset: int,
        text: str,
        to: Collection[str],
        *,
        thought: bool,
    ) -> None:
        most = self._interests.most_bytes // _BYTES_OF_A_CHARACTER
        for begin in range(0, len(text), most):
            part = text[begin : begin + most]
            self._interests.tell(stream.piece(offset + begin, part, thought=thought), to)

    # What is written elsewhere

    def take(self, told: Told) -> None:
        """Another server has written a piece."""
        if (
            not isinstance(told, Piece)
            or told.run_id in self._carried
            or not self._broadcast.has_followers(told.thread_id)
        ):
            return
        stream = self._stream_for(told)
        length = stream.thoughts_length if told.thought else stream.length
        if told.offset > length:
            self._interests.want(told.thread_id)
        elif text := told.text[length - told.offset :]:
            gather = stream.gather_thought if told.thought else stream.gather
            gather(text)
            stream.flush()

    def _stream_for(self, piece: Piece) -> AttemptStream:
        """The stream that a piece is of; a new one for the first piece of an attempt."""
        now = self._monotonic()
        heard = self._heard.pop(piece.run_id, None)
        if heard is None or heard.stream.attempt != (piece.step, piece.iteration, piece.attempt):
            if heard is not None:
                heard.stream.close()
            heard = _Heard(AttemptStream(piece, self._broadcast, self._renderer), now)
        heard.at = now
        self._heard[piece.run_id] = heard
        self._forget_some(now)
        return heard.stream

    def _forget_some(self, now: float) -> None:
        """What goes on no more, and what is too much."""
        for run_id, heard in tuple(self._heard.items()):
            if now - heard.at <= IDLE_SECONDS and len(self._heard) <= MAX_HEARD:
                return
            heard.stream.close()
            del self._heard[run_id]
