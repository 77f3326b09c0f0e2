"""What an entry may cost for each who follows its thread, counted instead of timed.

Thousands may follow a thread, so that whatever is done for each of them is most of what an entry
costs. The broadcast and the outboxes are the real ones; transports only keep what they are given.
"""

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from machines.models.ids import PublicKey, ThreadId, thread_stream
from machines.models.thread import Thread, Visibility
from machines.models.wire.envelope import ServerFrame
from server.sockets.flusher import Flusher
from server.sockets.outbox import HIGH_WATER, Outbox
from server.sockets.queued import text_frame
from server.threads import broadcast
from server.threads.broadcast import Broadcast
from server.wire import presenter
from server.wire.codec import encode_server_frame
from server.wire.presenter import LiveEntry
from tests.support.journal_values import ANN, entry, thread

FOLLOWERS = 50

THREAD: Thread = thread("followed", ANN, visibility=Visibility.PUBLIC)


class Kept(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.buffered = 0
        self.closing = False

    def write(self, data: "bytes | bytearray | memoryview[int]") -> None:
        assert isinstance(data, bytes)
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


class Follower:
    """A person on a line of their own."""

    def __init__(self, name: str, flusher: Flusher) -> None:
        self.public_key = PublicKey(name)
        self.transport = Kept()
        ws = web.WebSocketResponse(compress=False)
        self.sink = Outbox(ws, self.transport, flusher, on_overflow=self.too_slow)
        self.given_up = False

    def lose_thread(self, thread_id: ThreadId) -> None:
        raise AssertionError("the thread is public")

    def too_slow(self) -> None:
        self.given_up = True


class Hall:
    """Followers of one public thread, all of them live."""

    def __init__(self, count: int) -> None:
        self.ticks_written: list[int] = []
        loop = asyncio.get_running_loop()
        flusher = Flusher(loop, lambda frames, _: self.ticks_written.append(frames))
        self.broadcast = Broadcast()
        self.followers = [Follower(f"follower {number}", flusher) for number in range(count)]
        for each in self.followers:
            self.broadcast.follow(THREAD.id, each)
            self.broadcast.go_live(THREAD.id, each, THREAD, 0)

    def publish(self, *seqs: int) -> list[LiveEntry]:
        stream = thread_stream(THREAD.id)
        entries = [LiveEntry(entry(stream).model_copy(update={"seq": seq})) for seq in seqs]
        self.broadcast.publish(THREAD, entries)
        return entries


async def test_an_entry_is_framed_once_and_is_one_write_of_the_same_bytes_to_each_follower() -> (
    None
):
    hall = Hall(FOLLOWERS)
    (published,) = hall.publish(1)
    frame = text_frame(published.full.encode())
    first, *_ = hall.followers[0].transport.written
    for each in hall.followers:
        assert each.transport.written == [frame]
        assert each.transport.written[0] is first, "a frame is built once, for all who get it"
        assert each.sink.waiting == 0, "what can be written at once is not queued"
    await asyncio.sleep(0)
    assert hall.ticks_written == [FOLLOWERS]


async def test_an_entry_asks_the_loop_once_however_many_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hall = Hall(FOLLOWERS)
    asked: list[object] = []
    call_soon: Callable[..., asyncio.Handle] = asyncio.get_running_loop().call_soon

    def counting(callback: Callable[..., object], *args: object, **named: object) -> asyncio.Handle:
        asked.append(callback)
        return call_soon(callback, *args, **named)

    monkeypatch.setattr(asyncio.get_running_loop(), "call_soon", counting)
    hall.publish(1)
    monkeypatch.undo()
    assert len(asked) == 1, (
        "one callback ends the tick for everybody: see what else asks the loop for each follower"
    )


async def test_entries_of_one_commit_are_two_writes_to_each_follower() -> None:
    hall = Hall(FOLLOWERS)
    published = hall.publish(1, 2, 3)
    await asyncio.sleep(0)
    frames = [text_frame(each.full.encode()) for each in published]
    for each in hall.followers:
        assert each.transport.written == [frames[0], frames[1] + frames[2]]


async def test_a_notice_is_encoded_when_it_is_sent_and_once_for_all_who_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hall = Hall(0)
    author = PublicKey(THREAD.co_authors[0])
    flusher = Flusher(asyncio.get_running_loop())
    lines = [Follower(author, flusher) for _ in range(3)]
    for each in lines:
        hall.broadcast.users.attach(each)
    encoded: list[ServerFrame] = []

    def counting(frame: ServerFrame) -> str:
        encoded.append(frame)
        return encode_server_frame(frame)

    monkeypatch.setattr(presenter, "encode_server_frame", counting)
    hall.publish(1)
    assert len(encoded) == 1, "all lines get the text that was encoded for the first"
    hall.publish(2)
    hall.publish(3)
    assert len(encoded) == 1, "what is gathered into a later notice is not encoded for nothing"
    assert all(len(each.transport.written) == 1 for each in lines)
    for each in lines:
        hall.broadcast.users.detach(each)


async def test_who_is_given_up_while_catching_up_takes_nobody_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broadcast, "MAX_COLLECTED", 1)
    hall = Hall(2)
    late = Follower("late", Flusher(asyncio.get_running_loop()))
    hall.broadcast.follow(THREAD.id, late)
    hall.publish(1, 2, 3, 4)
    await asyncio.sleep(0)
    assert late.given_up
    assert not hall.broadcast.follows(THREAD.id, late)
    assert late.transport.written == []
    for each in hall.followers:
        assert b"".join(each.transport.written).count(b'"type"') == 4
        assert not each.given_up


async def test_a_frame_waits_where_the_transport_is_full_and_nobody_else_waits_with_it() -> None:
    hall = Hall(3)
    stalled, *others = hall.followers
    stalled.transport.buffered = HIGH_WATER
    (published,) = hall.publish(1)
    await asyncio.sleep(0)
    frame = text_frame(published.full.encode())
    assert stalled.transport.written == []
    assert stalled.sink.waiting == len(frame)
    assert [each.transport.written for each in others] == [[frame], [frame]]
    stalled.sink.abort()


async def test_nothing_is_written_to_a_line_that_closes_and_the_others_are_told() -> None:
    hall = Hall(3)
    leaving, *others = hall.followers
    leaving.transport.closing = True
    hall.publish(1)
    await asyncio.sleep(0)
    assert leaving.transport.written == []
    assert leaving.sink.waiting == 0, "nothing is kept for who is gone"
    assert [len(each.transport.written) for each in others] == [1, 1]
