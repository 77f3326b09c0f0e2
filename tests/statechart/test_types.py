"""What the type checker says of charts whose guards and actions do not fit: a file of known faults."""

import os
import re
import subprocess
import sys
from pathlib import Path

FAULTS = Path(__file__).with_name("faulty_charts.py.txt")
"""Each faulty line ends in a comment with the code and the words that mypy must say of it."""

EXPECTED = re.compile(r"#! \[(?P<code>[a-z-]+)\] (?P<words>.+)$")
SAID = re.compile(r"^[^:]+:(?P<line>\d+): error: (?P<words>.+?)  \[(?P<code>[a-z-]+)\]$")


def test_mypy_names_every_fault_of_the_faulty_charts_and_no_other(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    text = FAULTS.read_text()
    source = tmp_path / "faulty_charts.py"
    source.write_text(text)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", source],
        cwd=root,
        env=os.environ | {"MYPYPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = {
        int(found["line"]): (found["code"], found["words"])
        for line in checked.stdout.splitlines()
        if (found := SAID.match(line))
    }
    expected = {
        number: (found["code"], found["words"])
        for number, line in enumerate(text.splitlines(), 1)
        if (found := EXPECTED.search(line))
    }
    assert expected
    assert set(said) == set(expected), checked.stdout
    for number, (code, words) in expected.items():
        assert said[number][0] == code, checked.stdout
        assert words in said[number][1], checked.stdout
