"""`chorus replay` and `chorus trace`: of every version, of every kind of value, and of what is not there."""

import shutil
import sqlite3
from io import StringIO
from pathlib import Path
from types import FunctionType
from typing import Final

import pytest
import pytest_asyncio
from rich.console import Console

from machines.chorus import chorus_machine
from machines.loop import guards, steps
from machines.models.chorus import ChorusState
from machines.models.ids import RunId
from server.commands import compare_runs, replay
from server.commands.errors import DONE, NOT_DONE, CommandFailed
from server.commands.trace import show, trace
from server.commands.verify_history import verify_history
from server.settings import Settings
from server.stores import reading
from storage.journal.history import tell_history
from storage.journal.rows import entry_digest
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.server.threads import forking
from tests.storage.journal.keep_journal import KEPT, live_through, restore, run
from tests.support.client import Identity
from tests.support.in_process import Caller, Clock, open_test_services

in_one_loop = pytest.mark.asyncio(loop_scope="module")
"""Of tests that read the journal of one module."""

NO_ID = "00000000-0000-4000-8000-000000000000"


async def values_in(folder: Path) -> list[tuple[str, str]]:
    """Machine and id of each value that a journal tells of."""
    found: list[tuple[str, str]] = []
    moved: set[str] = set()
    async with reading(at(folder)) as reader:
        await reader.read(
            lambda connection: tell_history(
                connection,
                lambda each: moved.add(each.instance),
                lambda machine, id_: found.append((machine, id_)),
            )
        )
    return [(machine, id_) for machine, id_ in found if id_ in moved]


def at(folder: Path) -> Settings:
    return Settings(data=folder, llm="offline")


async def replayed(folder: Path, id_: str) -> tuple[int, list[str]]:
    said: list[str] = []
    return await replay.run(at(folder), id_, say=said.append), said


async def traced(folder: Path, id_: str, moment: str | None = None) -> list[str]:
    out = StringIO()
    show(await trace(at(folder), id_, moment), Console(file=out, width=200, color_system=None))
    return out.getvalue().splitlines()


async def compared(
    folder: Path, pair: compare_runs.Pair, out: Path | None = None
) -> tuple[int, str]:
    """The exit code, and what is printed or said."""
    printed = StringIO()
    console = Console(file=printed, width=200, color_system=None)
    code = await compare_runs.run(
        at(folder), pair, out=out, console=console, say=lambda text: print(text, file=printed)
    )
    return code, printed.getvalue()


@pytest.fixture(params=[*sorted(KEPT.glob("*.sql")), None], ids=lambda kept: kept and kept.stem)
async def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A journal in which every kind of entry is written, by each released version and by this one."""
    if request.param is None:
        clock = Clock()
        async with open_test_services(
            tmp_path, environment=clock.environment(), moody=True
        ) as services:
            await live_through(services, clock)
        return tmp_path
    restore(request.param, tmp_path)
    journal = SqliteJournal(tmp_path / JOURNAL_FILE)
    await journal.open()
    await journal.close()
    return tmp_path


async def test_every_value_is_replayed_to_the_states_that_the_journal_has(folder: Path) -> None:
    values = await values_in(folder)
    assert {machine for machine, _ in values} >= {"chorus", "message", "thread"}
    for machine, id_ in values:
        code, said = await replayed(folder, id_)
        assert code == DONE, f"{machine} {id_}: {said}"
        assert said[-1].startswith("the same "), said
        if machine == "chorus":
            assert "declaration" not in said[-1], "runs of every version are executed again"
            lines = await traced(folder, id_)
            assert lines[0].split()[0] == "seq"


async def test_a_forked_run_and_its_branch_are_replayed(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, moody=True) as services:
        alice = await forking.co_author(services)
        thread = await forking.followed_thread(alice)
        first = await forking.asked(alice, thread, "What do rivers carry?")
        change = {"kind": "step_text", "text": "Rivers carry stones."}
        forked = await forking.fork(alice, thread, first, "action", change)
    for id_ in (first["run_id"], forked["run_id"], forked["branch_id"]):
        code, said = await replayed(tmp_path, id_)
        assert code == DONE, said
        assert said[-1].startswith("the same "), said
    lines = await traced(tmp_path, forked["run_id"])
    assert any("yielding → " in line for line in lines)

    one, other = (RunId(each["run_id"]) for each in (first, forked))
    code, printed = await compared(tmp_path, compare_runs.Pair(one, other))
    assert code == DONE
    assert f"forked from {one} after action (step_text)" in printed
    assert "0 of 6 steps are the same." in printed
    drawing = tmp_path / "ways.svg"
    assert await compared(tmp_path, compare_runs.Pair(one, other), drawing) == (
        DONE,
        f"{drawing}\n",
    )
    assert '<g class="ways">' in drawing.read_text(encoding="utf-8")
    for pair, refused in (
        (compare_runs.Pair(RunId(NO_ID), other), f"There is no run {NO_ID} in"),
        (compare_runs.Pair(one, RunId(NO_ID)), f"There is no run {NO_ID} in the thread of {one}."),
    ):
        with pytest.raises(CommandFailed, match=refused):
            await compared(tmp_path, pair)
    with pytest.raises(CommandFailed, match="cannot be written"):
        await compared(tmp_path, compare_runs.Pair(one, other), tmp_path / "nowhere" / "ways.svg")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def today(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The journal of one run that failed once on its way, and the run."""
    tmp_path = tmp_path_factory.mktemp("today")
    async with open_test_services(tmp_path, moody=True) as services:
        alice = await Caller(services).sign_in(Identity())
        thread = {"thread_id": (await alice.get("create_thread", name="Rivers"))["thread_id"]}
        await alice.get("get_thread", **thread)
        run_id = await run(alice, "STUMBLE: what do rivers carry?", "finished", **thread)
    return tmp_path, run_id


