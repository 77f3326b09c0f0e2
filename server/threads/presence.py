"""Presence: which co-authors look at a thread now, and who of them types.

Passing frames, of which no journal knows. They go to the thread's co-authors who follow it, and tell of
them alone: who only reads a public thread is not shown, and sees nothing of it. A user who hides their
presence is not told of, and is told nothing. Frames of a thread are gathered: at most one a second,
however many come, go or type; it names a user once, however many connections they have.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from machines.models.ids import PublicKey, ThreadId
from machines.models.thread import Thread
from machines.models.wire.frames import PresenceData, PresenceFrame
from server.wire.codec import encode_server_frame

PRESENCE_SECONDS: Final = 1.0
"""At most one frame of a thread in so many seconds."""

TYPING_EACH_SECONDS: Final = 3.0
"""A user's typing in a thread counts once in so many seconds."""

TYPING_SECONDS: Final = 6.0
"""A user types until so many seconds after they last said so."""


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


class Presence:
    """Tells co-authors of each other, in this process.

    Args:
        followers_of: the connections that follow a thread and are caught up.
    """

    def __init__(self, followers_of: Callable[[ThreadId], Iterable[Present]]) -> None:
        self._followers_of = followers_of
        self._scenes: dict[ThreadId, _Scene] = {}
        self._hiding: set[PublicKey] = set()

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
        if not audience:
            for timer in scene.typing.values():
                timer.cancel()
            del self._scenes[thread_id]
            return
        present = {each.public_key for each in audience}
        frame = PresenceFrame(
            thread_id=thread_id,
            data=PresenceData(
                present=tuple(key for key in scene.thread.co_authors if key in present),
                typing=tuple(key for key in scene.thread.co_authors if key in scene.typing),
            ),
        )
        text = encode_server_frame(frame)
        for each in audience:
            each.sink.send(text)
