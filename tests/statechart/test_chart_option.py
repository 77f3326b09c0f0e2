"""`chorus diagrams --chart`: what it says, on one line and with exit code 2, of a chart it cannot draw."""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.forked import run_forked

GOOD: Final = """
from statemachine import State
from machines.statechart import Chart

class Lamp(Chart[str]):
    machine = "lamp"
    dark = State(initial=True)
    lit = State(final=True)
    switch = dark.to(lit)

class Moody(Chart[str]):
    machine = "moody"
    dark = State(initial=True, enter=print)
    lit = State(final=True)
    switch = dark.to(lit, before=print)

class Broken: ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "lamps.py").write_text(GOOD)
    (tmp_path / "failing.py").write_text("raise ValueError('no bulb\\nin the lamp')")
    (tmp_path / "misdeclared.py").write_text(
        GOOD.replace("lit = State(final=True)", "lit = State(initial=True)")
    )
    return tmp_path


def draw(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run_forked(["-m", "server.cli", "diagrams", *options], os.environ, project, timeout=120)


def test_a_chart_is_drawn_into_a_folder_that_is_made(project: Path) -> None:
    drawn = draw(project, "--chart", "lamps:Lamp", "--out", "new/folder")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert sorted(each.name for each in (project / "new" / "folder").iterdir()) == [
        "lamp.dot",
        "lamp.json",
        "lamp.svg",
    ]


@pytest.mark.parametrize(
    ("format_", "file", "said"),
    [
        ("scxml", "lamp.scxml", '<transition event="switch" target="lit"'),
        ("xstate", "lamp.xstate.json", '"target": "#state_lamp_lit"'),
        ("mermaid", "lamp.mmd", "state_lamp_dark --> state_lamp_lit: switch"),
    ],
)
def test_a_chart_is_written_for_another_tool_into_the_current_folder(
    project: Path, format_: str, file: str, said: str
) -> None:
    written = draw(project, "--chart", "lamps:Lamp", "--format", format_)
    assert (written.returncode, written.stdout, written.stderr) == (0, f"{file}\n", "")
    assert said in (project / file).read_text()


REFUSED: Final = {
    "no colon": (("--chart", "lamps"), "'lamps' is not of the form package.module:Class."),
    "no class": (("--chart", "lamps:"), "'lamps:' is not of the form package.module:Class."),
    "no module": (
        ("--chart", "lanterns:Lamp"),
        "lanterns cannot be imported: ModuleNotFoundError: No module named 'lanterns'",
    ),
    "a path": (("--chart", "./lamps.py:Lamp"), "./lamps.py cannot be imported: "),
    "a module that fails": (
        ("--chart", "failing:Lamp"),
        "failing cannot be imported: ValueError: no bulb in the lamp",
    ),
    "a declaration that python-statemachine refuses": (
        ("--chart", "misdeclared:Lamp"),
        "misdeclared cannot be imported: InvalidDefinition: ",
    ),
    "a class that is missing": (("--chart", "lamps:Torch"), "lamps has no chart called Torch."),
    "a class that is no chart": (("--chart", "lamps:Broken"), "lamps has no chart called Broken."),
    "the base of the charts": (("--chart", "lamps:Chart"), "lamps has no chart called Chart."),
    "a chart that is not compiled": (
        ("--chart", "lamps:Moody"),
        "Moody is not compiled: dark has enter callbacks; put them on the edges; ",
    ),
    "a folder that is a file": (
        ("--chart", "lamps:Lamp", "--out", "lamps.py"),
        "lamps.py cannot be written: File exists.",
    ),
    "a check of another chart": (
        ("--chart", "lamps:Lamp", "--check"),
        "--check looks at Chorus' own drawings alone.",
    ),
    "a check of a format": (
        ("--format", "scxml", "--check"),
        "--check looks at Chorus' own drawings alone.",
    ),
    "a format that is not known": (
        ("--format", "uml"),
        "Invalid value for '--format': Value error, 'uml' is not one of 'scxml', 'xstate', 'mermaid'",
    ),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_drawn_gets_one_line(
    project: Path, options: tuple[str, ...], said: str
) -> None:
    refused = draw(project, *options)
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"chorus: {said}"), line
    assert not refused.stdout
