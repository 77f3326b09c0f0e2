"""Keep a journal of the version that is checked out, so that later versions must still replay it.

    python -m tests.storage.journal.keep_journal          # before a release; never changes one that is kept

A small history is lived through by the real server, in which every kind of entry is written and one
run is left unfinished. The journal is kept as SQL text beside what a reader must find in it; both
are read by `tests/storage/journal/test_stored_journals.py`.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from machines.models.commands import ChangeBalance
from machines.models.ids import ThreadId
from server import __version__
from server.services import Services
from storage.journal.sqlite import JOURNAL_FILE
from tests.support.client import Frame, Identity
from tests.support.in_process import Caller, Clock, open_test_services

KEPT: Final = Path(__file__).parents[2] / "data" / "journals"


def restore(kept: Path, folder: Path) -> None:
    """Make a data folder of a kept journal."""
    folder.mkdir(parents=True, exist_ok=True)
    file = sqlite3.connect(folder / JOURNAL_FILE)
    file.executescript(kept.read_text())
    file.close()


def dumped(folder: Path) -> str:
    """A journal as SQL text; its server must have ended."""
    file = sqlite3.connect(folder / JOURNAL_FILE)
    text = "\n".join(file.iterdump())
    file.close()
    return f"{text}\n"


async def live_through(services: Services, clock: Clock) -> dict[str, Any]:
    """The history; gives what a co-author is shown of its threads."""
    alice, bob, carol = [await Caller(services).sign_in(Identity()) for _ in range(3)]
    await alice.get("set_name", name="Alice")
    opened = await alice.get("create_thread", name="Open house", visibility="public")
    public = {"thread_id": opened["thread_id"]}
    await alice.bring_in(bob, opened["thread_id"])
    await alice.get("get_thread", **public)
    await run(alice, "Rivers carry water to the sea.", "finished", **public)
    await run(alice, "STUMBLE: what do rivers carry?", "finished", **public)
    failed = await run(alice, "FAIL at rivers", "failed", **public)
    await alice.get("retry_run", run_id=failed, **public)
    stopped = await alice.get("submit_prompt", prompt="HOLD the river", **public)
    await alice.get("cancel_run", run_id=stopped["run_id"], **public)

    withdrawn = await carol.get("submit_prompt", prompt="Never mind", **public)
    await carol.get("withdraw_message", message_id=withdrawn["message_id"], **public)
    rejected = await carol.get("submit_prompt", prompt="Buy my lamps", **public)
    spam = {"message_id": rejected["message_id"], **public}
    await alice.get("reject_message", reason="An advertisement", **spam)
    approved = await carol.get("submit_prompt", prompt="What else do rivers carry?", **public)
    vote = {"message_id": approved["message_id"], **public}
    await alice.get("approve_message", **vote)
    await bob.get("leave_co_authorship", **public)
    end = await alice.line.until(lambda frame: ended(frame, approved["message_id"]), "an answer")
    assert end["data"]["status"] == "finished"
    await alice.get("rename_thread", name="Rivers", **public)
    await services.thread_service.perform(
        ThreadId(opened["thread_id"]),
        lambda ids: ChangeBalance(
            thread_id=ThreadId(opened["thread_id"]),
            at=clock.now(),
            by=None,
            ids=ids,
            amount=9,
            cause="a gift",
        ),
    )

    closed = await alice.get("create_thread", name="Closed", visibility="public")
    archived = {"thread_id": closed["thread_id"]}
    await carol.get("submit_prompt", prompt="Too late", **archived)
    await alice.get("archive_thread", **archived)

    left = await alice.get("create_thread", name="Unfinished")
    unfinished = {"thread_id": left["thread_id"]}
    await alice.get("get_thread", **unfinished)
    live = await alice.get("submit_prompt", prompt="HOLD until later", **unfinished)
    await alice.line.until(
        lambda frame: frame["data"].get("run_id") == live["run_id"] and "seq" not in frame,
        "the first words of a run",
    )
    return {
        "unfinished_run": live["run_id"],
        "threads": {
            thread["thread_id"]: {
                "shown": await alice.get("get_thread", limit=200, **thread),
                "entries": (await alice.get("get_events", after_seq=0, limit=1000, **thread))[
                    "entries"
                ],
            }
            for thread in (public, archived, unfinished)
        },
    }


async def run(caller: Caller, prompt: str, status: str, **thread: str) -> str:
    """A run, to its end."""
    accepted = await caller.get("submit_prompt", prompt=prompt, **thread)
    end = await caller.line.until(lambda frame: ended(frame, accepted["message_id"]), "an end")
    assert end["data"]["status"] == status
    return str(accepted["run_id"])


def ended(frame: Frame, message_id: str) -> bool:
    """Whether a frame ends the run of this prompt."""
    return frame["data"].get("message_id") == message_id and frame["data"].get("status") in {
        "finished",
        "failed",
    }


async def keep() -> int:
    """Write the journal of this version; gives the exit code."""
    kept = KEPT / f"{__version__}.sql"
    if kept.exists():
        print(f"{kept} is kept already, and is never written again: it is what this version wrote")
        return 1
    with tempfile.TemporaryDirectory(prefix="chorus-journal-") as folder:
        clock = Clock()
        async with open_test_services(
            Path(folder), environment=clock.environment(), moody=True
        ) as services:
            told = await live_through(services, clock)
        KEPT.mkdir(parents=True, exist_ok=True)
        kept.write_text(dumped(Path(folder)))
    expected = json.dumps(told, indent=1, ensure_ascii=False, sort_keys=True)
    kept.with_suffix(".json").write_text(f"{expected}\n")
    print(f"kept {kept}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(keep()))