def always(_: object, __: object) -> bool:
    """In place of a guard."""
    return True


def raising(_: object, __: object) -> bool:
    """In place of a guard that reads what is not there."""
    raise AttributeError


def shortened(state: ChorusState, _: object) -> ChorusState:
    """In place of `take_context`."""
    return state.changed(context_tokens=1)


OTHER_CODE: Final = {
    "a guard": (
        guards.another_loop_is_wanted,
        always,
        "the guard another_loop_is_wanted says true, where the journal recorded false",
    ),
    "a guard that fails": (
        guards.loop_is_short,
        raising,
        "the guard loop_is_short fails (AttributeError), where it said false",
    ),
    "an action": (
        steps.take_context,
        shortened,
        "the action take_context gives another context_tokens than the journal recorded",
    ),
}


@in_one_loop
@pytest.mark.parametrize(("rule", "other", "why"), OTHER_CODE.values(), ids=OTHER_CODE)
async def test_code_that_changed_under_the_same_chart_is_named_and_no_damage(
    today: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    rule: FunctionType,
    other: FunctionType,
    why: str,
) -> None:
    folder, run_id = today
    monkeypatch.setattr(rule, "__code__", other.__code__)
    code, said = await replayed(folder, run_id)
    assert code == NOT_DONE
    assert said[-2].endswith(f": the chart is the same; the code of {why}")
    assert said[-1].startswith("not the same from seq ")
    journal = SqliteJournal(folder / JOURNAL_FILE)
    await journal.open()
    try:
        told: list[str] = []
        assert await verify_history(at(folder), journal, told.append) == 0
    finally:
        await journal.close()
    assert told[-1].startswith(f"computed otherwise: 1 run, first run {run_id} at seq ")
    assert told[-1].endswith(f": the chart is the same; the code of {why}")


@in_one_loop
async def test_a_trace_tells_guards_effects_and_what_they_brought(today: tuple[Path, str]) -> None:
    lines = [line.strip() for line in await traced(*today)]
    assert "thread_is_free true  No other run of the thread is under way." in lines
    assert any(line.startswith("AICall brought ai_failed (") for line in lines)
    assert any(line.startswith("ScheduleTimer brought retry_due (") for line in lines)
    assert any(line.startswith("✗ to action") for line in lines), "update asked for no other loop"
    assert any(line.startswith("another_loop_is_wanted false") for line in lines)
    assert not any("did not record" in line for line in lines)


@in_one_loop
async def test_a_trace_ends_at_the_moment_that_is_asked_for(today: tuple[Path, str]) -> None:
    found = await trace(at(today[0]), today[1])
    seq, moment = found.transitions[3].seq, found.transitions[3].at
    until = [each.seq for each in found.transitions if each.seq <= seq]
    for asked in (str(seq), moment.isoformat(), moment.isoformat().replace("+00:00", "Z")):
        past = await trace(at(today[0]), today[1], asked)
        assert [each.seq for each in past.transitions][: len(until)] == until
        assert past.transitions[-1].at <= moment


@in_one_loop
async def test_a_moment_that_there_is_not(today: tuple[Path, str]) -> None:
    for moment, sentence in (
        ("0", "0 is before the beginning"),
        ("2001-01-01", "2001-01-01 is before the beginning"),
        ("999999", "999999 is beyond the end of the thread"),
        ("9" * 40, "neither the number of an entry nor a time"),
        ("yesterday", "neither the number of an entry nor a time"),
        ("", "neither the number of an entry nor a time"),
        ("-3", "neither the number of an entry nor a time"),
    ):
        with pytest.raises(CommandFailed, match=sentence):
            await trace(at(today[0]), today[1], moment)


@in_one_loop
async def test_what_is_not_in_the_journal_is_said(today: tuple[Path, str]) -> None:
    with pytest.raises(CommandFailed, match="There is no"):
        await replayed(today[0], NO_ID)
    with pytest.raises(CommandFailed, match="There is no"):
        await traced(today[0], NO_ID)


@in_one_loop
async def test_a_run_of_a_chart_that_no_one_remembers_is_not_the_same(
    today: tuple[Path, str], tmp_path: Path
) -> None:
    kept, run_id = today
    folder = tmp_path / "data"
    shutil.copytree(kept, folder)
    file = sqlite3.connect(folder / JOURNAL_FILE)
    fingerprint = chorus_machine().fingerprint
    for stream, seq, body in file.execute("SELECT stream, seq, body FROM entries").fetchall():
        changed = body.replace(fingerprint, "chorus:000000000000")
        file.execute(
            "UPDATE entries SET body = ?, digest = ? WHERE stream = ? AND seq = ?",
            (changed, entry_digest(stream, seq, changed), stream, seq),
        )
    file.commit()
    file.close()
    code, said = await replayed(folder, run_id)
    assert code == NOT_DONE
    assert said[-1].startswith("not known: the declaration of ")
    lines = [line.strip() for line in await traced(folder, run_id)]
    assert "the declaration of the machine as it was is not known" in lines
