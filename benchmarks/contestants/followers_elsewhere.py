"""How long after its own followers another server's get the same frame, over loopback.

Two servers, each a process, share a PostgreSQL that waits for the disk, and a Redis. One client follows
a thread at both. `entries` renames the thread again and again at the first server; `text` lets it carry
a run whose model writes a piece at a time. What is told is when the second connection got each frame,
counted from when the first one did; the text of both is gathered for 40 ms before.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from benchmarks.measure import percentile, tell
from tests.support.client import Client, Frame, Identity, signed_in
from tests.support.cluster import cluster_of
from tests.support.fake_qdrant import fake_qdrant
from tests.support.obedient_model import ObedientModel, obedient_model
from tests.support.postgres import cluster
from tests.support.redis import redis_server
from tests.support.scripted_endpoint import DONE, ScriptedEndpoint, chunk, line

FRAMES: Final = 300
FIRST: Final = 20
"""Frames that are not counted: connections and tables are warm after them."""
PAUSE: Final = 0.02
"""Seconds between two entries."""
PIECE_SECONDS: Final = 0.06
"""Between two pieces of the text, so that each is a frame of its own."""
PROMPT: Final = "Write slowly."


class Timed(list[Frame]):
    """Frames, and when each came."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[object, float] = {}

    def append(self, frame: Frame) -> None:
        super().append(frame)
        self.at[_name(frame)] = time.perf_counter()


def _name(frame: Frame) -> object:
    """The same of one entry, and of one piece, at both servers."""
    data = frame["data"]
    if frame.get("seq"):
        return frame["seq"]
    return (frame["type"], data.get("status"), data.get("step"), data.get("offset"))


async def entries(here: Client, there: Client, thread_id: str) -> set[object]:
    """Rename the thread; gives the names of the entries."""
    names: set[object] = set()
    for number in range(FRAMES):
        renamed = await here.ask("rename_thread", thread_id=thread_id, name=f"{number}")
        names.add(renamed["seq"])
        await asyncio.sleep(PAUSE)
    await there.until_seq(max(each for each in names if isinstance(each, int)))
    return names


async def text(here: Client, there: Client, thread_id: str) -> set[object]:
    """Let a run write; gives the names of its deltas."""
    run = await here.ask("submit_prompt", thread_id=thread_id, prompt=PROMPT)
    await there.response(run["run_id"], "completed", step="action")
    return {
        ("chorus_response", "delta", "action", each["offset"])
        for each in here.deltas(run["run_id"])
        if each["status"] == "delta" and each["step"] == "action"
    }


WORK: Final[dict[str, Callable[[Client, Client, str], Awaitable[set[object]]]]] = {
    "entries": entries,
    "text": text,
}


async def slowly(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
    """An answer of so many pieces."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for number in range(FRAMES):
        await response.write(line(chunk(f"piece {number} of it, ")))
        await asyncio.sleep(PIECE_SECONDS)
    for event in (line(chunk(finish="stop")), DONE):
        await response.write(event)
    return response


async def main(kind: str, folder: Path, database_url: str, redis_url: str) -> None:
    """Work, and tell the delays."""
    model: ObedientModel
    async with obedient_model() as model, fake_qdrant() as qdrant:
        model.plan(PROMPT, "action", slowly)
        stores: dict[str, Any] = {
            "database_url": database_url,
            "qdrant_url": qdrant.url,
            "redis_url": redis_url,
        }
        async with cluster_of(2, folder, model.url, **stores) as servers:
            ann = Identity()
            async with (
                signed_in(servers.urls[0], ann) as here,
                signed_in(servers.urls[1], ann) as there,
            ):
                thread_id = await here.new_thread()
                await there.follow(thread_id)
                here.frames, there.frames = Timed(), Timed()
                names = await WORK[kind](here, there, thread_id)
                delays = _delays(here.frames, there.frames, names)
    tell(
        frames=len(delays),
        p50=percentile(delays, 0.50) * 1_000,
        p99=percentile(delays, 0.99) * 1_000,
    )


def _delays(here: Timed, there: Timed, names: set[object]) -> list[float]:
    both = sorted(names & here.at.keys() & there.at.keys(), key=lambda name: here.at[name])
    return [max(0.0, there.at[name] - here.at[name]) for name in both[FIRST:]]


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as place,
        cluster(durable=True) as postgres,
        redis_server() as redis,
    ):
        url = postgres.database(migrated=True)
        asyncio.run(main(sys.argv[1], Path(place), url, redis.url))
