"""What a user keeps of a thread for themselves: how far they have read it."""

from typing import Self

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState
from machines.models.ids import PublicKey, ThreadId


class UserThread(BaseState):
    """One user's own of one thread; it changes nothing for anybody else."""

    id: str
    """The key and the thread, so that there is one of each pair."""
    public_key: PublicKey
    thread_id: ThreadId
    read_seq: int = Field(default=0, ge=0)
    """Number of the last entry of the thread that the user has read; it never goes back."""

    @classmethod
    def begin(cls, public_key: PublicKey, thread_id: ThreadId, at: AwareDatetime) -> Self:
        """Nothing is read yet."""
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
