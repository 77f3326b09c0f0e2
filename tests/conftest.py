"""What every test shares: hypothesis profiles, and counts that the run prints when it ends.

Only pieces that tests of several folders need live here; fakes and builders live beside the tests
that use them.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

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

_COUNTS = pytest.StashKey[list[str]]()

Tally = Callable[[str], None]
"""Takes one line, to be printed under "counts" when the run ends."""


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    """Keep a line for the terminal summary: what was counted, and out of how many."""
    return request.config.stash[_COUNTS].append


class _Gathering:
    """Where tests run in several processes: takes over what each of them counted."""

    def __init__(self, counts: list[str]) -> None:
        self._counts = counts

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._counts.extend(getattr(node, "workeroutput", {}).get("counts", ()))


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no counts."""
    config.stash[_COUNTS] = []
    config.pluginmanager.register(_Gathering(config.stash[_COUNTS]), "gathering")


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
