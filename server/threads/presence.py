"""Presence: which co-authors look at a thread now, and who of them types.

Passing frames, of which no journal knows. They go to the thread's co-authors who follow it, and tell of
them alone: who only reads a public thread is not shown, and sees nothing of it. A user who hides their
presence is not told of, and is told nothing. Frames of a thread are gathered: at most one a second,
however many come, go or type; it names a user once, however many connections they have. Who is at
other servers is told by them, and shown as if they were here.
"""

import asyncio
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from machines.models.ids import PublicKey, ThreadId
from machines.models.thread import Thread
from machines.models.wire.frames import (
    PresenceData,
    PresenceFrame,
)
from server.wire.codec import encode_server_frame

PRESENCE_SECONDS: Final = 1.0
"""At most one frame of a thread in so many seconds."""

TYPING_EACH_SECONDS: Final = 3.0
"""A user's typing in a thread counts once in so many seconds."""

TYPING_SECONDS: Final = 6.0
"""A user types until so many seconds after they last said so."""


class Company(NamedTuple):
    """Who is in a thread at one server."""

    present: tuple[PublicKey, ...] = ()
    typing: tuple[PublicKey, ...] = ()


class TakesFrames(Protocol):
    """Where a connection's frames go."""

    def send(self, text: str) -> None: ...


class Present(Protocol):
    """A connection that follows a thread."""

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def sink(self) -> TakesFrames: ...


@dataclass(slots=True)
class _Scene:
    """What is told of one thread."""

    thread: Thread
    """As it was after its last entry that is known here."""
    resting: asyncio.TimerHandle | None = None
    """Ends the second in which nothing more is sent; None where a change is told at once."""
    has_news: bool = False
    """Whether something changed in that second."""
    typing: dict[PublicKey, asyncio.TimerHandle] = field(default_factory=dict)
    """Who types, each with what ends it."""
    typed_at: dict[PublicKey, float] = field(default_factory=dict)
    """When each was last taken to type, by the loop's clock; only of those who type."""
    here: Company = field(default_factory=Company)
    """Who was here when it was told last."""


