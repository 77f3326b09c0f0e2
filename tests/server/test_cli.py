"""The console entry, as a person uses it: real processes, their output and their exit codes."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from machines.models.ids import RunId
from storage.folder_lock import FolderLock
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.support import scripted_endpoint
from tests.support.forked import forked, run_forked

ROOT = Path(__file__).parents[2]
NO_ID = "00000000-0000-4000-8000-000000000000"
DEADLINE = 60.0
"""Seconds; a busy machine is slow, and that is no defect."""

HEAVY = ("aiohttp", "numpy", "openai", "prompt_toolkit", "pydantic", "qdrant_client", "sqlalchemy")
"""What costs more to import than a command line may cost."""


def environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment of a person who has set nothing but `variables`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHORUS_", "OPENAI_", "XDG_", "PYTHON"))
    }
    return kept | {"HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "100"} | variables


def chorus(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command in `home`, to its end, forked from a process that has imported what it needs."""
    return run_forked(
        ["-m", "server.cli", *arguments], environment(home, **variables), home, timeout=DEADLINE
    )


def chorus_started_cold(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same, as a shell runs it."""
    return subprocess.run(
        [sys.executable, "-m", "server.cli", *arguments],
        cwd=home,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def assert_refused(
    done: subprocess.CompletedProcess[str], code: int, *said: str, out: str = ""
) -> None:
    """It ended with `code`, and at most three lines on stderr that say why."""
    lines = done.stderr.splitlines()
    assert done.returncode == code, f"exit code {done.returncode}, stderr: {done.stderr}"
    assert 1 <= len(lines) <= 3, f"one clear line was to be written, not: {done.stderr!r}"
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stdout == out
    for part in said:
        assert part in done.stderr


# --- Calling it ----------------------------------------------------------------------------------


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, server.cli\n"
        "assert server.cli.run(['--help']) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stderr.strip() == "[]", "import it in the command that needs it, not in server.cli"
    commands = ("serve", "ask", "chat", "trace", "replay", "verify", "credit", "debit", "diagrams")
    assert all(command in done.stdout for command in commands)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sreve"], "Did you mean 'serve'"),
        (["serve", "--prot", "1"], "--prot"),
        (["serve", "--port", "http"], "--port must be a whole number"),
        (["serve", "--llm", "gpt"], "--llm must be auto, offline"),
        (["serve", "--data", ""], "--data must not be blank"),
        (["ask"], "PROMPT"),
        (["ask", " \n\t"], "PROMPT: it is blank"),
        (["ask", "-"], "PROMPT: it is blank"),
        (["ask", "x" * 32_001], "32001 characters"),
        (["ask", "\udcff"], "UTF-8"),
        (["trace", "the-last-one"], "ids are UUIDs"),
        (["replay", "the-last-one"], "ids are UUIDs"),
        (["credit", NO_ID, "0", "--cause", "x"], "'N'"),
        (["credit", NO_ID, "1"], "--cause"),
        (["debit", NO_ID, "1", "--cause", " "], "--cause: it is blank"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    assert_refused(chorus(tmp_path, *arguments), 2, said)
    assert not (tmp_path / "chorus-data").exists(), "nothing is made for a refused command"


@pytest.mark.parametrize(
    "command", [["serve"], ["ask", "hello"], ["verify"], ["trace", NO_ID], ["replay", NO_ID]]
)
def test_a_wrong_environment_is_one_line_and_exit_2(command: list[str], tmp_path: Path) -> None:
    assert_refused(chorus(tmp_path, *command, CHORUS_MAX_ATTEMPTS="none"), 2, "CHORUS_MAX_ATTEMPTS")


def test_show_settings_masks_secrets(tmp_path: Path) -> None:
    variables = {"OPENAI_API_KEY": "sk-very-secret", "CHORUS_PORT": "", "CHORUS_PROT": "1"}
    done = chorus(tmp_path, "serve", "--host", "::1", "--show-settings", **variables)
    assert done.returncode == 0
    assert "sk-very-secret" not in done.stdout + done.stderr
    assert re.search(r"^CHORUS_HOST +::1$", done.stdout, re.MULTILINE)
    assert re.search(r"^CHORUS_PORT +8080  # default$", done.stdout, re.MULTILINE)
    assert "did you mean CHORUS_PORT?" in done.stderr


def test_the_version_is_printed(tmp_path: Path) -> None:
    done = chorus_started_cold(tmp_path, "--version")
    assert done.returncode == 0
    assert re.fullmatch(r"chorus \d+\.\d+\.\d+\n", done.stdout)


# --- Folders and ports ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["verify"],
        ["trace", NO_ID],
        ["credit", NO_ID, "1", "--cause", "x"],
    ],
)
def test_where_there_is_no_journal_none_is_made(command: list[str], tmp_path: Path) -> None:
    assert_refused(chorus(tmp_path, *command), 1, "There is no journal in chorus-data")
    assert not (tmp_path / "chorus-data").exists()


@pytest.mark.parametrize("command", [["ask", "hello", "--llm", "offline"], ["trace", NO_ID]])
def test_a_corrupt_journal_is_one_line_and_exit_1(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "chorus-data").mkdir()
    (tmp_path / "chorus-data" / JOURNAL_FILE).write_bytes(b"no database" * 1_000)
    assert_refused(chorus(tmp_path, *command), 1, "chorus-data: The journal file is damaged")


def test_a_folder_that_another_process_holds_is_one_line_and_exit_1(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "held")
    lock.acquire()
    try:
        done = chorus(tmp_path, "ask", "hello", "--llm", "offline", "--data", "held")
    finally:
        lock.release()
    assert_refused(done, 1, "held: The data folder is in use by another chorus process")


def test_a_file_in_the_folders_place_is_one_line_and_exit_1(tmp_path: Path) -> None:
    (tmp_path / "chorus-data").touch()
    assert_refused(chorus(tmp_path, "ask", "hello", "--llm", "offline"), 1, "chorus-data")


def test_a_port_in_use_is_one_line_and_exit_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = chorus(tmp_path, "serve", "--port", str(port), "--llm", "offline")
    assert_refused(done, 1, f"127.0.0.1 port {port} is in use")
    assert not (tmp_path / "chorus-data").exists()


def test_a_key_file_that_others_may_read_is_one_line_and_exit_1(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o644)
    done = chorus(tmp_path, "ask", "hello", "--llm", "offline", CHORUS_KEY_FILE=str(key))
    assert_refused(done, 1, "chmod 600")


def test_a_model_that_cannot_be_had_is_one_line_and_exit_2(tmp_path: Path) -> None:
    done = chorus(tmp_path, "ask", "hello", "--llm", "http://127.0.0.1:9/v1")
    assert_refused(done, 2, "No model: the endpoint at http://127.0.0.1:9/v1 lists no model")


# --- The main job --------------------------------------------------------------------------------

LESSON = "Bread rises because yeast makes carbon dioxide from sugar in the dough."


def test_ask_answers_offline_remembers_and_can_be_traced(tmp_path: Path) -> None:
    taught = chorus_started_cold(tmp_path, "ask", LESSON, "--llm", "offline")
    assert taught.returncode == 0, taught.stderr
    assert "No language model is connected" in taught.stdout

    steps = ["Action", "Experience", "Intention", "Observation", "Update", "Yield"]
    assert [line.split()[0] for line in taught.stderr.splitlines()[-6:]] == steps, "a line each"

    asked = chorus(tmp_path, "ask", "Why does bread rise?", "--steps", "--llm", "offline")
    assert asked.returncode == 0, asked.stderr
    titles = re.findall(r"^(\w+) · loop 1$", asked.stderr, re.MULTILINE)
    assert titles == steps
    assert re.search(rf"^ +\d\.\d\d you: {LESSON[:30]}", asked.stderr, re.MULTILINE), (
        f"the prior and its score were to be told: {asked.stderr}"
    )
    answer, _, sources = asked.stdout.partition("\nSources\n")
    assert "No language model is connected" in answer
    assert re.search(rf"^\[P\d+\] you: {LESSON[:30]}", sources, re.MULTILINE)

    threads = {re.search(r"thread ([0-9a-f-]{36})", done.stderr) for done in (taught, asked)}
    assert len({found and found[1] for found in threads}) == 1, "both belong into one thread"

    data = tmp_path / "chorus-data"
    run_id = asyncio.run(_first_run(data))
    lock = FolderLock(data)
    lock.acquire()  # as a running server does
    try:
        traced = chorus(tmp_path, "trace", run_id)
        replayed = chorus(tmp_path, "replay", run_id, "--data", str(data))
    finally:
        lock.release()
    assert traced.returncode == 0, traced.stderr
    heading, *rows = traced.stdout.splitlines()
    assert heading.split() == [
        "seq", "time", "offset", "machine", "event", "transition", "judged", "effects",
    ]  # fmt: skip
    assert "+0.000" in rows[0]
    assert "created" in rows[0]
    assert any("queued → running" in row and "AICall" in row for row in rows)
    assert any("yielding → finished" in row for row in rows)
    assert "          thread_is_free true  No other run of the thread is under way." in rows
    assert (replayed.returncode, replayed.stderr) == (0, "")
    assert replayed.stdout.splitlines()[-1] == "the same 8 states"


def test_a_balance_is_credited_and_never_overdrawn(tmp_path: Path) -> None:
    taught = chorus(tmp_path, "ask", LESSON, "--llm", "offline")
    found = re.search(r"thread ([0-9a-f-]{36})", taught.stderr)
    assert found, taught.stderr
    thread = found[1]
    credited = chorus(tmp_path, "credit", thread, "50", "--cause", "a gift")
    assert (credited.returncode, credited.stdout) == (0, "The balance is 50 tokens now.\n")
    assert_refused(chorus(tmp_path, "debit", thread, "51", "--cause", "too much"), 1)
    debited = chorus(tmp_path, "debit", thread, "20", "--cause", "a share")
    assert (debited.returncode, debited.stdout) == (0, "The balance is 30 tokens now.\n")
    assert_refused(
        chorus(tmp_path, "credit", NO_ID, "1", "--cause", "x"), 1, "There is no such thread"
    )
    assert chorus(tmp_path, "verify").returncode == 0


async def test_a_run_that_fails_is_exit_1_with_its_reason(tmp_path: Path) -> None:
    async with scripted_endpoint.serve(scripted_endpoint.refuses(401)) as endpoint:
        variables = {"CHORUS_MODEL": "scripted-1"}
        done = await asyncio.to_thread(
            chorus, tmp_path, "ask", "hello", "--llm", endpoint.url, **variables
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "The run failed (ai_rejected)" in done.stderr
    assert "SECRET" not in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_interrupted_ask_ends_quietly_and_stops_its_run(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with scripted_endpoint.serve(scripted_endpoint.stalls_after("Bread ")) as endpoint:
        with TemporaryFile() as output, TemporaryFile() as errors:
            asking = await forked(
                ["-m", "server.cli", "ask", "hello", "--llm", endpoint.url],
                environment(tmp_path, CHORUS_MODEL="scripted-1", CHORUS_DATA=str(data)),
                output.fileno(),
                errors.fileno(),
            )
            try:
                async with asyncio.timeout(DEADLINE):
                    reached = asyncio.ensure_future(endpoint.reached.wait())
                    ended = asyncio.ensure_future(asking.wait())
                    await asyncio.wait({reached, ended}, return_when=asyncio.FIRST_COMPLETED)
                    reached.cancel()
                    assert not ended.done(), "it ended before it asked the model; run it by hand"
                    asking.send_signal(signal.SIGINT)
                    await asking.wait()
            finally:
                asking.kill()
            for each in (output, errors):
                each.seek(0)
            out, err = output.read(), errors.read()
    assert asking.returncode == 130, err.decode()
    assert out == b""
    assert b"Traceback" not in err
    journal = SqliteJournal(data / JOURNAL_FILE)
    await journal.open()
    try:
        assert await journal.live_runs() == (), "it would go on with the next ask"
    finally:
        await journal.close()


async def _first_run(data: Path) -> RunId:
    """The first run of the folder's only thread."""
    journal = SqliteJournal(data / JOURNAL_FILE)
    await journal.open()
    try:
        messages = [message async for message, _, _ in journal.approved_messages()]
        assert messages[0].run_id is not None
        return messages[0].run_id
    finally:
        await journal.close()
