"""`chorus export --otel`: what it sends or writes of a journal, and what it refuses."""

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from machines.models.ids import ThreadId
from server import cli
from server.commands import export as command
from server.commands.errors import CommandFailed
from server.settings import Settings
from server.telemetry.decision_spans import decision_spans
from server.telemetry.run_spans import run_spans
from storage.copying.copier import copy
from storage.copying.database import DatabasePlace
from storage.copying.folder import FolderPlace
from storage.journal.postgres.address import PostgresAddress
from storage.journal.traced import Scope
from tests.server.telemetry.traces import VERSIONS, Told, told_by_version
from tests.support.client import new_id
from tests.support.collector import collector, exports_to
from tests.support.postgres import Cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a journal that has runs of every kind; the command only reads."""
    return tmp_path_factory.mktemp("journal")


@pytest.fixture(scope="module")
def told(folder: Path) -> Told:
    """What the journal holds."""
    return asyncio.run(told_by_version(VERSIONS[-1], folder))


@pytest.fixture(autouse=True)
def no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this machine's."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)


def exported(folder: Path, *arguments: str) -> int:
    return cli.run(["export", "--otel", "--data", str(folder), *arguments])


def spans_in(file: Path) -> list[dict[str, Any]]:
    """The spans of a file of OTLP's JSON, one a line."""
    requests = [json.loads(line) for line in file.read_text().splitlines()]
    scopes = [each["resourceSpans"][0]["scopeSpans"][0] for each in requests]
    assert all(len(each["spans"]) == 1 for each in scopes)
    return [each["spans"][0] for each in scopes]


def ids_of(told: Told) -> set[tuple[str, str]]:
    """Trace and span of all that a journal holds."""
    spans = [each for run_id, entries in told.runs.items() for each in run_spans(run_id, entries)]
    spans += [each for entry in told.settled for each in decision_spans(entry)]
    return {(f"{each.trace_id:032x}", f"{each.span_id:016x}") for each in spans}


def test_a_file_holds_every_span_once_as_collectors_read_it(
    told: Told, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "spans.jsonl"
    assert exported(folder, "--since", "2020-01-01", "--out", str(file)) == 0
    spans = spans_in(file)
    found = [(each["traceId"], each["spanId"]) for each in spans]
    assert len(found) == len(set(found))
    assert set(found) == ids_of(told)
    assert {each["kind"] for each in spans} <= {1, 3}


async def test_a_collector_is_sent_the_same_spans_each_time(
    told: Told, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    async with collector() as collected:
        for number in range(2):
            if number:
                exports_to(monkeypatch, collected.url)
            code = await command.run(
                Settings(data=folder),
                command.Wanted(scope=Scope()),
                endpoint=None if number else collected.url,
                out=None,
                say=said.append,
                progress=Console(file=StringIO(), force_terminal=True),
            )
            assert code == 0
    sent = [(each.trace_id.hex(), each.span_id.hex()) for each in collected.spans]
    assert len(sent) == 2 * len(set(sent))
    assert set(sent) == ids_of(told)
    count = len(sent) // 2
    line = f"Exported {count} spans of {len(told.runs)} runs to {collected.url}/v1/traces."
    assert said == [line, line]


def test_one_run_comes_with_the_approval_that_it_follows_from(
    told: Told, folder: Path, tmp_path: Path
) -> None:
    linked = {
        run_id: root.links[0].trace_id
        for run_id, entries in told.runs.items()
        if (root := run_spans(run_id, entries)[-1]).links
    }
    file = tmp_path / "spans.jsonl"
    ((run_id, approval),) = linked.items()
    assert exported(folder, run_id, "--out", str(file)) == 0
    traces = {each["traceId"] for each in spans_in(file)}
    assert traces == {run_id.replace("-", ""), f"{approval:032x}"}


def test_one_thread_comes_with_its_runs_and_approvals_alone(
    told: Told, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "spans.jsonl"
    threads = {each.stream for each in told.settled}
    threads |= {entries[0].stream for entries in told.runs.values()}
    found: set[tuple[str, str]] = set()
    for thread in threads:
        thread_id = ThreadId(thread.removeprefix("thread:"))
        assert exported(folder, "--thread", thread_id, "--out", str(file)) == 0
        spans = {(each["traceId"], each["spanId"]) for each in spans_in(file)}
        assert not spans & found
        found |= spans
    assert found == ids_of(told)


def test_a_database_is_read_like_a_folder(
    told: Told, folder: Path, postgres: Cluster, tmp_path: Path
) -> None:
    url = postgres.database(migrated=True)
    target = DatabasePlace(PostgresAddress.parse(url), lambda: "made")
    copy(FolderPlace(folder), target, epoch="copy", notes={}, tell=lambda _: None)
    file = tmp_path / "spans.jsonl"
    arguments = ["export", "--otel", "--since", "2020-01-01", "--out", str(file)]
    assert cli.run([*arguments, "--data", url]) == 0
    assert {(each["traceId"], each["spanId"]) for each in spans_in(file)} == ids_of(told)
    (run_id, *_) = told.runs
    arguments = ["export", "--otel", run_id, "--out", str(file)]
    assert cli.run([*arguments, "--data", url]) == 0
    assert run_id.replace("-", "") in {each["traceId"] for each in spans_in(file)}


@pytest.mark.usefixtures("told")
def test_nothing_happened_since_tomorrow(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(folder, "--since", "2999-01-01T00:00:00Z", "--out", "-") == 0
    out, errors = capsys.readouterr()
    assert (out, errors) == ("", "Exported 0 spans of 0 runs to standard output.\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "Name what to export: RUN, --thread THREAD or --since TIME."),
        (["--since", "2020-01-01", new_id()], "Name what to export: RUN, --thread THREAD"),
        (["--since", "yesterday", "--out", "-"], "--since must be a time such as"),
        (["--since", "2020-01-01"], "Name where to: --endpoint URL"),
        (["--since", "2020-01-01", "--endpoint", "nowhere"], "--endpoint must be an address"),
        (["--since", "2020-01-01", "--endpoint", "http://c", "--out", "-"], "name one"),
        (["--since", "2020-01-01", "--data", "mysql://x/y", "--out", "-"], "--data must be"),
        (["no-id", "--out", "-"], "'no-id' is no id"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(tmp_path, *arguments) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert line in errors
    assert errors.count("\n") == 1


def test_the_format_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["export", "--since", "2020-01-01"]) == 2
    assert capsys.readouterr().err == "chorus: name the format: --otel\n"


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([new_id()], "There is no run"),
        (["--thread", new_id()], "There is no thread"),
    ],
)
def test_what_is_not_there_is_one_line(
    arguments: list[str], line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(folder, *arguments, "--out", "-") == 1
    assert line in capsys.readouterr().err


def test_without_a_journal_it_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(tmp_path, "--since", "2020-01-01", "--out", "-") == 1
    assert "There is no journal" in capsys.readouterr().err


@pytest.mark.usefixtures("told")
async def test_a_collector_that_takes_nothing_ends_the_command(folder: Path) -> None:
    async with collector() as collected:
        collected.status = 400
        with pytest.raises(CommandFailed, match="The collector took 0 spans and then no more"):
            await command.run(
                Settings(data=folder),
                command.Wanted(scope=Scope()),
                endpoint=collected.url,
                out=None,
                say=print,
                progress=Console(file=StringIO()),
            )
    assert len(collected.headers) == 1
