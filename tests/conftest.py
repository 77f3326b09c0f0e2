"""What every test shares: hypothesis profiles, a model and a server for each module that asks for
them, and counts that the run prints when it ends.

Only pieces that tests of several folders need live here; fakes and builders are in `tests.support`,
or beside the tests that use them.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from server.gc_tuning import freeze_gc
from tests.support.empty_journal import put_empty_journal
from tests.support.loop_watch import watched_loops
from tests.support.memory_folder import move_files_into_memory
from tests.support.obedient_model import ObedientModel, obedient_model
from tests.support.postgres import Cluster, cluster
from tests.support.served import ServerProcess, served
from tests.support.shared_weights import share_weights

settings.register_profile(
    "suite",
    max_examples=60,
    deadline=None,  # a busy machine is slow, and that is no defect
    derandomize=True,  # green is green for everybody; new examples are what `thorough` is for
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("suite"), max_examples=1_000, derandomize=False
)
settings.load_profile("suite")  # another by `pytest --hypothesis-profile=thorough`

_SERVES_NO_CLIENT = re.compile(
    r"/server/(services\.py:open_services|stores\.py:open_stores|http/routes\.py:http_routes):"
    r"|/storage/qdrant/bounded_http\.py:_serve:"
)
"""Frames of a start, which opens the stores and writes the documents, and of requests to a Qdrant
server, which have a loop of their own, in a thread of its own."""

_COUNTS = pytest.StashKey[list[str]]()

Tally = Callable[[str], None]
"""Takes one line, to be printed under "counts" when the run ends."""


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    """Keep a line for the terminal summary: what was counted, and out of how many."""
    return request.config.stash[_COUNTS].append


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ObedientModel]:
    """The model endpoint of a module's server."""
    async with obedient_model() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    request: pytest.FixtureRequest, model: ObedientModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """One server for a module, in a process of its own, with `model` behind it.

    The module's mark `settings(...)` gives its settings; `llm="offline"` leaves the model out.
    """
    mark = request.node.get_closest_marker("settings")
    chosen: dict[str, Any] = {"llm": model.url, **(mark.kwargs if mark else {})}
    folder = tmp_path_factory.mktemp("server")
    await asyncio.to_thread(put_empty_journal, folder / "data")
    async with served(folder, **chosen) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL for all tests of this process."""
    with cluster() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def shared_weights() -> Iterator[None]:
    """The local embedder's weights, loaded at most once for all tests of this process."""
    with pytest.MonkeyPatch.context() as patch:
        share_weights(patch)
        yield


@pytest.fixture(autouse=True)
def held_loops() -> Iterator[None]:
    """Fail a test in which our code has held an event loop: everybody else would have waited.

    A loop that serves no client is none of it, nor is what a test computes itself.
    """
    with watched_loops() as holds:
        yield
    held = [each for each in holds if each.is_in("server", "machines", "storage")]
    found = [str(each) for each in held if not any(map(_SERVES_NO_CLIENT.search, each.stack))]
    assert not found, "the event loop was held:\n" + "\n".join(found)


@pytest.fixture(autouse=True)
def coverage_paused(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a test is marked `unmeasured`: measuring makes it take twice as long."""
    coverage = sys.modules.get("coverage")  # there only where it measures
    running = None if coverage is None else coverage.Coverage.current()
    if running is None or request.node.get_closest_marker("unmeasured") is None:
        yield
        return
    running.stop()
    yield
    running.start()


class _Gathering:
    """Where tests run in several processes: takes over what each of them counted."""

    def __init__(self, counts: list[str]) -> None:
        self._counts = counts

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._counts.extend(getattr(node, "workeroutput", {}).get("counts", ()))


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no counts, and with a place for files."""
    if not hasattr(config, "workerinput"):  # a worker has it from the process that starts it
        config.add_cleanup(move_files_into_memory())
    config.stash[_COUNTS] = []
    config.pluginmanager.register(_Gathering(config.stash[_COUNTS]), "gathering")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays as long as the process: all tests and modules."""
    freeze_gc()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts of a worker process to the one that prints them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["counts"] = session.config.stash[_COUNTS]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the counts; with `-q` too, since they are what a reviewer looks for."""
    counts = config.stash[_COUNTS]
    if counts:
        terminalreporter.section("counts")
        for line in counts:
            terminalreporter.write_line(line)
