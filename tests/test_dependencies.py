"""What is imported is declared, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("machines", "storage", "server", "diagrams")


def imported() -> Iterator[str]:
    """The first names of all absolute imports of the product."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    yield node.module.partition(".")[0]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_libraries_that_are_imported_are_those_that_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {
        normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in project["dependencies"]
    }
    foreign = set(imported()) - sys.stdlib_module_names - set(PACKAGES)
    homes = packages_distributions()
    needed = {normal(home) for module in foreign for home in homes.get(module, [module])[:1]}
    assert needed - declared == set(), "imported, and not among the dependencies of pyproject.toml"
    assert declared - needed == set(), "a dependency of pyproject.toml, and nowhere imported"
