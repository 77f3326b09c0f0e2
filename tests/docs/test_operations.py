"""`docs/operations.md` has every setting and every metric, and the documents name no others."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from server.cli import app
from server.metrics import Metrics
from server.settings import Settings, load_settings, variable
from tests.docs.markdown import ROOT, Document, document, documents

PACKAGES: Final = ("machines", "storage", "diagrams", "server")
ELSEWHERE: Final = ("tests", "benchmarks", "Makefile")
VARIABLE: Final = re.compile(r"\bCHORUS_[A-Z]+(?:_[A-Z]+)*\b")


@pytest.fixture(scope="module")
def operations() -> Document:
    """The page."""
    return document("docs/operations.md")


def test_every_setting_has_a_row_with_its_default(
    operations: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in tuple(os.environ):
        if name.startswith(("CHORUS_", "OPENAI_")):
            monkeypatch.delenv(name)
    defaults = {}
    for line in load_settings({}).show():
        name, _, value = line.removesuffix("# default").strip().partition(" ")
        defaults[name] = value.strip()
    rows = {
        row[0].text: row[1].text
        for heading in ("The server", "The model", "The memory", "Limits")
        for row in operations.section(heading).table()
        if len(row) == 3
    }
    assert rows == defaults
    assert rows.keys() == {variable(name) for name in Settings.model_fields}


def test_every_variable_of_the_code_is_explained(operations: Document) -> None:
    read = _variables(PACKAGES)
    assert not read - set(VARIABLE.findall(operations.text))


@pytest.mark.parametrize("page", documents(), ids=lambda each: str(each.name))
def test_no_document_names_a_variable_that_nothing_reads(page: Document) -> None:
    known = _variables((*PACKAGES, *ELSEWHERE)) | {variable(name) for name in Settings.model_fields}
    assert not set(VARIABLE.findall(page.text)) - known


def test_every_metric_is_listed(operations: Document) -> None:
    told = re.findall(r"^# HELP (\w+)", Metrics().text().decode(), re.MULTILINE)
    series = {name.removesuffix("_total").removesuffix("_created") for name in told}
    rows = operations.section("Metrics").table()
    assert {name for row in rows for name in row[0].code} == series


def test_the_readme_lists_every_command() -> None:
    rows = document("README.md").section("The command").table()
    listed = {code.split()[1] for row in rows for code in row[0].code}
    commands = {
        each.name or each.callback.__name__ for each in app.registered_commands if each.callback
    }
    assert listed == commands | {each.name for each in app.registered_groups}


def _variables(names: tuple[str, ...]) -> set[str]:
    """What looks like a variable in these files and folders."""
    return {
        found for name in names for file in _files(ROOT / name) for found in _found_in(file)
    } - {"CHORUS_PROTOCOL"}


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (each for each in path.rglob("*") if each.suffix in {".py", ".js"})


def _found_in(file: Path) -> list[str]:
    return VARIABLE.findall(file.read_text(encoding="utf-8"))
