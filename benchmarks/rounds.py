"""Runs contestants: one process each, all of them in turn, round after round.

Rounds are interleaved, and each begins with the next contestant, so that a machine that grows slower
or warmer does so for everyone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.figures import Contestant, Question, Round

ROOT: Final = Path(__file__).parent.parent
PEERS: Final = ROOT / ".venv-peers" / "bin" / "python"

_SHOWN: Final = 2_000
"""Characters of a contestant's complaint that are printed."""


class ContestantFailed(Exception):
    """A contestant did not finish its work; nothing of the round counts."""


def run(question: Question, count: int) -> Iterator[Round]:
    """Give `count` rounds, as they are done.

    Raises:
        ContestantFailed: one of them did.
    """
    for number in range(count):
        shift = number % len(question.contestants)
        order = (*question.contestants[shift:], *question.contestants[:shift])
        told = {each.name: _figures(each, question) for each in order}
        yield {each.name: told[each.name] for each in question.contestants}


def _figures(contestant: Contestant, question: Question) -> dict[str, float]:
    python = str(PEERS) if contestant.peer else sys.executable
    command = [
        python,
        "-m",
        f"benchmarks.contestants.{contestant.module}",
        *contestant.arguments,
    ]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=question.seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ContestantFailed(f"{contestant.name}: {error}") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        raise ContestantFailed(
            f"{contestant.name}: {' '.join(command)} ended with {done.returncode}\n"
            f"{done.stderr[-_SHOWN:]}"
        )
    told = json.loads(lines[-1])
    unknown = told.keys() - {figure.key for figure in question.figures}
    if unknown:
        raise ContestantFailed(f"{contestant.name} tells of {sorted(unknown)}, which nobody asked")
    return {key: float(value) for key, value in told.items()}


def _environment() -> dict[str, str]:
    """As a person's shell has it, without what would make contestants differ from it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
    kept.pop("OPENAI_API_KEY", None)
    kept.pop("OPENAI_BASE_URL", None)
    # A matrix product on all cores would take the time of whoever shares them.
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
