"""`chorus heat`: what it tells and draws of journals of every version, and what it refuses."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server import cli
from storage.journal.history import Transition, tell_history
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal, read_file
from tests.storage.journal.keep_journal import KEPT, restore
from tests.support.client import new_id

VERSIONS = sorted(KEPT.glob("*.sql"))


def migrate(kept: Path, folder: Path, *, count: bool) -> None:
    async def served() -> None:
        journal = SqliteJournal(folder / JOURNAL_FILE)
        await journal.open()
        while count and await journal.count_entries(datetime.now(UTC)):
            pass
        assert await journal.verify() == ()
        await journal.close()

    restore(kept, folder)
    asyncio.run(served())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Has the newest of the journals that are kept, which no server has counted yet."""
    migrate(VERSIONS[-1], tmp_path / "data", count=False)
    return tmp_path / "data"


def edges_of(folder: Path) -> Counter[str]:
    """How often each edge was taken, by the entries."""
    taken: Counter[str] = Counter()

    def see(each: Transition) -> None:
        taken[each.edge] += 1

    async def read() -> None:
        async with read_file(folder / JOURNAL_FILE) as reader:
            await reader.read(lambda connection: tell_history(connection, see))

    asyncio.run(read())
    return taken


def printed(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    code = cli.run(["heat", "--data", str(folder), *arguments])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize("count", [False, True], ids=["not counted", "counted"])
@pytest.mark.parametrize("kept", [VERSIONS[0], VERSIONS[-1]], ids=lambda kept: kept.stem)
def test_edges_are_told_as_often_as_the_entries_have_them(
    kept: Path, count: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate(kept, tmp_path, count=count)
    heat = json.loads(printed(capsys, tmp_path, "--format", "json"))
    told: Counter[str] = Counter()
    for machine in heat["machines"]:
        told.update(machine["edges"])
    assert told == edges_of(tmp_path)
    runs = next(each for each in heat["machines"] if each["machine"] == "chorus")
    assert runs["states"]["running"]["count"] > 0
    assert heat["uncounted"] == 0


def test_the_tables_have_edges_states_and_steps(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, folder)
    lines = text.splitlines()
    assert lines[0] == "all threads, all that is in the journal"
    started = next(line for line in lines if line.startswith("start_queued_running"))
    assert started.split()[1] == str(edges_of(folder)["edge_chorus_start_queued_running"])
    assert {"chorus: edges", "chorus: states", "chorus: steps", "thread: edges"} <= {
        " ".join(line.split()[:2]) for line in lines
    }


def test_a_period_is_widened_to_whole_hours(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    period = ("--since", "1999-12-31T23:30:00Z", "--until", "2000-01-01T05:30:00+03:00")
    lines = printed(capsys, folder, *period).splitlines()
    assert lines == [
        "all threads, 1999-12-31 23:00 to 2000-01-01 03:00 UTC, by whole hours",
        "Nothing was done.",
    ]


def test_machines_are_drawn_into_a_folder_one_into_a_file_or_printed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(capsys, folder, "--out", str(tmp_path / "new" / "drawings")).splitlines()
    assert str(tmp_path / "new" / "drawings" / "chorus-heat.svg") in said
    assert all(Path(line).is_file() for line in said)
    one = tmp_path / "run.svg"
    chosen = ("--machine", "chorus")
    assert printed(capsys, folder, *chosen, "--out", str(one)).strip() == str(one)
    assert printed(capsys, folder, *chosen, "--format", "svg") == one.read_text(encoding="utf-8")
    assert "Heat of chorus: all threads" in one.read_text(encoding="utf-8")


def test_nothing_is_drawn_where_nothing_was_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(capsys, folder, "--until", "2000-01-01", "--out", str(tmp_path / "empty"))
    assert said.startswith("Nothing was done: all threads, the beginning to ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--machine", "toaster"], 2, "--machine must be one of chorus, message"),
        (["--machine", "lease"], 2, "the journal has nothing of another"),
        (["--thread", new_id()], 1, "There is no thread"),
        (["--thread", "mine"], 2, "is no id"),
        (["--since", "yesterday"], 2, "--since must be a time"),
        (["--until", "99999999d"], 2, "--until must be a time"),
        (["--since", "1h", "--until", "2h"], 2, "--since must come before --until"),
        (["--since", "2999-01-01"], 2, "--since must come before --until, and before now"),
        (["--format", "svg"], 2, "Name one --machine"),
        (["--out", "one.svg"], 2, "one.svg holds one drawing"),
        (["--machine", "chorus", "--out", "/dev/null/x.svg"], 2, "cannot be written"),
        (["--format", "png"], 2, "--format"),
        (["--data", "/nowhere/at/all"], 1, "There is no journal"),
        (["--data", "mysql://here"], 2, "--data"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    assert cli.run(["heat", "--data", str(folder), *arguments]) == code
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert said in line
    assert out == ""
