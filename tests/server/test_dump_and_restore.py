"""A database that is dumped and put back as docs/operations.md has it: its clients are told, and read anew,
and its memory is made again; and what is recorded in one keeps the temporal rules."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from machines.models.ids import ThreadId, thread_stream
from server.commands import properties, verify
from server.environment import system_environment
from server.settings import Settings
from tests.docs.markdown import commands, document
from tests.support.client import Identity
from tests.support.fake_qdrant import fake_qdrant
from tests.support.in_process import Caller, open_test_services
from tests.support.postgres import PASSWORD, Cluster, programs

IN_THE_COMPOSITION: Final = "docker compose -f deploy/compose.yaml exec -T postgres "
"""Before a command that runs beside the composition's database."""
MOST_BEFORE_A_RUN: Final = 5
"""Steps that a journal has without one."""
DEADLINE: Final = 60.0
"""Seconds of one command."""


@pytest.fixture
def composed(postgres: Cluster) -> Iterator[str]:
    """The URL of a database as the composition has it: of this name, and its owner's."""
    postgres.run(f"CREATE ROLE chorus SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    made = postgres.database(migrated=True)
    postgres.run(f"ALTER DATABASE {made.rpartition('/')[2]} RENAME TO chorus")
    yield postgres.url("chorus", user="chorus")
    postgres.run("DROP DATABASE IF EXISTS chorus WITH (FORCE)")
    postgres.run("DROP ROLE chorus")


def documented() -> list[str]:
    """What the page types inside the container: how a dump is made, and what puts it back."""
    typed = commands(document("docs/operations.md").section("Backup and restore").console)
    return [
        command.removeprefix(IN_THE_COMPOSITION)
        for command, _ in typed
        if command.startswith(IN_THE_COMPOSITION)
    ]


def type_in(command: str, folder: Path, url: str) -> None:
    """Type one of them beside the database."""
    port = url.rpartition(":")[2].partition("/")[0]
    there = {"PGHOST": "127.0.0.1", "PGPORT": port, "PGPASSWORD": PASSWORD}
    path = f"{programs()}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=folder,
        env={**os.environ, **there, "PATH": path},
        timeout=DEADLINE,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), command


async def test_a_dump_that_is_put_back_is_another_store_with_its_memory(
    composed: str, tmp_path: Path
) -> None:
    dump, *restore = documented()
    assert "pg_dump" in dump
    assert "pg_restore" in restore[-1]
    async with fake_qdrant() as qdrant:
        stores: dict[str, Any] = {"database_url": composed, "qdrant_url": qdrant.url}
        settings = Settings(data=tmp_path / "data", llm="offline", **stores)
        ann = Identity()
        said: list[str] = []
        async with open_test_services(tmp_path / "data", **stores) as services:
            before = await Caller(services).sign_in(ann)
            made = await before.get("create_thread", name="Kept")
            thread = {"thread_id": made["thread_id"]}
            await before.get("get_thread", **thread)
            await before.get("submit_prompt", prompt="Why does bread rise?", **thread)
            await before.line.until(
                lambda frame: frame["data"].get("status") == "finished", "the end of the run"
            )
            assert await properties.run(settings, say=said.append) == 0, said
            assert "All of them are kept." in said[-1]
            assert int(said[-1].split(" steps ")[0].split()[-1]) > MOST_BEFORE_A_RUN
            await asyncio.to_thread(type_in, dump, tmp_path, composed)
            kept = await services.journal.head(thread_stream(ThreadId(made["thread_id"])))
            await before.get("rename_thread", name="Lost", **thread)
            epoch = await services.journal.epoch()
        for command in restore:
            await asyncio.to_thread(type_in, command, tmp_path, composed)
        qdrant.answers.lose_everything()

        said.clear()
        environment = system_environment()
        code = await verify.run(settings, environment, repair=True, restored=True, say=said.append)
        assert (code, said[-1]) == (0, "Everything agrees."), said
        async with open_test_services(tmp_path / "data", **stores) as services:
            assert await services.journal.epoch() != epoch, "clients read anew"
            refused = await Caller(services).ask("resume", token=before.token)
            assert refused["data"]["code"] == "auth_failed", "it may have been signed out since"
            after = await Caller(services).sign_in(ann)
            stale = await after.ask("get_thread", **thread, after_seq=kept, epoch=epoch)
            assert stale["data"]["code"] == "conflict"
            shown = await after.get("get_thread", **thread)
            assert (shown["thread"]["name"], shown["head_seq"]) == ("Kept", kept)
            found = await after.get("search", query="Why does bread rise?")
            assert found["results"], "the memory was filled from the journal"
            more = await after.get("submit_prompt", prompt="And cake?", **thread)
            assert more["seq"] > kept
