"""The files of `deploy/`, parsed."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
KUBERNETES: Final = DEPLOY / "kubernetes"

Yaml = Any
"""What YAML holds is known by the tests alone."""


@cache
def parsed(file: Path) -> list[Yaml]:
    """All documents of one file."""
    return list(yaml.safe_load_all(file.read_text("utf-8")))


def compose() -> Yaml:
    """The composition."""
    (whole,) = parsed(DEPLOY / "compose.yaml")
    return whole


def manifests() -> list[Yaml]:
    """What `kubectl apply -k` applies, and the template of the secret."""
    (whole,) = parsed(KUBERNETES / "kustomization.yaml")
    names = [*whole["resources"], "secret.example.yaml"]
    return [each for name in names for each in parsed(KUBERNETES / name)]


def pods() -> Iterator[tuple[str, Yaml]]:
    """The name of each workload, and the template of its pods."""
    for each in manifests():
        if each["kind"] in {"Deployment", "StatefulSet"}:
            yield each["metadata"]["name"], each["spec"]["template"]


def containers() -> Iterator[Yaml]:
    """Of all pods, those that run before the others too."""
    for _, template in pods():
        yield from template["spec"].get("initContainers", ())
        yield from template["spec"]["containers"]


def dockerfile() -> list[tuple[str, str]]:
    """Its instructions in order, each with what follows on its line and on those that continue it."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    found = []
    for line in filter(str.strip, whole.splitlines()):
        instruction, _, rest = line.partition(" ")
        found.append((instruction, " ".join(rest.split())))
    return found
