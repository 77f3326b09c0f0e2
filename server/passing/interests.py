"""Which server wants to be told of which thread.

Who begins to follow a thread asks all other servers; what it asked holds for a while, and it asks again as
long as it follows. To who asks for the first time, or lost some, the whole is told that there is. Nothing
is told where nothing is asked.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol, assert_never

from machines.models.ids import ThreadId
from server.passing.messages import Asks, Attendance, Joins, Piece, Told, decode, encode
from server.passing.port import Passing

RENEW_SECONDS: Final = 10.0
"""Between two times that a server asks for the threads that are followed at it."""

ASKED_SECONDS: Final = 25.0
"""How long what was asked holds."""

WHOLE_AGAIN_SECONDS: Final = 1.0
"""A thread is asked for whole at most once in so many seconds."""

_BYTES_OF_AN_ID: Final = 48
"""In what is asked, with room for what stands around the ids."""


class Teller(Protocol):
    """Tells one kind of thing, and takes it. Nothing here blocks or fails."""

    def tell_whole(self, thread_ids: Collection[ThreadId], to: str) -> None:
        """Send a server all that there is of these threads."""

    def take(self, told: Told) -> None:
        """Another server tells something; what is not of this kind is left alone."""

    def lose(self, thread_id: ThreadId, server: str) -> None:
        """A server is gone, or follows the thread no more."""


class Interests:
    """Asks, and is asked. `run` it while serving."""

    def __init__(
        self,
        passing: Passing,
        followed: Callable[[], Collection[ThreadId]],
        monotonic: Callable[[], float],
    ) -> None:
        """
        Args:
            followed: the threads that are followed here.
        """
        self._passing = passing
        self._followed = followed
        self._monotonic = monotonic
        self._tellers: list[Teller] = []
        self._asking: dict[ThreadId, dict[str, float]] = {}
        """Servers that ask for a thread, each with the time until which."""
        self._wanted: set[ThreadId] = set()
        """Threads that are asked for whole in the next turn of the loop."""
        self._resting: set[ThreadId] = set()
        """Threads that were asked for whole a moment ago."""
        self._wanted_again: set[ThreadId] = set()
        """Those of them that are to be asked for once more."""

    @property
    def name(self) -> str:
        """Of this server."""
        return self._passing.name

    @property
    def most_bytes(self) -> int:
        """Of one message."""
        return self._passing.most_bytes

    @property
    def gather_seconds(self) -> float:
        """How long pieces are gathered before they are told."""
        return self._passing.gather_seconds

    def subscribe(self, teller: Teller) -> None:
        """Let it tell what it has, and take what others tell."""
        self._tellers.append(teller)

    async def run(self) -> None:
        """Ask, tell and take, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._passing.run(self._take, self._join))
            tasks.create_task(self._renew())

    def connect_anew(self) -> None:
        """The database lost its place to another: what passes through it is heard there."""
        self._passing.connect_anew()

    # What others want

    def asking(self, thread_id: ThreadId) -> Collection[str]:
        """The servers that want to be told of a thread."""
        asking = self._asking.get(thread_id)
        if asking is None:
            return ()
        now = self._monotonic()
        return [server for server, until in asking.items() if until > now]

    def tell(self, told: Told, to: Collection[str]) -> None:
        """Tell servers; it may be lost."""
        text = encode(told)
        for server in to:
            self._passing.send(text, server)

    def _take(self, text: str) -> None:
        match message := decode(text):
            case None:
                pass
            case Joins(sender=sender):
                self._ask(self._followed(), whole=True, of=sender)
            case Asks():
                self._be_asked(message)
            case Piece() | Attendance():
                for teller in self._tellers:
                    teller.take(message)
            case _:
                assert_never(message)

    def _be_asked(self, asks: Asks) -> None:
        until = self._monotonic() + ASKED_SECONDS
        whole: set[ThreadId] = set()
        for thread_id in asks.thread_ids:
            asking = self._asking.setdefault(thread_id, {})
            if asks.whole or asks.sender not in asking:
                whole.add(thread_id)
            asking[asks.sender] = until
        if whole:
            for teller in self._tellers:
                teller.tell_whole(whole, asks.sender)

    # What is wanted here

    def want(self, thread_id: ThreadId) -> None:
        """Ask for the whole of a thread, soon."""
        if thread_id in self._resting:
            self._wanted_again.add(thread_id)
            return
        if not self._wanted:
            asyncio.get_running_loop().call_soon(self._ask_for_wanted)
        self._wanted.add(thread_id)

    def _ask_for_wanted(self) -> None:
        wanted, self._wanted = self._wanted, set()
        self._resting |= wanted
        asyncio.get_running_loop().call_later(WHOLE_AGAIN_SECONDS, self._rested, wanted)
        self._ask(wanted, whole=True)

    def _rested(self, thread_ids: Collection[ThreadId]) -> None:
        self._resting.difference_update(thread_ids)
        again = self._wanted_again.intersection(thread_ids)
        self._wanted_again -= again
        for thread_id in again:
            self.want(thread_id)

    def _join(self) -> None:
        """What was said until now is lost."""
        self._passing.send(encode(Joins(sender=self.name)))
        self._ask(self._followed(), whole=True)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            self._forget_some()
            self._ask(self._followed(), whole=False)

    def _forget_some(self) -> None:
        """Who did not ask again."""
        now = self._monotonic()
        for thread_id, asking in tuple(self._asking.items()):
            for server in [each for each, until in asking.items() if until <= now]:
                del asking[server]
                for teller in self._tellers:
                    teller.lose(thread_id, server)
            if not asking:
                del self._asking[thread_id]

    def _ask(self, thread_ids: Collection[ThreadId], *, whole: bool, of: str | None = None) -> None:
        """Ask one server, or all."""
        asked = tuple(thread_ids)
        most = self._passing.most_bytes // _BYTES_OF_AN_ID
        for begin in range(0, len(asked), most):
            some = asked[begin : begin + most]
            self._passing.send(encode(Asks(sender=self.name, thread_ids=some, whole=whole)), of)
