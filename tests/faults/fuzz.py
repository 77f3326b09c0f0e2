"""The fuzz run: hostile frames at sessions in this process, and at a server behind real sockets.

Whatever is sent, each frame gets exactly one reply, no exception escapes or is merely logged, and
nobody but the sender is touched: a bystander, who follows a thread of their own all the while, is
sent nothing, keeps its connection, and is answered afterwards as if nothing had been.
"""

import json
import logging
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp

from server.environment import system_environment
from server.services import Services
from tests.faults.campaign import Campaign, scenario
from tests.faults.hostile_frames import HostileFrames
from tests.support.client import Client, Identity, signed_in
from tests.support.in_process import Caller, open_test_services
from tests.support.served import served

FRAMES: Final = 100_000
"""In `make faults`."""
FRAMES_IN_SHORT: Final = 3_000
SOCKET_FRAMES: Final = 10_000
SOCKET_FRAMES_IN_SHORT: Final = 400

LINE_KEEPS: Final = 200
"""Frames after which a sender's line is emptied: they are looked at when they come."""


class Complaints(logging.Handler):
    """Keeps what is logged as an error: a failure that was caught is a failure all the same."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


@contextmanager
def complaints() -> Iterator[Complaints]:
    """What is logged as an error in the block."""
    handler = Complaints()
    logging.getLogger().addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger().removeHandler(handler)


async def fuzz_sessions(folder: Path, dice: random.Random, frames: int) -> Counter[str]:
    """Send `frames` hostile frames to sessions; gives how many got which answer.

    Raises:
        AssertionError: what the module promises did not hold; says which frame it was.
    """
    answers: Counter[str] = Counter()
    with complaints() as logged:
        ids = random.Random(dice.random())
        # Ids that the server makes are in later frames: they follow from the dice as well.
        environment = replace(system_environment(), new_id=lambda: _uuid(ids))
        async with open_test_services(folder, environment=environment, moody=True) as services:
            source = HostileFrames(dice)
            bystander = await Caller(services).sign_in(Identity())
            quiet = (await bystander.get("create_thread", name="Quiet"))["thread_id"]
            await bystander.get("get_thread", thread_id=quiet)
            undisturbed = len(bystander.line.frames)
            senders = [await _sender(services, number) for number in range(4)]
            for number in range(frames):
                place = dice.randrange(len(senders))
                sender = senders[place]
                text = source.next()
                reply = await sender.put(text)
                told = f"frame {number} was {text[:300]!r}"
                code = reply["data"].get("code", reply["type"])
                answers[code] += 1
                assert code != "internal", f"{told} and got {reply}"
                assert not logged.said, f"{told} and was complained of: {logged.said[0]}"
                assert len(bystander.line.frames) == undisturbed, f"{told} and reached another"
                source.learn(reply)
                if sender.line.closed:
                    sender.drop()
                    senders[place] = await _sender(services, place)
                elif len(sender.line.frames) > LINE_KEEPS:
                    sender.line.clear()
            assert bystander.line.closed is None
            assert (await bystander.ask("ping"))["type"] == "pong"
            head = await bystander.get("get_events", thread_id=quiet, after_seq=0)
            assert head["head_seq"] == 1, "nothing was written into the bystander's thread"
    return answers


def _uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


async def _sender(services: Services, number: int) -> Caller:
    """A connection to send from; the first is never signed in."""
    caller = Caller(services)
    return caller if number == 0 else await caller.sign_in(Identity())


async def fuzz_sockets(url: str, dice: random.Random, frames: int) -> Counter[str]:
    """Send `frames` hostile frames through sockets; gives how often which end came.

    Raises AssertionError as `fuzz_sessions`.
    """
    ends: Counter[str] = Counter()
    source = HostileFrames(dice)
    async with signed_in(url) as bystander, signed_in(url) as host:
        await bystander.new_thread()
        undisturbed = len(bystander.frames)
        thread_id = await host.new_thread(visibility="public")
        prompt = await host.ask("submit_prompt", thread_id=thread_id, prompt="Come and see")
        source.learn({"data": prompt})
        sent = 0
        while sent < frames:
            async with aiohttp.ClientSession() as http:
                ws = await http.ws_connect(f"{url}/ws", protocols=["chorus.v1"], max_msg_size=0)
                if dice.random() < 0.7:
                    await _sign_in(ws)
                sent += await _flood(ws, dice, source, min(200, frames - sent))
                ends[await _end(ws)] += 1
            await _unharmed(bystander, undisturbed)
            undisturbed = len(bystander.frames)
    return ends


async def _sign_in(ws: aiohttp.ClientWebSocketResponse) -> None:
    me = Identity()
    await ws.receive_json()
    await ws.send_json({"type": "connect", "id": "c", "data": {"public_key": me.public_key}})
    challenge = await ws.receive_json()
    signature = me.sign(challenge["data"]["statement"])
    await ws.send_json({"type": "authenticate", "id": "a", "data": {"signature": signature}})
    assert (await ws.receive_json())["type"] == "init"


async def _flood(
    ws: aiohttp.ClientWebSocketResponse, dice: random.Random, source: HostileFrames, frames: int
) -> int:
    """Send until `frames` are sent or the server has had enough; gives how many were."""
    for number in range(frames):
        try:
            if dice.random() < 0.01:
                await _break_the_rules(ws, dice)
            else:
                text = source.next()
                await ws.send_frame(text.encode(errors="replace"), aiohttp.WSMsgType.TEXT)
        except (ConnectionError, aiohttp.ClientError):
            return max(number, 1)
    return frames


async def _break_the_rules(ws: aiohttp.ClientWebSocketResponse, dice: random.Random) -> None:
    """What the websocket itself forbids."""
    match dice.randrange(3):
        case 0:
            await ws.send_frame(dice.randbytes(40), aiohttp.WSMsgType.BINARY)
        case 1:
            await ws.send_frame(b"\xff\xfe" + dice.randbytes(10), aiohttp.WSMsgType.TEXT)
        case _:
            await ws.send_frame(b"x" * 70_000, aiohttp.WSMsgType.TEXT)


async def _end(ws: aiohttp.ClientWebSocketResponse) -> str:
    """Hang up; how the connection ended."""
    await ws.close()
    return str(ws.close_code)


async def _unharmed(bystander: Client, undisturbed: int) -> None:
    assert (await bystander.ask("ping")) == {}
    alone = {"present": [bystander.public_key], "typing": []}
    more = [
        each
        for each in bystander.frames[undisturbed:]
        # Passing, and told at any moment: that the bystander is in their own thread.
        if not (each["type"] == "presence" and each["data"] == alone)
    ]
    assert [each["type"] for each in more] == ["pong"], f"a flood reached another: {more}"


@scenario("fuzz")
async def fuzz(campaign: Campaign) -> None:
    """Both floods, with the campaign's dice."""
    frames = FRAMES_IN_SHORT if campaign.short else FRAMES
    answers = await fuzz_sessions(campaign.folder / "sessions", campaign.random, frames)
    print("  ", json.dumps(answers), flush=True)
    campaign.injected("a hostile frame, in process", frames)
    frames = SOCKET_FRAMES_IN_SHORT if campaign.short else SOCKET_FRAMES
    folder = campaign.folder / "sockets"
    folder.mkdir()
    async with served(folder) as server:
        ends = await fuzz_sockets(server.url, campaign.random, frames)
    print("  ", json.dumps(ends), flush=True)
    campaign.injected("a hostile frame, through a socket", frames)
