"""The image: what `deploy/Dockerfile` copies is all that its server needs, and no more than the project."""

import asyncio
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.deploy.files import DEPLOY, ROOT, dockerfile
from tests.support.eventually import PATIENCE

ADDRESS: Final = re.compile(r"Chorus is at http://127\.0\.0\.1:(\d+)")

DEADLINE: Final = 120.0
"""Seconds of one command; a busy machine is slow, and that is no defect."""


def copied() -> set[str]:
    """What the build copies from the project."""
    return {
        source
        for instruction, rest in dockerfile()
        if instruction == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }


def test_it_is_built_in_two_stages_as_another_user_and_from_the_project_alone() -> None:
    instructions = dockerfile()
    assert sum(instruction == "FROM" for instruction, _ in instructions) == 2
    behind_last = instructions[
        max(n for n, (kind, _) in enumerate(instructions) if kind == "FROM") :
    ]
    assert {"USER", "HEALTHCHECK", "EXPOSE", "STOPSIGNAL"} <= {kind for kind, _ in behind_last}
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    foreign = re.findall(r"https?://(?!127\.0\.0\.1|localhost)\S+", text)
    assert not foreign, "the build names a host"
    assert not re.search(r"--(extra-)?index-url|--find-links|\bADD\b|curl|wget", text)
    for source in copied():
        assert (ROOT / source).exists(), source
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    assert allowed == copied(), ".dockerignore lets through what the build copies"


def test_what_is_installed_is_pinned() -> None:
    constraints = (ROOT / "constraints.txt").read_text("utf-8")
    for instruction, rest in dockerfile():
        for install in re.findall(r"pip install ([^&]+)", rest) if instruction == "RUN" else ():
            assert "-c constraints.txt" in install
            for name in set(install.split()) - {"-c", "constraints.txt", "--no-deps", "."}:
                assert f"\n{name}==" in constraints, f"{name} has no pin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs, built of nothing but what the image's build copies."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("src", "wheels", "target"))
    for name in copied():
        (source / name).symlink_to(ROOT / name)
    wheel_of = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        # Its build's own needs are here already: nothing is fetched.
        [*wheel_of, "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)],
        check=True,
        timeout=DEADLINE,
        cwd=source,
    )
    (wheel,) = wheels.glob("chorus_server-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_the_wheel_holds_every_file_of_the_packages(installed: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "machines", "storage", "server", "diagrams"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    wanted = {name for name in tracked if not name.endswith(".d.ts")}
    missing = sorted(name for name in wanted if not (installed / name).is_file())
    assert not missing, f"the image would lack {missing}"


async def test_its_server_answers_the_probes_of_the_image_and_serves_the_page(
    installed: Path, tmp_path: Path
) -> None:
    """As the image starts it, but for the port: `chorus serve`, with the wheel before the checkout."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHORUS_", "OPENAI_"))
    }
    environment |= {
        "PYTHONPATH": str(installed),
        "PYTHONSAFEPATH": "1",
        "CHORUS_DATA": str(tmp_path / "data"),
        "CHORUS_PORT": "0",
        "CHORUS_LLM": "offline",
    }
    code = "import server, server.cli; print(server.__file__, flush=True); server.cli.main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "serve"),
        cwd=tmp_path,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE):
            whence = (await process.stdout.readline()).decode().strip()
            assert Path(whence).is_relative_to(installed), (
                "the checkout was served, and not the wheel"
            )
            async for line in process.stdout:
                if found := ADDRESS.match(line.decode()):
                    port = found[1]
                    break
            else:
                pytest.fail("it ended in place of starting")
            probe = json.loads(dict(dockerfile())["HEALTHCHECK"].partition("CMD ")[2])
            assert probe[0] == "python"
            told = probe[2].replace("8080", port).replace("timeout=4", f"timeout={PATIENCE}")
            assert told != probe[2]
            await asyncio.to_thread(
                subprocess.run, [sys.executable, "-c", told], check=True, timeout=DEADLINE
            )
            async with aiohttp.ClientSession() as session:
                for path, host in (("/readyz", "10.0.0.7:8080"), ("/", f"127.0.0.1:{port}")):
                    where = f"http://127.0.0.1:{port}{path}"
                    async with session.get(where, headers={"Host": host}) as answer:
                        assert answer.status == 200, path
    finally:
        if process.returncode is None:
            process.terminate()
        assert await process.wait() == 0
