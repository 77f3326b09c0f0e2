"""Server-sent events: the payloads that an endpoint's stream of bytes carries.

Bytes go in as they come, whole payloads come out. Of an event only its data counts: names, ids and
comments are skipped (HTML Living Standard, 9.2). A body that is JSON in place of a stream is one
payload, at its end. What a payload says is read by `server.llm.reply`.
"""

from enum import Enum, auto
from typing import Final

from machines.models.errors import AIError

MAX_EVENT_BYTES: Final = 2_621_440
"""Of an event that has not ended: the longest answer fits into one, with every character as two escapes."""

_MARK: Final = b"\xef\xbb\xbf"
"""A byte order mark, which may stand before all else."""

_DATA: Final = b"data:"
_USUAL: Final = b"data: "
_GLUED: Final = b"data: [DONE]"


class _Body(Enum):
    """What a response brings, told by its first character."""

    UNKNOWN = auto()
    EVENTS = auto()
    JSON = auto()
    """No stream: no field of an event begins with a bracket."""


_EVENTS: Final = _Body.EVENTS
_JSON: Final = _Body.JSON


class EventReader:
    """Cuts the events out of one stream."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        """Of an event that has not ended."""
        self._size = 0
        """Bytes of the parts."""
        self._body = _Body.UNKNOWN
        self._after_return = False
        """Whether what came ended with a carriage return, to which a line feed may belong."""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that end within `data`. Raises AIError where an event does not end."""
        if self._body is not _EVENTS:
            data = self._begun(data)
        if self._body is _JSON:
            self._keep(data)
            return []
        if self._after_return or b"\r" in data:
            data = self._with_line_feeds(data)
        end = data.find(b"\n")
        is_one_line = (
            len(_USUAL) < end == len(data) - 2 and data.endswith(b"\n") and data.startswith(_USUAL)
        )
        if is_one_line and not self._parts:
            return [data[len(_USUAL) : end]]  # one event and nothing else, as most often
        if end < 0:
            # Without a line's end no event can end: what is there is not looked through again.
            self._keep(data)
            return []
        *events, rest = b"".join((*self._parts, data)).split(b"\n\n")
        self._parts, self._size = [], 0
        self._keep(rest)
        return [payload for event in events if (payload := _payload(event))]

    def end(self) -> list[bytes]:
        """What stands at the end of the stream without the blank line that ends an event."""
        rest, self._parts, self._size = b"".join(self._parts), [], 0
        if self._body is not _JSON:
            payload = _payload(rest.removesuffix(b"\n"))
            return [payload] if payload else []
        body = rest.strip()
        if body.endswith(_GLUED):  # some put the end of a stream behind it
            return [body.removesuffix(_GLUED).rstrip(), _GLUED.removeprefix(_USUAL)]
        return [body] if body else []

    def _begun(self, data: bytes) -> bytes:
        """`data` without the mark before all else; says what body it is the beginning of."""
        if self._body is _Body.UNKNOWN:
            data = data.removeprefix(_MARK)
            if begin := data.lstrip():
                self._body = _JSON if begin.startswith((b"{", b"[")) else _EVENTS
        return data

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._size += len(part)
        if self._size > MAX_EVENT_BYTES:
            raise AIError("The model endpoint sent something that is no chunk of an answer.")

    def _with_line_feeds(self, data: bytes) -> bytes:
        """`data` with every end of a line spelt as a line feed."""
        if self._after_return:
            data = data.removeprefix(b"\n")
        self._after_return = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _payload(event: bytes) -> bytes:
    """The data of an event, its lines joined; an event without data is none (empty)."""
    if event.startswith(_USUAL) and b"\n" not in event:
        return event[len(_USUAL) :]
    lines = [
        line.removeprefix(_DATA).removeprefix(b" ")
        for line in event.split(b"\n")
        if line.startswith(_DATA)
    ]
    return b"\n".join(lines)
