"""What waits for all peers together is bounded, and the one furthest behind goes first."""

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import web

from server.sockets.budget import BUFFERED_BYTES, OutboxBudget
from server.sockets.flusher import Flusher
from server.sockets.outbox import HIGH_WATER, Outbox
from tests.server.sockets.test_cost_of_fanout import Kept

PEERS = 5
KIB = 1_024


class Stalled:
    """A peer that reads nothing."""

    def __init__(self, flusher: Flusher) -> None:
        self.transport = Kept()
        self.transport.buffered = HIGH_WATER
        self.closed = False
        ws = web.WebSocketResponse(compress=False)
        self.outbox = Outbox(ws, self.transport, flusher, on_overflow=self.close)

    def close(self) -> None:
        self.closed = True


class Peers:
    """Peers that read nothing, and the budget that they share."""

    def __init__(self, most: int) -> None:
        self.given_up = 0
        self.budget = OutboxBudget(most, self.count)
        self.flusher = Flusher(asyncio.get_running_loop(), budget=self.budget)
        self.peers = [Stalled(self.flusher) for _ in range(PEERS)]

    def count(self) -> None:
        self.given_up += 1

    @property
    def closed(self) -> list[int]:
        """Which of them were closed."""
        return [place for place, peer in enumerate(self.peers) if peer.closed]

    def abort(self) -> None:
        for each in self.peers:
            each.outbox.abort()


@pytest.fixture
def peers() -> Iterator[list[Peers]]:
    made: list[Peers] = []
    yield made
    for each in made:
        each.abort()


async def some_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_past_the_budget_the_largest_is_closed_first(peers: list[Peers]) -> None:
    room = PEERS * BUFFERED_BYTES + 100 * KIB
    peers.append(all_of_them := Peers(room))
    for place, peer in enumerate(all_of_them.peers):
        peer.outbox.send("x" * (place + 1) * 5 * KIB)
    await some_turns()
    assert all_of_them.closed == []
    assert all_of_them.budget.used <= room
    all_of_them.peers[0].outbox.reply("x" * 40 * KIB)
    await some_turns()
    assert all_of_them.closed == [0], "it is the largest now"
    assert all_of_them.given_up == 1
    assert all_of_them.budget.used <= room
    for peer in all_of_them.peers[1:4]:
        peer.outbox.send("x" * 200 * KIB)
    await some_turns()
    assert all_of_them.closed == [0, 3], "the largest of them, and no more"
    assert all_of_them.budget.used <= room


async def test_what_is_written_or_dropped_waits_no_more(peers: list[Peers]) -> None:
    peers.append(all_of_them := Peers(0))
    first, second, *_ = all_of_them.peers
    first.outbox.send("x" * 50 * KIB)
    second.outbox.send("x" * 50 * KIB)
    await some_turns()
    assert all_of_them.budget.used > 2 * (BUFFERED_BYTES + 50 * KIB)
    first.transport.buffered = 0
    first.outbox.flush()
    second.outbox.abort()
    assert all_of_them.budget.used == 0


async def test_zero_is_no_limit(peers: list[Peers]) -> None:
    peers.append(all_of_them := Peers(0))
    for peer in all_of_them.peers:
        peer.outbox.send("x" * 900 * KIB)
    await some_turns()
    assert all_of_them.closed == []
