"""What `chorus verify` says of runs and other values: of each version, of changed and unknown charts."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machines.charts import journaled_machines
from machines.chorus import chorus_machine
from machines.declarations import declaration_of, read_declaration
from machines.message import message_machine
from machines.models.ids import thread_stream
from machines.models.journal import Batch, MachineTransition
from machines.models.message import MessageStatus
from server.commands.verify_history import verify_history
from server.settings import Settings
from server.stores import keep_declarations, reading
from storage.journal.history import DECLARATION, kept_declarations
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.storage.journal.keep_journal import KEPT, restore
from tests.support import journal_values as values
from tests.support.in_process import open_test_services

SUBMIT = "edge_message_submit_submitted_pending"
ALL_GOOD = (
    "checked: 0 runs and 2 other values against the declarations that wrote them; 0 runs executed"
    " again"
)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    """An open, empty journal."""
    opened = SqliteJournal(tmp_path / JOURNAL_FILE)
    await opened.open()
    yield opened
    await opened.close()


async def verified(folder: Path, journal: SqliteJournal) -> tuple[int, list[str]]:
    said: list[str] = []
    problems = await verify_history(Settings(data=folder, llm="offline"), journal, said.append)
    return problems, said


def submitted(edge: str, fingerprint: str) -> Batch:
    """A thread with a message that waits, which an entry with this fingerprint says took `edge`."""
    thread = values.thread()
    message = values.message(thread, 0, status=MessageStatus.PENDING)
    taken = MachineTransition(
        machine="message",
        instance=message.id,
        event="submit",
        source="submitted",
        target="pending",
        edge=edge,
    )
    return values.batch(
        0,
        values.entry(thread_stream(thread.id), thread.model_copy(update={"message_count": 1})),
        values.entry(
            thread_stream(thread.id), message, transitions=(taken,), fingerprint=fingerprint
        ),
    )


@pytest.mark.parametrize("kept", sorted(KEPT.glob("*.sql")), ids=lambda kept: kept.stem)
async def test_every_value_of_a_released_version_is_checked(kept: Path, tmp_path: Path) -> None:
    restore(kept, tmp_path)
    journal = SqliteJournal(tmp_path / JOURNAL_FILE)
    await journal.open()
    try:
        problems, said = await verified(tmp_path, journal)
    finally:
        await journal.close()
    assert problems == 0
    (line,) = said
    counts = re.fullmatch(
        r"checked: (\d+) runs and (\d+) other values against the declarations that wrote them;"
        r" (\d+) runs executed again",
        line,
    )
    assert counts is not None, line
    assert all(int(count) > 0 for count in counts.groups())


async def test_an_edge_that_its_declaration_lacks_is_a_problem(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    today = message_machine().fingerprint
    await journal.commit(submitted("edge_message_jump", today))
    problems, said = await verified(tmp_path, journal)
    message = values.message(values.thread(), 0)
    assert problems == 1
    assert (
        said[0]
        == f"message {message.id}: it took edge_message_jump, which {today} does not declare"
    )


async def test_a_chart_that_the_journal_alone_remembers_checks_its_values(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    await journal.commit(submitted("edge_message_jump", "message:other"))
    _, said = await verified(tmp_path, journal)
    assert "not checked: 1 value of message:other, whose declaration is not known" in said
    text = declaration_of(message_machine().topology).to_json()
    await journal.note(
        f"{DECLARATION}message:other",
        text.replace(message_machine().fingerprint, "message:other").replace(
            SUBMIT, "edge_message_jump"
        ),
    )
    assert await verified(tmp_path, journal) == (0, [ALL_GOOD])


async def test_a_declaration_that_cannot_be_read_is_a_problem(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    await journal.note(f"{DECLARATION}message:other", "{}")
    problems, said = await verified(tmp_path, journal)
    assert problems == 1
    assert said[0] == "journal: what message:other declares cannot be read: it names no format"


async def test_a_run_that_a_chart_of_another_time_wrote_stands_where_its_entries_lead(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    thread = values.thread()
    message = values.message(thread, 0)
    run = values.run(message)
    started = values.started(run)
    entry = values.run_entry(started, "started", started)
    (start,) = entry.transitions
    whole = entry.model_copy(
        update={
            "transitions": (start.model_copy(update={"edge": "edge_chorus_start_queued_running"}),),
            "fingerprint": "chorus:other",
        }
    )
    text = declaration_of(chorus_machine().topology).to_json()
    other = text.replace(chorus_machine().fingerprint, "chorus:other")
    await journal.note(f"{DECLARATION}chorus:other", other)
    await journal.commit(values.opening(thread, message))
    head = await journal.head(thread_stream(thread.id))
    await journal.commit(
        values.batch(head, values.run_entry(run, "queued", run).changed(transitions=()), whole)
    )
    problems, said = await verified(tmp_path, journal)
    assert (problems, said) == (
        0,
        [
            "checked: 1 run and 2 other values against the declarations that wrote them; 0 runs"
            " executed again"
        ],
    )
    over = values.finished(started)
    head = await journal.head(thread_stream(thread.id))
    ended = values.run_entry(over, "cancelled", over).changed(transitions=())
    await journal.commit(values.batch(head, ended))
    problems, said = await verified(tmp_path, journal)
    assert problems == 1
    assert said[0] == f"run {run.id}: its snapshot stands where its entries do not lead"


async def test_a_server_lets_its_journal_keep_what_its_charts_declare(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as services:
        await keep_declarations(services.journal)
    async with reading(Settings(data=tmp_path, llm="offline")) as reader:
        kept = await reader.read(kept_declarations)
    assert kept.keys() == {each.fingerprint for each in journaled_machines()}
    for machine in journaled_machines():
        declared = read_declaration(kept[machine.fingerprint])
        assert declared.topology() == machine.topology
