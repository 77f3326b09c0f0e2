"""`chorus serve` on one thread of so many messages: the next prompt, `get_thread`, and a vote.

    python -m benchmarks.contestants.growth_thread MESSAGES

The thread is public, with two co-authors; its messages are approved ones of theirs, each an entry as
the real machines would have made it, committed by the real journal; no run is among them. The memory is a
Qdrant server that is away: how search grows is a question of its own, and a memory that lacks what
the journal has would be filled meanwhile. Then, over websockets: one
co-author opens the thread again and again and gets its newest page; a stranger's messages are
rejected one after the other by the other co-author; and the first asks prompts, each a run of the
offline responder from the request to its answer, followed live. A few of each come first, so that
the caches of the database and of the server are as warm as in use.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.contestants.served import Line, started
from benchmarks.measure import cpu_of, tell
from benchmarks.threads import person
from benchmarks.work import prose, uuid
from machines.decisions.threads import open_thread
from machines.decisions.views import message_view
from machines.models.commands import OpenThread
from machines.models.domain import Role
from machines.models.ids import MessageId, PublicKey, ThreadId, thread_stream
from machines.models.journal import Batch, JournalEntry, creation_of, fields_of, update_of
from machines.models.message import Message, MessageStatus
from machines.models.thread import Thread, Visibility
from machines.models.wire.frames import (
    ThreadEventData,
    ThreadEventKind,
)
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.machines.transitions.values import NOW

THREAD: Final = ThreadId(uuid("growth"))
PAGE: Final = 50
"""Messages that `get_thread` gives when it is not told how many."""

OPENINGS: Final = 200
VOTES: Final = 60
PROMPTS: Final = 15
WARM: Final = 5
"""Of each, before anything counts."""

_NOBODY: Final = "http://127.0.0.1:9"
"""A port without a listener."""

_GROUP: Final = 2_000
"""Entries in a batch."""


def main() -> None:
    """Make the thread, serve it, and tell."""
    messages = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="chorus-growth-") as name:
        data = Path(name)
        asyncio.run(_make(data / JOURNAL_FILE, messages))
        with started(data, quiet=True, CHORUS_QDRANT_URL=_NOBODY) as (port, pid, _):
            tell(**asyncio.run(_measure(port, pid, messages)))


# --- The thread ---------------------------------------------------------------------------------


async def _make(file: Path, messages: int) -> None:
    journal = SqliteJournal(file)
    await journal.open()
    authors = (person("alice", 0), person("bob", 0))
    begun = open_thread(
        OpenThread(
            thread_id=THREAD,
            at=NOW,
            by=authors[0],
            name="Growing",
            visibility=Visibility.PUBLIC,
        )
    )
    await journal.commit(begun.batch)
    # As one invitation would have left it.
    thread = begun.facts.view.thread.model_copy(update={"co_authors": authors})
    entries = _entries(thread, authors, messages)
    while group := tuple(islice(entries, _GROUP)):
        await journal.commit(Batch(entries=group))
    await journal.close()


def _entries(thread: Thread, authors: Sequence[PublicKey], messages: int) -> Iterator[JournalEntry]:
    for index in range(messages):
        at = NOW + timedelta(seconds=index)
        author = authors[index % len(authors)]
        message = Message(
            id=MessageId(uuid(f"message {index}")),
            thread_id=thread.id,
            index=index,
            role=Role.USER,
            author=author,
            content=f"{index}. {prose(f'message {index % 100}', 200)}",
            status=MessageStatus.APPROVED,
            created_at=at,
            updated_at=at,
        )
        thread = thread.transition_to(at, message_count=index + 1)
        data = ThreadEventData(
            kind=ThreadEventKind.MESSAGE_SUBMITTED,
            at=at,
            by=author,
            message_id=message.id,
            message=message_view(message),
        )
        yield JournalEntry(
            stream=thread_stream(thread.id),
            type="thread_event",
            kind=ThreadEventKind.MESSAGE_SUBMITTED.value,
            at=at,
            by=author,
            data=fields_of(data, "transitions"),
            changes=(creation_of("message", message), update_of("thread", thread)),
            seq=index + 2,
        )


# --- What is measured -----------------------------------------------------------------------------


async def _measure(port: int, pid: int, messages: int) -> dict[str, float]:
    """Milliseconds of the server's CPU for one of each."""
    async with _signed_in(port, "alice", "bob", "carol") as (alice, bob, carol):
        opened = await _cpu_of_each(pid, OPENINGS, lambda: _open(alice, messages))
        waiting = [await _submitted(carol) for _ in range(WARM + VOTES)]
        voted = await _cpu_of_each(pid, VOTES, lambda: _reject(bob, waiting.pop()))
        prompted = await _cpu_of_each(pid, PROMPTS, lambda: _prompt(alice))
    return {"prompt": prompted, "get_thread": opened, "vote": voted}


@asynccontextmanager
async def _signed_in(port: int, *roles: str) -> AsyncIterator[list[Line]]:
    url = f"http://127.0.0.1:{port}/ws"
    async with aiohttp.ClientSession() as http:
        lines = [Line(await http.ws_connect(url, protocols=["chorus.v1"])) for _ in roles]
        for line, role in zip(lines, roles, strict=True):
            await line.sign_in(role)
        yield lines


async def _cpu_of_each(pid: int, times: int, ask: Callable[[], Awaitable[None]]) -> float:
    for _ in range(WARM):
        await ask()
    before = cpu_of(pid)
    for _ in range(times):
        await ask()
    return 1e3 * (cpu_of(pid) - before) / times


async def _open(line: Line, messages: int) -> None:
    data = await _answer(line, "get_thread", "thread_messages")
    shown, count = len(data["messages"]), data["thread"]["message_count"]
    if (shown, count) != (min(PAGE, messages), messages):
        raise AssertionError(f"a page has {shown} of {count} messages")


async def _submitted(line: Line) -> str:
    prompt = prose("question", 200)
    return str((await _answer(line, "submit_prompt", "accepted", prompt=prompt))["message_id"])


async def _reject(line: Line, message_id: str) -> None:
    await _answer(line, "reject_message", "accepted", message_id=message_id)


async def _prompt(line: Line) -> None:
    prompt = prose("prompt", 200)
    run_id = (await _answer(line, "submit_prompt", "accepted", prompt=prompt))["run_id"]
    ended = await line.until(
        lambda frame: (
            frame["data"].get("run_id") == run_id
            and frame["data"].get("status") in {"finished", "failed", "cancelled"}
        )
    )
    if ended["data"]["status"] != "finished":
        raise AssertionError(f"a run ended: {ended}")


async def _answer(line: Line, request: str, reply: str, **data: object) -> dict[str, Any]:
    answer = await line.ask(request, thread_id=THREAD, **data)
    if answer["type"] != reply:
        raise AssertionError(f"{request} was answered {answer}")
    found: dict[str, Any] = answer["data"]
    return found


if __name__ == "__main__":
    main()
