"""What a user keeps of a thread for themselves: how far they have read it, and what they hid of it."""

from typing import Annotated, Self

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState
from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import MessageId, PublicKey, ThreadId
from machines.models.limits import MAX_HIDDEN_MESSAGES
from machines.models.outputs import Flag


def _is_empty(value: object) -> bool:
    return value == ()


class UserThread(BaseState):
    """One user's own of one thread; it changes nothing for anybody else."""

    id: str
    """The key and the thread, so that there is one of each pair."""
    public_key: PublicKey
    thread_id: ThreadId
    read_seq: int = Field(default=0, ge=0)
    """Number of the last entry of the thread that the user has read; it never goes back."""

    hidden: Flag = False
    """Whether the thread is left out of the user's list."""
    hidden_messages: Annotated[tuple[MessageId, ...], Field(exclude_if=_is_empty)] = ()
    """Messages that are shown folded, in the order of hiding; at most `MAX_HIDDEN_MESSAGES`."""

    @classmethod
    def begin(cls, public_key: PublicKey, thread_id: ThreadId, at: AwareDatetime) -> Self:
        """Nothing is read or hidden yet."""
        return cls(
            id=f"{public_key}:{thread_id}",
            public_key=public_key,
            thread_id=thread_id,
            created_at=at,
            updated_at=at,
        )

    def read_to(self, seq: int, at: AwareDatetime) -> Self:
        """The thread was read up to an entry; the same value where it was read further already."""
        return self if seq <= self.read_seq else self.transition_to(at, read_seq=seq)

    def hide(self, at: AwareDatetime, *, hidden: bool) -> Self:
        """The thread hidden, or shown again; the same value where it is so already."""
        return self if hidden is self.hidden else self.transition_to(at, hidden=hidden)

    def hide_message(self, message_id: MessageId, at: AwareDatetime, *, hidden: bool) -> Self:
        """A message hidden, or shown again; the same value where it is so already.

        Raises RequestRefused where too many are hidden (TOO_LARGE).
        """
        if hidden is (message_id in self.hidden_messages):
            return self
        if not hidden:
            others = tuple(each for each in self.hidden_messages if each != message_id)
            return self.transition_to(at, hidden_messages=others)
        if len(self.hidden_messages) >= MAX_HIDDEN_MESSAGES:
            raise RequestRefused(
                ErrorCode.TOO_LARGE,
                f"No more than {MAX_HIDDEN_MESSAGES} messages of a thread can be hidden.",
            )
        return self.transition_to(at, hidden_messages=(*self.hidden_messages, message_id))
