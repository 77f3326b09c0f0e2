"""Runs contestants: one process each, all of them in turn, round after round.

Rounds are interleaved, and each begins with the next contestant, so that a machine that grows slower
or warmer does so for everyone. A round that was not about its question (`Question.conditions`) is dropped
and run again, but no more often than there are rounds: a machine on which most of them fail is none
to measure on.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.figures import Contestant, Question, Round, unmet

ROOT: Final = Path(__file__).parent.parent
PEERS: Final = ROOT / ".venv-peers" / "bin" / "python"

_SHOWN: Final = 2_000
"""Characters of a contestant's complaint that are printed."""


Ask = Callable[[Contestant, Question], Mapping[str, float]]


class ContestantFailed(Exception):
    """A contestant did not finish its work; nothing of the round counts."""


def as_process(contestant: Contestant, question: Question) -> dict[str, float]:
    """Let a contestant do its work in a process of its own; what it told at the end.

    Raises:
        ContestantFailed: it did not end well, or in time, or told what was not asked.
    """
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
        raise ContestantFailed(f"{contestant.name} tells of {sorted(unknown)}, which was not asked")
    return {key: float(value) for key, value in told.items()}


def run(
    question: Question,
    count: int,
    *,
    on_dropped: Callable[[str], None],
    ask: Ask = as_process,
) -> Iterator[Round]:
    """Give `count` rounds, as they are done.

    Args:
        on_dropped: Hears of each round that does not count, and why.
        ask: Lets one contestant do its work, and gives its figures.

    Raises:
        ContestantFailed: one of them did, or too many rounds were dropped.
    """
    done = dropped = 0
    while done < count:
        shift = (done + dropped) % len(question.contestants)
        order = (*question.contestants[shift:], *question.contestants[:shift])
        told = {each.name: ask(each, question) for each in order}
        why = unmet(question, told)
        if why is None:
            done += 1
            yield {each.name: told[each.name] for each in question.contestants}
            continue
        dropped += 1
        if dropped > count:
            raise ContestantFailed(f"{dropped} rounds do not count, of the last because {why}")
        on_dropped(why)


def _environment() -> dict[str, str]:
    """As a person's shell has it, without what would make contestants differ from it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
    kept.pop("OPENAI_API_KEY", None)
    kept.pop("OPENAI_BASE_URL", None)
    # A matrix product on all cores would take the time of the processes that share them.
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
