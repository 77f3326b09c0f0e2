"""Every package says what lives in it, and names all of it."""

import importlib
import pkgutil
from types import ModuleType
from typing import Final

import pytest

import diagrams
import machines
import server
import storage

ROOTS: Final = (machines, storage, diagrams, server)
LOADED_BY_PATH: Final = frozenset({"storage.journal.migrations"})
"""Alembic finds the modules in it; others call its face alone."""


def packages() -> list[ModuleType]:
    below = [
        importlib.import_module(found.name)
        for root in ROOTS
        for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}.")
        if found.ispkg and not any(found.name.startswith(f"{name}.") for name in LOADED_BY_PATH)
    ]
    return [*ROOTS, *below]


PACKAGES: Final = {package.__name__: package for package in packages()}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_what_lives_in_it_and_what_does_not(name: str) -> None:
    first, _, rest = (PACKAGES[name].__doc__ or "").partition("\n\n")
    assert first.strip(), f"say in the first line of {name}/__init__.py what lives there"
    assert rest.strip(), f"say below the first line of {name}/__init__.py what may not live there"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_names_all_its_modules_and_nothing_else(name: str) -> None:
    package = PACKAGES[name]
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
    if name in LOADED_BY_PATH:
        modules = set()
    named = set(package.__all__)
    missing = sorted(modules - named)
    assert not missing, f"add {missing} to __all__ in the __init__.py of {name}"
    unknown = sorted(each for each in named - modules if not hasattr(package, each))
    assert not unknown, f"remove {unknown} from __all__ in the __init__.py of {name}"
