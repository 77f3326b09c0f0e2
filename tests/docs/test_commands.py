"""What the documents tell to type works as it stands there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs.markdown import ROOT, commands, document

MOST_WORDS: Final = 900
"""Of the README: who reads it has a minute."""

CUT: Final = "..."
"""A line that stands for others which a transcript leaves out."""

CHANGING: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Ids, which are others each time."""

DEADLINE: Final = 120.0
"""Seconds; a busy machine is slow, and that is no defect."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout after `make setup`, without data."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def typed(command: str, folder: Path) -> str:
    """What a shell prints for `command`, which must succeed."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHORUS_", "OPENAI_", "XDG_", "PYTHON", "MAKE"))
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=kept | {"HOME": str(folder), "CHORUS_LLM": "offline", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def told_in_order(shown: str, output: str) -> str | None:
    """The first line of a transcript that the output lacks, or has earlier than it should."""
    lines = iter(CHANGING.sub("ID", line).rstrip() for line in output.splitlines())
    for line in shown.splitlines():
        wanted = CHANGING.sub("ID", line).rstrip()
        if wanted and wanted != CUT and wanted not in lines:
            return line
    return None


def test_the_readme_is_short() -> None:
    words = len(document("README.md").text.split())
    assert words <= MOST_WORDS, f"the README has {words} words"


def test_the_commands_of_the_readme_do_what_it_shows(checkout: Path) -> None:
    done = [each for block in document("README.md").blocks("console") for each in commands(block)]
    assert [command.split()[0] for command, _ in done].count("make") == 2
    for command, shown in done:
        if command.startswith("make "):
            # Whether there is such a goal, and what it needs; carrying it out is not cheap.
            typed(f"{command} --dry-run", ROOT)
            continue
        missing = told_in_order(shown, typed(command, checkout))
        assert missing is None, f"{command} does not print: {missing}"


def test_a_backup_is_made_and_restored_as_operations_says(checkout: Path) -> None:
    page = document("docs/operations.md")
    steps = commands(page.section("Backup and restore").console)
    # What runs in containers needs a daemon of theirs.
    (backup, _), *restore = (step for step in steps if not step[0].startswith("docker "))
    typed(f".venv/bin/chorus ask {shlex.quote('Kept.')}", checkout)
    typed(backup, checkout)
    typed(f".venv/bin/chorus ask {shlex.quote('Lost.')}", checkout)
    said = [typed(command, checkout) for command, _ in restore]
    assert "Everything agrees." in said[-1]
    kept = typed("sqlite3 chorus-data/journal.sqlite3 'SELECT count(*) FROM messages'", checkout)
    assert kept.strip() == "2", "a prompt and its answer are from before the backup"


def test_a_transcript_is_held_against_all_that_is_printed() -> None:
    output = f"one\nthread {'0' * 8}-0000-4000-8000-{'0' * 12}\nthree"
    assert told_in_order(f"one\n...\nthread {'1' * 8}-1111-4111-8111-{'1' * 12}", output) is None
    assert told_in_order("three\none", output) == "one"
    assert told_in_order("two", output) == "two"
