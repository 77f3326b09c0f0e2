"""What looks into a journal reads a database like a folder, by its URL and by the setting, and tells nobody its
password."""

import asyncio
from pathlib import Path

import pytest

from server import cli
from tests.storage.journal.keep_journal import run
from tests.support.client import Identity
from tests.support.fake_qdrant import fake_qdrant
from tests.support.in_process import Caller, open_test_services
from tests.support.postgres import PASSWORD, Cluster

PASSWORD_IN_URL = PASSWORD.replace(" ", "%20")


@pytest.fixture(scope="module")
def told(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The URL of a database, and a run in it that was explained and looked back at over the wire."""
    url = postgres.database(migrated=True)
    folder = tmp_path_factory.mktemp("beside")

    async def live() -> str:
        async with (
            fake_qdrant() as qdrant,
            open_test_services(
                folder, database_url=url, qdrant_url=qdrant.url, moody=True
            ) as services,
        ):
            ann = await Caller(services).sign_in(Identity())
            thread = {"thread_id": (await ann.get("create_thread", name="Rivers"))["thread_id"]}
            await ann.get("get_thread", **thread)
            run_id = await run(ann, "What do rivers carry?", "finished", **thread)
            explained = await ann.get("explain_run", run_id=run_id, **thread)
            assert {each["judged"] for each in explained["transitions"]} <= {
                *("executed", "recorded")
            }
            past = await ann.get("get_past", at_seq=2, **thread)
            (message,) = past["messages"]
            value = await ann.get("explain_value", value_id=message["id"], **thread)
            assert value["transitions"][0]["transition"]["target"] == "approved"
            by_time = await ann.get("get_past", at=past["at"], **thread)
            assert by_time["head_seq"] >= 2
        return run_id

    return url, asyncio.run(live())


def commands(run_id: str) -> list[tuple[list[str], str]]:
    """What is typed, and what is said."""
    return [
        (["trace", run_id], "executed"),
        (["trace", run_id, "--at", "4"], "start"),
        (["replay", run_id], "the same"),
        (["heat"], "chorus"),
        (["export", "--otel", run_id, "--out", "-"], "resourceSpans"),
        (["verify", "--properties"], ""),
    ]


@pytest.mark.parametrize("way", ["by its URL", "by the setting"])
def test_a_database_is_looked_into_like_a_folder(
    told: tuple[str, str],
    way: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, run_id = told
    monkeypatch.chdir(tmp_path)
    option = ["--data", url] if way == "by its URL" else []
    if not option:
        monkeypatch.setenv("CHORUS_DATABASE_URL", url)
    for command, said in commands(run_id):
        code = cli.run([*command, *option])
        out, errors = capsys.readouterr()
        assert code == 0, (command, errors)
        assert said in out, command
        assert PASSWORD_IN_URL not in out + errors


@pytest.mark.parametrize("command", [["verify"], ["ask", "hello"], ["credit", "x", "1"]])
def test_a_database_that_a_command_does_not_take_is_not_told_as_a_folder(
    told: tuple[str, str], command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url, _ = told
    assert cli.run([*command, "--data", url]) == 2
    out, errors = capsys.readouterr()
    assert len(errors.splitlines()) == 1
    assert PASSWORD_IN_URL not in out + errors
