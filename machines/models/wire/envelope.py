"""The envelope of every frame that the server sends: `{"type", "re", "thread_id"?, "seq"?, "data"}`.

Optional keys (`?` in PROTOCOL) are left out where they hold nothing; keys that PROTOCOL calls
null-able are always written.
"""

from machines.models.ids import RequestId, ThreadId
from machines.models.outputs import (
    Omittable,
    Value,
)


class ServerFrame(Value):
    """The envelope; each subclass adds its `type` and the shape of its `data`."""

    type: str
    re: RequestId | None = None
    """The request that this answers; None where it answers none."""
    thread_id: Omittable[ThreadId] = None
    seq: Omittable[int] = None
    """Number in the thread's journal; None for what is no journal entry."""
    shortened: Omittable[bool] = None
    """True where the frame's longest texts are cut, since it would be too large."""
    data: Value
