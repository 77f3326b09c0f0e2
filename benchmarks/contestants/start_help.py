"""A whole process: the command's help, or an interpreter that does nothing."""

import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.measure import tell

RUNS = 5

COMMANDS = {
    "chorus": [str(Path(sys.executable).with_name("chorus")), "--help"],
    "python": [sys.executable, "-c", "pass"],
}


def main() -> None:
    """Run it once for the disk's sake, then some times; tell the medians."""
    command = COMMANDS[sys.argv[1]]
    _, *taken = [_ran(command) for _ in range(RUNS + 1)]
    cpu, wall = (median(each) for each in zip(*taken, strict=True))
    tell(cpu=cpu, wall=wall)


def _ran(command: list[str]) -> tuple[float, float]:
    """Seconds of CPU and of time that one run takes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


if __name__ == "__main__":
    main()
