"""What a user does through another server, told to the connections that they have here.

It stands in the user's own stream of the journal. A connection to the server that wrote it was told
when it was written.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence

from machines.models.domain import Deleted
from machines.models.errors import StorageError
from machines.models.ids import MessageId, PublicKey, ThreadId
from machines.models.journal import JournalEntry
from server.sessions.registry import Sessions
from server.threads.broadcast import Broadcast
from server.wire.presenter import hidden_notice, read_notice

log = logging.getLogger(__name__)


class UsersElsewhere:
    """Hears of users (`server.threads.relay.HearsOfUsers`)."""

    def __init__(self, broadcast: Broadcast, sessions: Sessions) -> None:
        self._broadcast = broadcast
        self._sessions = sessions
        self._looking: set[asyncio.Task[None]] = set()

    def user_went_on(self, public_key: PublicKey, entries: Sequence[JournalEntry]) -> None:
        """Tell of entries of the user's stream, in order."""
        for entry in entries:
            match entry.kind, entry.data:
                case "read", {"thread_id": str(thread_id), "seq": int(seq)}:
                    self._broadcast.users.tell(public_key, read_notice(ThreadId(thread_id), seq))
                case "hidden", {
                    "thread_id": str(thread_id),
                    "message_id": str() | None as message_id,
                    "hidden": bool(hidden),
                }:
                    message = None if message_id is None else MessageId(message_id)
                    notice = hidden_notice(ThreadId(thread_id), message, hidden=hidden)
                    self._broadcast.users.tell(public_key, notice)
                case "presence_set", {"hides_presence": bool(hides)}:
                    self._broadcast.presence.heed(public_key, hides=hides)
                case "session_ended", _:
                    self._look(each.id for each in entry.changes if isinstance(each, Deleted))
                case _:
                    pass

    def session_taken_up(self, token_hash: str) -> None:
        """Let go of a session that a connection to another server holds."""
        self._look((token_hash,))

    def _look(self, token_hashes: Iterable[str]) -> None:
        here = [each for each in token_hashes if self._sessions.knows(each)]
        if here:
            task = asyncio.create_task(self._look_at(here))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look_at(self, token_hashes: Collection[str]) -> None:
        try:
            await self._sessions.look(token_hashes)
        except StorageError as error:
            log.info("a session that is over here is found later: %s", error.message)
