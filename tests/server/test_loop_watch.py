"""The watch that fails a test in which the event loop was held, held against loops that are."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from tests.support.client import connected
from tests.support.eventually import eventually
from tests.support.loop_watch import MOST_SECONDS, ROOT, Hold, watched_loops
from tests.support.served import ServerProcess
from tests.support.watched_server import HELD

LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


def computed(seconds: float) -> None:
    """Use the processor for so long."""
    begun = time.thread_time()
    while time.thread_time() - begun < seconds:
        pass


def run(new_loop: Callable[[], asyncio.AbstractEventLoop], hold: Callable[[], object]) -> None:
    """A loop with one callback that holds it."""

    async def main() -> None:
        hold()
        await asyncio.sleep(0)  # the mark that was posted meanwhile is taken

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


@LOOPS
def test_who_computes_on_the_loop_is_named(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with watched_loops() as holds:
        run(new_loop, lambda: computed(4 * MOST_SECONDS))
    (hold,) = holds
    assert hold.seconds > 3 * MOST_SECONDS
    assert any(":computed:" in each for each in hold.stack), str(hold)
    assert hold.is_in("tests")
    assert not hold.is_in("server", "machines", "storage")


@LOOPS
def test_who_waits_holds_nothing(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with watched_loops() as holds:
        run(new_loop, lambda: time.sleep(4 * MOST_SECONDS))
    assert holds == [], "another process may have had the machine: nothing was computed"


def test_our_code_is_known_by_its_folder() -> None:
    hold = Hold(0.1, (f"{ROOT}/tests/server/test_it.py:test:1", f"{ROOT}/server/app.py:serve:9"))
    assert hold.is_in("server")
    assert not hold.is_in("machines", "storage")
    assert str(hold) == "100 ms in tests/server/test_it.py:test:1 > server/app.py:serve:9"


async def test_a_server_in_a_process_of_its_own_says_what_held_its_loop(tmp_path: Path) -> None:
    program, held = tmp_path / "holding.py", tmp_path / "held"
    program.write_text(
        "import asyncio, pathlib, time\n"
        "from server.commands import serve\n"
        "from tests.support import watched_server\n"
        "announce = serve.announce\n"
        "def holding(line):\n"
        "    def hold():\n"
        "        end = time.thread_time() + 0.3\n"
        "        while time.thread_time() < end: pass\n"
        f"        pathlib.Path({str(held)!r}).touch()\n"
        "    asyncio.get_running_loop().call_later(0.2, hold)\n"
        "    announce(line)\n"
        "serve.announce = holding\n"
        "watched_server.main()\n"
    )
    server = ServerProcess(tmp_path, "offline", {"port": 0}, (str(program), "serve"))
    await server.start()
    async with connected(server.url) as client:
        await eventually(held.exists, "the server has held its loop")
        await client.ask("ping")
    await server.stop()
    assert HELD in server.log()
    assert ":hold:" in server.log()
