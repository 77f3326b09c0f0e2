"""`docs/architecture.md`: its functions are in the modules that it names, its drawing is of its
source, and it has every package."""

import ast
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Final

from tests.docs.markdown import ROOT, document

SOURCE: Final = ROOT / "docs" / "architecture.dot"
PICTURE: Final = SOURCE.with_suffix(".svg")
PACKAGES: Final = ("machines", "storage", "server", "diagrams")
PARTS: Final = frozenset(
    {
        "storage/journal/migrations",
        "storage/journal/migrations/versions",
        "server/memory/embedders",
    }
)
"""Packages that belong to the one around them."""


def test_every_function_of_the_walk_is_where_it_says() -> None:
    for row in document("docs/architecture.md").section("One prompt's walk").table():
        (name,) = row[1].code
        module = ROOT / row[2].text
        assert name in _defined(module), f"{row[2].text} does not define {name}"


def test_every_package_has_a_sentence() -> None:
    page = document("docs/architecture.md")
    linked = {(page.path.parent / link).resolve() for link in page.links}
    packages = {init.parent for top in PACKAGES for init in (ROOT / top).rglob("__init__.py")} - {
        ROOT / each for each in PARTS
    }
    missing = sorted(str(each.relative_to(ROOT)) for each in packages - linked)
    assert not missing, f"docs/architecture.md does not say what is in {missing}"


def test_every_folder_of_tests_is_explained() -> None:
    rows = document("CONTRIBUTING.md").section("Tests").table()
    folders = {f"tests/{each.parent.name}/" for each in (ROOT / "tests").glob("*/__init__.py")}
    assert {row[0].text for row in rows} == folders


def test_the_drawing_names_packages_that_exist() -> None:
    named = re.findall(r'^\s*"([\w/]+/[\w/]+)" \[', SOURCE.read_text(), re.MULTILINE)
    assert named
    assert not [each for each in named if not (ROOT / each).is_dir()]


def test_the_drawing_is_that_of_its_source() -> None:
    drawn = subprocess.run(
        ["dot", "-Tsvg", str(SOURCE)], capture_output=True, text=True, check=True
    ).stdout
    # Where things stand differs between versions of Graphviz; what is said does not.
    assert _said(drawn) == _said(PICTURE.read_text()), "run `make diagrams`"


def _said(svg: str) -> list[str]:
    """The texts of a drawing, those of its elements' titles too, sorted."""
    found = re.findall(r"<title>(.*?)</title>|<text [^>]*>(.*?)</text>", svg, re.DOTALL)
    return sorted(unescape(title or text) for title, text in found)


def _defined(module: Path) -> set[str]:
    """Functions and methods of a module, as `name` and `Class.name`."""
    return set(_names(ast.parse(module.read_text(encoding="utf-8")), ""))


def _names(node: ast.AST, before: str) -> Iterator[str]:
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{before}{each.name}"
            yield from _names(each, f"{before}{each.name}.")
