"""What ends in its time needs its timer: where that is lost, verify says so and a repair sets it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.journal.sqlite import JOURNAL_FILE
from tests.support.client import signed_in
from tests.support.served import served


@pytest.mark.parametrize(
    "damage", ["DELETE FROM timers", "UPDATE timers SET body = '{'"], ids=["lost", "unreadable"]
)
async def test_a_timer_that_is_lost_or_unreadable_is_set_again_by_a_repair(
    tmp_path: Path, damage: str
) -> None:
    async with served(tmp_path) as server:
        async with signed_in(server.url) as ann, signed_in(server.url) as bob:
            thread_id = await ann.new_thread(name="Deadlines", visibility="public")
            await bob.ask("submit_prompt", thread_id=thread_id, prompt="May I?")
        assert await server.stop() == 0
        with closing(sqlite3.connect(server.data / JOURNAL_FILE)) as journal, journal:
            before = journal.execute("SELECT id, due_at, body FROM timers ORDER BY id").fetchall()
            assert len(before) == 3, "two sessions and a message that waits end in their time"
            journal.execute(damage)

        code, said, _ = await server.command("verify")
        assert code == 1, said
        code, said, errors = await server.command("verify", "--repair")
        assert (code, errors) == (0, ""), said
        assert "set 3 timers that were missing" in said

        code, said, _ = await server.command("verify")
        assert code == 0, said
        with closing(sqlite3.connect(server.data / JOURNAL_FILE)) as journal:
            after = journal.execute("SELECT id, due_at, body FROM timers ORDER BY id").fetchall()
        assert after == before
