"""The kernel's README is true: its example draws, refuses and is covered, as it stands there."""

import doctest
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import machines.statechart

README = Path(machines.statechart.__file__).with_name("README.md")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that holds the example as the README says to save it."""
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "review.py").write_text(example)
    return tmp_path


def run(*command: str | Path, at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=at, capture_output=True, text=True, timeout=300
    )


def test_its_test_passes(project: Path) -> None:
    tested = run("pytest", "review.py", "-p", "no:cacheprovider", at=project)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr


def test_it_is_typed(project: Path) -> None:
    checked = run("mypy", "--strict", "review.py", at=project)
    assert checked.returncode == 0, checked.stdout


def test_it_draws_itself(project: Path) -> None:
    drawn = run(
        "server.cli", "diagrams", "--chart", "review:ReviewChart", "--out", "drawings", at=project
    )
    assert drawn.returncode == 0, drawn.stderr
    drawing = (project / "drawings" / "review.svg").read_text()
    assert 'id="edge_review_merge_open_merged"' in drawing
    assert "enough_approvals" in drawing


def test_it_answers_as_shown(project: Path) -> None:
    (session,) = re.findall(r"```pycon\n(.*?)```", README.read_text(), re.DOTALL)
    sys.path.insert(0, str(project))
    try:
        test = doctest.DocTestParser().get_doctest(session, {}, "README", str(README), 0)
        assert doctest.DocTestRunner().run(test).failed == 0
    finally:
        sys.path.remove(str(project))
        sys.modules.pop("review", None)


def test_its_example_is_about_forty_lines_of_code() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    lines = [line for line in example.splitlines() if line.strip()]
    assert len(lines) <= 48


def test_the_kernel_needs_nothing_but_python_statemachine_and_the_standard_library() -> None:
    folder = README.parent
    imported = {
        match[1] or match[2]
        for path in folder.glob("*.py")
        for match in re.finditer(r"^(?:from (\w+)|import (\w+))", path.read_text(), re.MULTILINE)
    }
    assert imported - {"machines", "statemachine"} <= sys.stdlib_module_names
    assert importlib.util.find_spec("statemachine")
