"""A client that reads on after it was sent away, and keeps what it was shown under each epoch.

reader = await Reader.begin(server, ann, thread_id)
...                                  # the database loses commits
await reader.sent_away()
reader.keep()
assert reader.seen[reader.epoch] == [1, 2, 3]
"""

from dataclasses import dataclass, field

from machines.models.wire.close_codes import CloseCode
from server.services import Services
from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller


@dataclass
class Reader:
    """A client that follows one thread, comes again when it is sent away, and keeps what it is shown
    under each epoch."""

    server: Services
    identity: Identity
    thread_id: str
    caller: Caller
    epoch: str = ""
    head: int = 0
    seen: dict[str, list[int]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """The codes that it got for what it remembered."""

    @classmethod
    async def begin(cls, server: Services, identity: Identity, thread_id: str) -> "Reader":
        caller = await Caller(server).sign_in(identity)
        reader = cls(server, identity, thread_id, caller)
        await reader.read()
        return reader

    async def sent_away(self) -> None:
        """Wait until the server closes the line, and come again with what is remembered."""
        line = self.caller.line
        await eventually(lambda: line.closed is not None, "the follower is sent away")
        assert line.closing_code == CloseCode.TOO_SLOW
        self.keep()
        self.caller.drop()
        self.caller = await Caller(self.server).resume(self.caller.token)
        reply = await self.caller.ask(
            "get_thread", thread_id=self.thread_id, after_seq=self.head, epoch=self.epoch
        )
        assert reply["type"] == "error", "what it remembers is void"
        self.refused.append(reply["data"]["code"])
        await self.read()

    async def read(self) -> None:
        """Follow the thread from its beginning."""
        self.epoch = await self.server.journal.epoch()
        shown = await self.caller.get("get_thread", thread_id=self.thread_id)
        page = await self.caller.get(
            "get_events", thread_id=self.thread_id, after_seq=0, limit=1000
        )
        self.head = shown["head_seq"]
        seqs = (each["seq"] for each in page["entries"])
        self.seen[self.epoch] = [seq for seq in seqs if seq <= self.head]

    async def has(self, seq: int) -> None:
        """Wait for an entry."""
        await self.caller.line.until(lambda each: each.get("seq") == seq, f"entry {seq}")

    def keep(self) -> None:
        """Count what came live since the last time."""
        seqs = [each["seq"] for each in self.caller.live(self.thread_id)]
        self.caller.line.clear()
        self.seen[self.epoch] += seqs
        self.head = max([self.head, *seqs])
