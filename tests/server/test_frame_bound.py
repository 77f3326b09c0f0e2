"""However much a user may read, each frame of it keeps the bound, and all of it can be paged through."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from nacl.signing import SigningKey

from machines.models.domain import Role, User
from machines.models.ids import MessageId, PublicKey, ThreadId, UserId, thread_stream, user_stream
from machines.models.journal import Batch, JournalEntry, creation_of
from machines.models.keys import encode_public_key
from machines.models.limits import MAX_CO_AUTHORS, MAX_NAME_LENGTH, MAX_SERVER_FRAME_BYTES
from machines.models.message import Message, MessageStatus
from machines.models.thread import Thread, Visibility
from server.services import Services
from tests.support.client import Data, Identity, new_id
from tests.support.eventually import eventually
from tests.support.in_process import Caller, open_test_services

NOW = datetime(2026, 5, 4, tzinfo=UTC)
LONG_NAME = "😀" * MAX_NAME_LENGTH
THREADS = 100
ANSWER = "漢" * 190_000


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True) as services:
        yield services


def crowd() -> Iterator[PublicKey]:
    """So many keys as a thread has place for, but for one."""
    for number in range(1, MAX_CO_AUTHORS):
        yield encode_public_key(bytes(SigningKey(number.to_bytes(32, "big")).verify_key))


def named(key: PublicKey) -> JournalEntry:
    """A user with a long name."""
    user = User(id=UserId(new_id()), public_key=key, name=LONG_NAME, created_at=NOW, updated_at=NOW)
    return JournalEntry(
        stream=user_stream(key),
        type="user_event",
        kind="signed_in",
        at=NOW,
        by=key,
        data={},
        changes=(creation_of("user", user),),
        seq=1,
    )


def crowded_thread(*keys: PublicKey) -> tuple[Thread, JournalEntry]:
    """A thread of these co-authors, with an answer as long as a model may give one."""
    thread = Thread(
        id=ThreadId(new_id()),
        name=LONG_NAME,
        visibility=Visibility.PRIVATE,
        co_authors=keys,
        message_count=1,
        created_at=NOW,
        updated_at=NOW,
    )
    answer = Message(
        id=MessageId(new_id()),
        thread_id=thread.id,
        index=0,
        role=Role.CHORUS,
        author=None,
        content=ANSWER,
        status=MessageStatus.APPROVED,
        created_at=NOW,
        updated_at=NOW,
    )
    entry = JournalEntry(
        stream=thread_stream(thread.id),
        type="thread_event",
        kind="thread_created",
        at=NOW,
        by=keys[0],
        data={"kind": "thread_created", "at": NOW, "by": keys[0]},
        changes=(creation_of("thread", thread), creation_of("message", answer)),
        seq=1,
    )
    return thread, entry


async def test_a_hundred_crowded_threads_with_long_names_lock_nobody_out(
    services: Services,
) -> None:
    identity = Identity()
    me = PublicKey(identity.public_key)
    others = tuple(crowd())
    await services.journal.commit(Batch(entries=tuple(map(named, others))))
    made = [crowded_thread(*others, me) for _ in range(THREADS)]
    for _, entry in made:
        await services.journal.commit(Batch(entries=(entry,)))

    caller = await Caller(services).sign_in(identity)
    init = caller.line.frames[-1]["data"]
    found = [each["id"] for each in init["threads"]]
    page: Data = init
    assert 0 < len(found) < THREADS
    while page["next"] is not None:
        page = await caller.get("list_threads", scope="mine", limit=200, after=page["next"])
        found += [each["id"] for each in page["threads"]]
    assert found == [thread.id for thread, _ in reversed(made)]

    shown = await caller.ask("get_thread", thread_id=found[0])
    assert shown["shortened"] is True, "an answer that no frame holds is cut"
    [answer] = shown["data"]["messages"]
    assert ANSWER.startswith(answer["content"].removesuffix("…"))
    assert len(shown["data"]["thread"]["co_authors"]) == MAX_CO_AUTHORS


async def test_everything_of_a_thread_is_paged_through_within_the_bound(
    services: Services,
) -> None:
    alice = await Caller(services).sign_in(Identity())
    thread = {"thread_id": (await alice.get("create_thread", name="Long"))["thread_id"]}
    count = 4 * MAX_SERVER_FRAME_BYTES // 96_000
    sent: list[str] = []
    for number in range(count):
        prompt = f"HOLD {number:04} ".ljust(32_000, "漢")
        sent.append(prompt)
        await alice.get("submit_prompt", prompt=prompt, **thread)

    shown: list[str] = []
    page = await alice.get("get_thread", limit=200, **thread)
    while page["messages"]:
        shown = [each["content"] for each in page["messages"]] + shown
        before = page["messages"][0]["index"]
        page = await alice.get("get_thread", limit=200, before_index=before, **thread)
    assert shown == sent

    told: list[int] = []
    events: Data = {"has_more": True}
    while events["has_more"]:
        after = told[-1] if told else 0
        events = await alice.get("get_events", after_seq=after, limit=1_000, **thread)
        told += [each["seq"] for each in events["entries"]]
    assert told == list(range(1, events["head_seq"] + 1))


@pytest.mark.parametrize("limit", [1, 80])
async def test_a_search_gives_as_many_results_as_a_frame_holds(
    services: Services, limit: int
) -> None:
    alice = await Caller(services).sign_in(Identity())
    thread = {"thread_id": (await alice.get("create_thread", name="Long"))["thread_id"]}
    await alice.get("get_thread", **thread)
    for character in "漢字語言":  # of messages that say the same a search gives one
        asked = await alice.get(
            "submit_prompt", prompt="HOLD river ".ljust(32_000, character), **thread
        )
        await alice.get("cancel_run", run_id=asked["run_id"], **thread)

    async def nothing_waits() -> bool:
        return not await services.journal.queued_tasks()

    await eventually(nothing_waits, "the memory holds what was said")
    found = await alice.get("search", query="river", limit=limit)
    assert len(found["results"]) == min(limit, 2)
