"""`python -m benchmarks`: ask the questions, and write down what came of it.

`python -m benchmarks scale` asks none: it calculates what so many users need (`benchmarks.scale`).
"""

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime

from benchmarks import scale
from benchmarks.figures import Question, Round
from benchmarks.questions import QUESTIONS
from benchmarks.report import RESULTS, keep, outcomes, write_page
from benchmarks.rounds import PEERS, ROOT, ContestantFailed, run

_LISTED = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
_NAMED = (
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "apache-burr",
    "transitions",
    "sismic",
)
"""Peers whose versions the page names."""


def main() -> int:
    """Ask; 0 where every question could be asked, whatever the answers are."""
    if sys.argv[1:2] == ["scale"]:
        return scale.main(sys.argv[2:])
    names = [each.name for each in QUESTIONS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="question", help=", ".join(names))
    parser.add_argument("--rounds", type=int, help="instead of each question's own number")
    parser.add_argument("--page", action="store_true", help="write the page anew, ask nothing")
    chosen = parser.parse_args()
    if unknown := set(chosen.only) - set(names):
        parser.error(
            f"no such question: {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error("--rounds begins at 1")
    asked = (
        [] if chosen.page else [each for each in QUESTIONS if each.name in (chosen.only or names)]
    )
    failed = [each.name for each in asked if not _ask(each, chosen.rounds or each.rounds)]
    write_page(QUESTIONS)
    _draw(asked)
    if failed:
        print(f"could not be asked: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _ask(question: Question, count: int) -> bool:
    print(f"\n{question.title} ({count} rounds)", flush=True)
    rounds: list[Round] = []
    dropped: list[str] = []

    def drop(why: str) -> None:
        dropped.append(why)
        print(f"  a round is run again: {why}", flush=True)

    try:
        for each in run(question, count, on_dropped=drop):
            rounds.append(each)
            print(f"  round {len(rounds)} done", flush=True)
    except ContestantFailed as error:
        print(f"  {error}", file=sys.stderr)
        return False
    keep(question, rounds, _peers(), datetime.now(UTC), dropped=len(dropped))
    for result in outcomes(question, rounds):
        mark = "reached" if result.reached else "NOT REACHED"
        print(f"  {mark}: {result.target.sentence}: {result.spread.middle:.3g}")
    return True


def _peers() -> dict[str, str]:
    listed = subprocess.run(
        [str(PEERS), "-c", _LISTED], capture_output=True, text=True, check=True
    ).stdout
    return {name: number for name, number in json.loads(listed).items() if name in _NAMED}


def _draw(asked: list[Question]) -> None:
    files = [RESULTS / f"{each.name}.json" for each in asked]
    there = [str(file) for file in files if file.exists()]
    if there:
        command = [str(PEERS), "-m", "benchmarks.plots", *there]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