class Presence:
    """Tells co-authors of each other, in this process.

    Args:
        followers_of: the connections that follow a thread and are caught up.
        hold: calls what sends a frame of a thread once it is certain to whom it may be sent.
    """

    def __init__(
        self,
        followers_of: Callable[[ThreadId], Iterable[Present]],
        hold: Callable[[ThreadId, Callable[[], None]], None],
    ) -> None:
        self._followers_of = followers_of
        self._hold = hold
        self._scenes: dict[ThreadId, _Scene] = {}
        self._hiding: set[PublicKey] = set()
        self._elsewhere: dict[ThreadId, dict[str, Company]] = {}
        """Who is at other servers, by their names."""
        self._on_company: Callable[[ThreadId, Company], None] = lambda *_: None

    def report(self, on_company: Callable[[ThreadId, Company], None]) -> None:
        """Tell `on_company` who is here, whenever that changes; it never blocks."""
        self._on_company = on_company

    def here(self, thread_id: ThreadId) -> Company:
        """Who is in the thread here."""
        scene = self._scenes.get(thread_id)
        return Company() if scene is None else scene.here

    def elsewhere(self, thread_id: ThreadId, server: str, company: Company) -> None:
        """Another server tells who is in the thread there; it does so again when that changes."""
        servers = self._elsewhere.setdefault(thread_id, {})
        before = servers.pop(server, Company())
        if any(company):
            servers[server] = company
        if not servers:
            del self._elsewhere[thread_id]
        scene = self._scenes.get(thread_id)
        if scene is not None and company != before:
            self._news(thread_id, scene)

    def begins(self, thread_id: ThreadId) -> None:
        """The thread is followed here from now on: what was told of it before is not certain."""
        self._elsewhere.pop(thread_id, None)

    def heed(self, public_key: PublicKey, *, hides: bool) -> None:
        """Tell of a user from now on, and them of others; or neither."""
        if hides is (public_key in self._hiding):
            return
        if hides:
            self._hiding.add(public_key)
        else:
            self._hiding.discard(public_key)
        for thread_id, scene in tuple(self._scenes.items()):
            if public_key in scene.thread.co_authors:
                self._stop_typing(scene, public_key)
                self._news(thread_id, scene)

    def came(self, thread: Thread, public_key: PublicKey) -> None:
        """A user follows the thread on one more connection."""
        if not self._is_shown(public_key, thread):
            return
        scene = self._scenes.get(thread.id)
        if scene is None:
            scene = self._scenes[thread.id] = _Scene(thread)
        scene.thread = thread
        self._news(thread.id, scene)

    def went(self, thread_id: ThreadId, public_key: PublicKey) -> None:
        """A connection of a user follows the thread no more."""
        scene = self._scenes.get(thread_id)
        if scene is not None and self._is_shown(public_key, scene.thread):
            self._news(thread_id, scene)

    def changed(self, thread: Thread) -> None:
        """The thread goes on: its co-authors may be others."""
        scene = self._scenes.get(thread.id)
        if scene is None:
            return
        before, scene.thread = scene.thread, thread
        if before.co_authors != thread.co_authors:
            self._news(thread.id, scene)

    def types(self, thread: Thread, public_key: PublicKey) -> None:
        """A co-author says that they type."""
        scene = self._scenes.get(thread.id)
        if scene is None or not self._is_shown(public_key, thread):
            return
        loop = asyncio.get_running_loop()
        before = scene.typed_at.get(public_key)
        if before is not None and loop.time() - before < TYPING_EACH_SECONDS:
            return
        is_news = public_key not in scene.typing
        self._stop_typing(scene, public_key)
        scene.typed_at[public_key] = loop.time()
        scene.typing[public_key] = loop.call_later(
            TYPING_SECONDS, self._ends_typing, thread.id, public_key
        )
        if is_news:
            self._news(thread.id, scene)

    def said(self, thread_id: ThreadId, public_key: PublicKey) -> None:
        """A user's message stands in the thread: they type it no more."""
        scene = self._scenes.get(thread_id)
        if scene is not None and public_key in scene.typing:
            self._ends_typing(thread_id, public_key)

    def _ends_typing(self, thread_id: ThreadId, public_key: PublicKey) -> None:
        scene = self._scenes[thread_id]
        self._stop_typing(scene, public_key)
        self._news(thread_id, scene)

    @staticmethod
    def _stop_typing(scene: _Scene, public_key: PublicKey) -> None:
        timer = scene.typing.pop(public_key, None)
        if timer is not None:
            timer.cancel()
        scene.typed_at.pop(public_key, None)

    def _is_shown(self, public_key: PublicKey, thread: Thread) -> bool:
        return public_key in thread.co_authors and public_key not in self._hiding

    def _news(self, thread_id: ThreadId, scene: _Scene) -> None:
        """Tell now, or at the end of the second in which something was told."""
        if scene.resting is not None:
            scene.has_news = True
            return
        self._tell(thread_id, scene)
        if thread_id in self._scenes:
            loop = asyncio.get_running_loop()
            scene.resting = loop.call_later(PRESENCE_SECONDS, self._rested, thread_id)

    def _rested(self, thread_id: ThreadId) -> None:
        scene = self._scenes[thread_id]
        scene.resting = None
        if scene.has_news:
            scene.has_news = False
            self._news(thread_id, scene)

    def _tell(self, thread_id: ThreadId, scene: _Scene) -> None:
        audience = [
            each
            for each in self._followers_of(thread_id)
            if self._is_shown(each.public_key, scene.thread)
        ]
        keys = {each.public_key for each in audience}
        here = Company(
            tuple(key for key in scene.thread.co_authors if key in keys),
            tuple(key for key in scene.thread.co_authors if key in scene.typing),
        )
        if here != scene.here:
            scene.here = here
            self._on_company(thread_id, here)
        if not audience:
            for timer in scene.typing.values():
                timer.cancel()
            del self._scenes[thread_id]
            return
        all_here = [here, *self._elsewhere.get(thread_id, {}).values()]
        present = {key for each in all_here for key in each.present}
        typing = {key for each in all_here for key in each.typing}
        frame = PresenceFrame(
            thread_id=thread_id,
            data=PresenceData(
                present=tuple(key for key in scene.thread.co_authors if key in present),
                typing=tuple(key for key in scene.thread.co_authors if key in typing),
            ),
        )
        text = encode_server_frame(frame)
        self._hold(thread_id, lambda: self._send(thread_id, frozenset(audience), text))

    def _send(self, thread_id: ThreadId, audience: Set[Present], text: str) -> None:
        """Send a frame to those of its audience who may be shown it still."""
        if (scene := self._scenes.get(thread_id)) is None:
            return
        for each in self._followers_of(thread_id):
            if each in audience and self._is_shown(each.public_key, scene.thread):
                each.sink.send(text)
