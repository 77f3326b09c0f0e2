"""A release after this one: this version's code with further revisions of the journal, and as a process
with another chart of runs.

    with next_release(ADDITIVE):
        migrate(address, new_epoch)

    python -m tests.support.next_release serve ...

The revisions are in `tests.support.next_revisions`. Up to `ADDITIVE` servers of this version go on beside
them, behind `STOPPING` they cannot. The chart of the process has one guard more, which always holds, so
that it leads a run through the same states and has a fingerprint of its own.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

FIRST: Final = "9001"
ADDITIVE: Final = "9003"
STOPPING: Final = "9004"

REVISIONS: Final = Path(__file__).parent / "next_revisions"

PROGRAM: Final = ("-m", "tests.support.next_release", "serve")

_CHART: Final = "machines.chorus"
_GUARD: Final = '''
def is_wanted_no_more(run: ChorusState, _: object) -> bool:
    """Whoever may cancel it has asked for that."""
    return True


class ChorusChart('''
_CHANGES: Final = {
    "\nclass ChorusChart(": _GUARD,
    "queued.to(cancelled), do=[stop]": "queued.to(cancelled), when=[is_wanted_no_more], do=[stop]",
}
"""What its source says in place of what this version's says."""


@contextmanager
def next_release(revision: str) -> Iterator[None]:
    """Let this process be of a release whose last revision is this."""
    from storage.journal import migrations

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, REVISIONS))
        patch.setattr(migrations, "REVISION", revision)
        yield


def install_chart() -> None:
    """Load the chart of the next release; nothing that imports it may have been imported."""
    spec = importlib.util.find_spec(_CHART)
    assert spec is not None
    assert spec.origin is not None
    assert _CHART not in sys.modules
    source = Path(spec.origin).read_text("utf-8")
    for old, new in _CHANGES.items():
        assert source.count(old) == 1, f"the chart's source has {old!r} no more"
        source = source.replace(old, new)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_CHART] = module
    exec(compile(source, spec.origin, "exec"), module.__dict__)  # noqa: S102 - our own source


def main() -> None:
    """Run a command of the next release, its event loop watched."""
    if _CHART in sys.modules:  # of a process that was forked from one with this version's code
        again = [sys.executable, "-m", "tests.support.next_release", *sys.argv[1:]]
        os.execv(again[0], again)  # noqa: S606 - our own arguments
    install_chart()
    from tests.support import watched_server

    with next_release(ADDITIVE):
        watched_server.main()


if __name__ == "__main__":
    main()
