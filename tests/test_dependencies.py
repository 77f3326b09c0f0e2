"""What is imported is declared, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import files, packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("machines", "storage", "server", "diagrams")


def imported() -> Iterator[str]:
    """The modules of all absolute imports of the product."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    yield node.module


def first(module: str) -> str:
    return module.partition(".")[0]


def home(module: str, homes: Sequence[str]) -> str:
    """The distribution that has a module, of those that share its first name."""
    if len(set(homes)) == 1:
        return homes[0]
    path = module.replace(".", "/")
    return next(
        each
        for each in homes
        if any(str(file).startswith((f"{path}.py", f"{path}/")) for file in files(each) or ())
    )


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_libraries_that_are_imported_are_those_that_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {
        normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in project["dependencies"]
    }
    ours = sys.stdlib_module_names | set(PACKAGES)
    foreign = {module for module in imported() if first(module) not in ours}
    homes = packages_distributions()
    needed = {normal(home(each, homes.get(first(each), [each]))) for each in foreign}
    assert needed - declared == set(), "imported, and not among the dependencies of pyproject.toml"
    assert declared - needed == set(), "a dependency of pyproject.toml, and nowhere imported"
