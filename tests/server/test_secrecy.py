"""The log holds no content, no name, no key and no token, whatever happens; nor do errors.

Content is told by a word that stands nowhere else. The log is taken at its lowest level from our
own code, and from everybody else's at the level that `chorus serve` sets.
"""

import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.journal.sqlite import JOURNAL_FILE
from tests.support.client import Identity, new_id
from tests.support.in_process import Caller, open_test_services

WORD = "xylophonical"
OURS = ("server", "storage", "machines")


class Log(logging.Handler):
    """Everything that would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def emitted_by(self, name: str) -> bool:
        """Whether a line came of the logger."""
        return any(name in line for line in self.lines)


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield handler
    for name in OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    root.setLevel(before)
    root.removeHandler(handler)


async def busy(caller: Caller) -> str:
    """A thread with the word in all that can hold it; gives its id."""
    thread = await caller.get("create_thread", name=f"{WORD} thread", visibility="public")
    await caller.get("set_name", name=f"{WORD} person")
    await caller.get("get_thread", thread_id=thread["thread_id"])
    for prompt in (f"What is {WORD}?", f"FAIL at {WORD}", f"STUMBLE over {WORD}"):
        run = await caller.get("submit_prompt", thread_id=thread["thread_id"], prompt=prompt)
        await caller.line.until(
            lambda frame, run_id=run["run_id"]: (  # type: ignore[misc]
                frame["data"].get("run_id") == run_id
                and frame["data"].get("status") in {"finished", "failed"}
            ),
            "the end of a run",
        )
    return str(thread["thread_id"])


async def test_a_busy_day_leaves_no_word_of_anybody_in_the_log(tmp_path: Path, log: Log) -> None:
    async with open_test_services(tmp_path, moody=True) as services:
        alice = await Caller(services).sign_in(Identity())
        thread_id = await busy(alice)
        await alice.ask("search", query=WORD)
        await alice.ask("rename_thread", thread_id=new_id(), name=WORD)
        await alice.ask("resume", token=WORD)
        await alice.put('{"type":"' + WORD)
        guest = await Caller(services).sign_in(Identity())
        sent = await guest.get("submit_prompt", thread_id=thread_id, prompt=f"{WORD}!")
        vote = {"thread_id": thread_id, "message_id": sent["message_id"]}
        await alice.get("reject_message", reason=WORD, **vote)
    told = "\n".join(log.lines)
    for secret in (WORD, alice.public_key, alice.token, guest.public_key, guest.token):
        assert secret not in told


async def test_a_journal_that_fails_names_no_value_that_it_was_given(
    tmp_path: Path, log: Log
) -> None:
    async with open_test_services(tmp_path, moody=True) as services:
        alice = await Caller(services).sign_in(Identity())
        thread_id = await busy(alice)
        damage(
            tmp_path,
            "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT 1/0, "
            "RAISE(FAIL, 'out of order'); END",
        )
        refused = await alice.ask("submit_prompt", thread_id=thread_id, prompt=f"More {WORD}")
        assert refused["type"] == "error"
        assert WORD not in json.dumps(refused)
        damage(tmp_path, "DROP TRIGGER full")
    assert log.lines, "a failure of the store is told to the operator"
    told = "\n".join(log.lines)
    assert WORD not in told
    assert alice.public_key not in told


async def test_a_damaged_value_is_told_without_its_words(tmp_path: Path, log: Log) -> None:
    async with open_test_services(tmp_path, moody=True) as services:
        alice = await Caller(services).sign_in(Identity())
        thread_id = await busy(alice)
        damage(
            tmp_path,
            "UPDATE messages SET body = ?",
            json.dumps({"content": WORD, "role": WORD}),
        )
        shown = await alice.ask("get_thread", thread_id=thread_id)
        assert shown["data"]["messages"] == []
        assert log.emitted_by("of messages is damaged"), "an operator is told"
        damage(tmp_path, "UPDATE threads SET body = ?", json.dumps({"name": WORD}))
        refused = await alice.ask("get_thread", thread_id=thread_id)
        assert refused["type"] == "error"
        assert WORD not in json.dumps(refused)
    assert log.emitted_by("storage_unavailable"), "an operator is told of that too"
    assert WORD not in "\n".join(log.lines)


def damage(folder: Path, statement: str, *values: str) -> None:
    """Do something to the journal behind its server's back."""
    file = sqlite3.connect(folder / JOURNAL_FILE, timeout=5)
    with file:
        file.execute(statement, values)
    file.close()
