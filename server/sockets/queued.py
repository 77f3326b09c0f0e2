"""What waits in an outbox: frames as bytes, replies, and deltas that may still be merged.

Values of one connection's queue and their spelling on the wire; when they are written, and how many
may wait, is known to `server.sockets.outbox`.
"""

from typing import Final

from machines.models.limits import MAX_SERVER_FRAME_BYTES
from machines.models.wire.run_frames import (
    ChorusResponseFrame,
    StepDeltaData,
    StepThinkingData,
)
from server.threads.broadcast import Delta
from server.wire.codec import decode_server_frame, encode_server_frame

_TEXT_FRAME: Final = 0x81
"""First byte of a whole, uncompressed text frame."""

_PONG_FRAME: Final = 0x8A
"""First byte of a PONG frame."""


class Reply:
    """A frame that the consumer asked for."""

    __slots__ = ("frame",)

    def __init__(self, frame: bytes) -> None:
        self.frame = frame


class Pieces:
    """Consecutive deltas of one text; they become one frame when it is written."""

    __slots__ = ("end", "first", "size", "texts")

    def __init__(self, delta: Delta, size: int) -> None:
        self.first = delta
        self.texts = [delta.text]
        self.end = delta.offset + len(delta.text)
        self.size = size
        """Bytes that they are counted with: at least those of the frame that they become."""

    def try_take(self, delta: Delta, size: int) -> bool:
        """Add a piece that follows right behind; False where it does not, or one frame cannot hold it."""
        if delta.key != self.first.key or delta.offset != self.end:
            return False
        if self.size + size > MAX_SERVER_FRAME_BYTES:
            return False
        self.texts.append(delta.text)
        self.end += len(delta.text)
        self.size += size
        return True

    def encoded(self) -> str:
        """The frame of all pieces. Raises where they are no passing frames of ours."""
        if len(self.texts) == 1:
            return self.first.encoded
        frame = decode_server_frame(self.first.encoded)
        if not isinstance(frame, ChorusResponseFrame) or not isinstance(
            frame.data, StepDeltaData | StepThinkingData
        ):
            raise TypeError(f"only deltas can be merged, and this frame is {frame.type}")
        data = frame.data.model_copy(update={"text": "".join(self.texts)})
        return encode_server_frame(frame.model_copy(update={"data": data}))


def text_frame(payload: bytes) -> bytes:
    """The websocket frame of a server around a UTF-8 text (RFC 6455, 5.2: whole, not masked)."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT_FRAME, size)) + payload
    if size < 65_536:
        return bytes((_TEXT_FRAME, 126)) + size.to_bytes(2, "big") + payload
    return bytes((_TEXT_FRAME, 127)) + size.to_bytes(8, "big") + payload


def pong_frame(payload: bytes) -> bytes:
    """The PONG frame of a server that answers a PING (RFC 6455, 5.5: at most 125 bytes)."""
    return bytes((_PONG_FRAME, len(payload))) + payload
