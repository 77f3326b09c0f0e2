"""The peers' environment holds what the peers' contestants import, Chorus' own modules included."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from benchmarks.questions import QUESTIONS

ROOT = Path(__file__).parents[2]
OURS = ("machines", "storage", "server", "diagrams", "benchmarks", "tests")
HOMES = {"burr": "apache-burr", "qdrant_edge": "qdrant-edge-py"}
"""Modules that are named unlike their distributions, and that only the peers' environment has."""


def imports_of(file: Path) -> Iterator[str]:
    """The modules that a file imports when it is imported itself."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)


def foreign_modules(module: str) -> set[str]:
    """The first names of all that is neither ours nor the standard library's, all the way down."""
    waiting, seen, foreign = [module], set[str](), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        first = name.partition(".")[0]
        if first in OURS:
            parents = [name.rsplit(".", depth)[0] for depth in range(name.count(".") + 1)]
            for file in filter(None, map(file_of, parents)):
                waiting.extend(imports_of(file))
        elif first not in sys.stdlib_module_names:
            foreign.add(first)
    return foreign


@pytest.mark.parametrize(
    "contestant",
    sorted({c.module for q in QUESTIONS for c in q.contestants if c.peer}),
)
def test_a_peers_contestant_finds_what_it_imports(contestant: str) -> None:
    pins = (ROOT / "benchmarks" / "constraints.txt").read_text("utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==", pins, re.MULTILINE))
    homes = packages_distributions()
    needed = {
        HOMES.get(module) or homes.get(module, [module])[0]
        for module in foreign_modules(f"benchmarks.contestants.{contestant}")
    }
    assert needed - pinned == set(), (
        "add it to benchmarks/peers.txt and benchmarks/constraints.txt: the peers' environment lacks it"
    )
