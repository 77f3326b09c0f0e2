"""`chorus diagrams diff`: revisions, folders and files, a journal beside a server, and bad input."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

import diagrams
import machines
from machines.models.ids import thread_stream
from machines.models.journal import MachineTransition
from machines.models.message import Message, MessageStatus
from server.cli import run
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support import journal_values as values

COMMITTED: Final = Path(diagrams.__file__).parent
SOURCE: Final = Path(machines.__file__).parent
WITHDRAW: Final = "edge_message_withdraw_pending_withdrawn"


def git(folder: Path, *arguments: str) -> str:
    """Run git without what the machine's owner configured."""
    nobody = {
        f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=nobody | {"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a revision before declarations (`old`), and one with three machines."""
    for name in [each for each in os.environ if each.startswith("GIT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "project"
    (folder / "diagrams").mkdir(parents=True)
    (folder / "machines").mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "before")
    git(folder, "tag", "old")
    for machine in ("breaker", "message", "thread"):
        text = (COMMITTED / f"{machine}.json").read_text(encoding="utf-8")
        (folder / "diagrams" / f"{machine}.json").write_text(text, encoding="utf-8")
        code = (SOURCE / f"{machine}.py").read_text(encoding="utf-8")
        (folder / "machines" / f"{machine}.py").write_text(code, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "declared")
    monkeypatch.chdir(folder)
    return folder


def change(file: Path, **edges: dict[str, Any] | None) -> None:
    """Change edges by their ids; None removes one."""
    declared = json.loads(file.read_text(encoding="utf-8"))
    declared["edges"] = [
        {**edge, **(edges.get(edge["id"]) or {})}
        for edge in declared["edges"]
        if edges.get(edge["id"], {}) is not None
    ]
    file.write_text(json.dumps(declared), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder without a journal."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@asynccontextmanager
async def held(data: Path) -> AsyncIterator[None]:
    """A journal that is open, with two messages: one was withdrawn, one waits for its approval."""
    journal = SqliteJournal(data / JOURNAL_FILE)
    await journal.open()
    try:
        thread = values.thread()
        first, second = (
            values.message(thread, index, status=MessageStatus.PENDING) for index in (0, 1)
        )
        stream = thread_stream(thread.id)
        withdrawn = first.model_copy(update={"status": MessageStatus.WITHDRAWN, "version": 2})
        await journal.commit(
            values.batch(
                0,
                values.entry(stream, thread.model_copy(update={"message_count": 2})),
                *(
                    values.entry(
                        stream, each, transitions=(taken(each, "submit", "submitted", "pending"),)
                    )
                    for each in (first, second)
                ),
                values.entry(
                    stream,
                    withdrawn,
                    transitions=(taken(first, "withdraw", "pending", "withdrawn"),),
                ),
            )
        )
        yield
    finally:
        await journal.close()


def taken(message: Message, event: str, source: str, target: str) -> MachineTransition:
    return MachineTransition(
        machine="message",
        instance=message.id,
        event=event,
        source=source,
        target=target,
        edge=f"edge_message_{event}_{source}_{target}",
    )


# --- What is compared ----------------------------------------------------------------------------


def test_a_revision_and_the_working_tree(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project / "diagrams" / "message.json", **{WITHDRAW: {"guards": []}})
    assert run(["diagrams", "diff", "HEAD"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "# State machines: HEAD → the working tree\n\n1 of 3 machines changed.\n"
    )
    assert "| changed | `withdraw` from `pending` to `withdrawn` | `[author_asks]` | `[]` |" in said
    out = project / "diagrams-diff"
    assert sorted(each.name for each in out.iterdir()) == ["message.diff.svg", "summary.md"]
    assert (out / "summary.md").read_text(encoding="utf-8").strip() == said.strip()


def test_two_revisions_and_what_an_earlier_comparison_left(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(project / "diagrams" / "message.json", **{WITHDRAW: None})
    git(project, "commit", "--quiet", "--all", "--message", "no way back")
    (project / "diagrams" / "message.json").unlink()
    assert run(["diagrams", "diff", "HEAD~1", "HEAD", "--out", "there"]) == 0
    assert "| removed | `withdraw` from `pending` to `withdrawn` |" in capsys.readouterr().out
    assert (project / "there" / "message.diff.svg").is_file()
    assert run(["diagrams", "diff", "HEAD", "HEAD", "--out", "there"]) == 0
    assert [each.name for each in (project / "there").iterdir()] == ["summary.md"]


def test_a_folder_and_a_file_which_names_the_one_machine(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = project / "message.json"
    one.write_text((project / "diagrams" / "message.json").read_text(encoding="utf-8"))
    change(one, **{WITHDRAW: None})
    assert run(["diagrams", "diff", "diagrams", "message.json"]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 machine changed." in said
    assert "thread" not in said


# --- Code ----------------------------------------------------------------------------------------


def change_code(project: Path) -> None:
    """Let the last voter's own vote count for nothing."""
    file = project / "machines" / "message.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("if elector != but)", "if elector)"), encoding="utf-8")


def test_code_that_changed_between_a_revision_and_the_working_tree(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_code(project)
    assert run(["diagrams", "diff", "HEAD", "--fail-on", "removed"]) == 0
    said = capsys.readouterr().out
    assert "3 edges changed, the code of `every_other_elector_approved`," in said
    assert "`_others_approved` used by `every_other_elector_approved`," in said
    assert run(["diagrams", "diff", "HEAD", "--fail-on", "removed,code"]) == 1
    git(project, "commit", "--quiet", "--all", "--message", "count otherwise")
    assert run(["diagrams", "diff", "HEAD", "--fail-on", "code"]) == 0
    capsys.readouterr()
    before = git(project, "rev-parse", "HEAD~1")
    assert run(["diagrams", "diff", before, "HEAD", "--fail-on", "code"]) == 1
    assert capsys.readouterr().out.startswith(f"# State machines: {before[:10]} → HEAD\n")


def test_code_of_a_folder_is_beside_it_or_was_not_compared(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_code(project)
    assert run(["diagrams", "diff", "HEAD", str(project / "diagrams"), "--fail-on", "code"]) == 1
    assert "_others_approved" in capsys.readouterr().out
    alone = tmp_path / "message.json"
    alone.write_text((project / "diagrams" / "message.json").read_text(encoding="utf-8"))
    assert run(["diagrams", "diff", "HEAD", str(alone)]) == 0
    why = f"{alone} has no Python source in machines."
    said = capsys.readouterr().out
    assert f"The code of guards and actions was not compared: {why}" in said
    assert run(["diagrams", "diff", "HEAD", str(alone), "--fail-on", "code"]) == 2
    assert capsys.readouterr().err == f"chorus: --fail-on code: {why}\n"


def test_code_in_a_module_elsewhere(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "src").mkdir()
    git(project, "mv", "machines/message.py", "src/votes.py")
    git(project, "rm", "--quiet", "diagrams/breaker.json", "diagrams/thread.json")
    git(project, "commit", "--quiet", "--message", "one machine, elsewhere")
    file = project / "src" / "votes.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("event.by == ", "event.by != "), encoding="utf-8")
    asked = ["diagrams", "diff", "HEAD", "--source", "src/votes.py", "--fail-on", "code"]
    assert run(asked) == 1
    assert "`author_asks` (guard):" in capsys.readouterr().out


def test_a_module_that_cannot_be_parsed_keeps_only_the_code_from_being_compared(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "machines" / "message.py").write_text('machine = "message" (')
    assert run(["diagrams", "diff", "HEAD"]) == 0
    said = capsys.readouterr().out
    assert "was not compared: machines.message cannot be parsed as Python." in said
    assert run(["diagrams", "diff", "HEAD", "--fail-on", "code"]) == 2


# --- What makes it fail --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edge", "fail_on", "code"),
    [
        (None, "removed", 1),
        (None, "changed,code", 0),
        ({"guards": []}, "removed,code", 0),
        ({"guards": []}, "changed", 1),
    ],
)
def test_it_fails_on_what_is_asked_for(
    project: Path, edge: dict[str, Any] | None, fail_on: str, code: int
) -> None:
    change(project / "diagrams" / "message.json", **{WITHDRAW: edge})
    assert run(["diagrams", "diff", "HEAD", "--fail-on", fail_on]) == code


async def test_a_journal_that_a_server_holds_tells_who_took_an_edge_and_who_lives(
    project: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(project / "diagrams" / "message.json", **{WITHDRAW: None})
    asked = ["diagrams", "diff", "HEAD", "--journal", str(data), "--fail-on", "live"]
    async with held(data):
        code = await asyncio.to_thread(run, asked)
    said = capsys.readouterr().out
    assert code == 1, "a message stands where the way back was"
    assert "| `[author_asks] / close_vote` |  | 0 | 1 |" in said
    assert "| 1 | `pending` | continues, and meets changes: `withdraw` is gone |" in said


async def test_what_lives_elsewhere_fails_nothing(project: Path, data: Path) -> None:
    change(project / "diagrams" / "message.json", edge_message_supersede_approved_superseded=None)
    asked = ["diagrams", "diff", "HEAD", "--journal", str(data), "--fail-on", "live"]
    async with held(data):
        assert await asyncio.to_thread(run, asked) == 0


# --- Bad input -----------------------------------------------------------------------------------

REFUSED: Final = {
    "no revision": (["nowhere"], "nowhere is no revision, no folder and no file."),
    "no name of a file": (["x" * 300], f"{'x' * 300} is no revision, no folder and no file."),
    "a revision like an option": (["--", "--all"], "--all is no revision, no folder and no file."),
    "a revision before declarations": (
        ["old"],
        "old has no diagrams/*.json: it is older than the declarations, or they are in another"
        " --folder.",
    ),
    "a folder without declarations": ([".", "HEAD"], ". has no declarations of machines (*.json)."),
    "another folder of a revision": (["HEAD", "--folder", "docs"], "HEAD has no docs/*.json: "),
    "a file that is no declaration": (
        ["HEAD", "notes.txt"],
        "notes.txt is no declaration: it is no JSON.",
    ),
    "a journal that is not there": (
        ["HEAD", "--journal", "nowhere"],
        "There is no journal in nowhere; name the folder with --journal.",
    ),
    "a URL of no database": (
        ["HEAD", "--journal", "redis://there"],
        "--journal must be an address such as postgresql://",
    ),
    "source outside the repository": (
        ["HEAD", "--source", "../machines"],
        "--source is a path from the top of the repository.",
    ),
    "what to fail on": (
        ["HEAD", "--fail-on", "removed,added"],
        "Invalid value for --fail-on: 'added' is none of removed, changed, code and live",
    ),
    "live without a journal": (["HEAD", "--fail-on", "live"], "--fail-on live needs --journal."),
    "a folder that is a file": (
        ["HEAD", "--out", "notes.txt"],
        "notes.txt cannot be written: File exists.",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_compared_gets_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (project / "notes.txt").write_text("notes")
    assert run(["diagrams", "diff", *arguments]) != 0
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith(f"chorus: {said}"), line
    assert not shown.out


def test_a_folder_that_is_no_repository_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert run(["diagrams", "diff", "HEAD"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("chorus: git: not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["diagrams", "diff", "HEAD"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "chorus: git is needed to compare revisions, and was not found."


def test_options_of_the_drawings_do_not_stand_before_diff(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diagrams", "--check", "diff", "HEAD"]) == 2
    assert "options of diff stand behind its name" in capsys.readouterr().err
