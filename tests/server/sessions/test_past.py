"""`get_past`: after each entry exactly what a reader was shown then, with the rights of today."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from machines.models.ids import ThreadId
from machines.models.journal import Batch, Committed, DecisionView
from server.chat.events import Live, Opened
from server.chat.frames import Frame, ThreadPast, parse_live
from server.chat.past import moment_of
from server.chat.view import ChatState, fold
from server.services import Services
from server.sessions import past as past_requests
from storage.journal import past
from storage.journal.answers import MessagePage, PastPage, PastReached
from tests.support.client import Data, Identity
from tests.support.eventful_thread import lived
from tests.support.in_process import Caller, open_test_services

pytestmark = pytest.mark.asyncio(loop_scope="module")

Shown = dict[int, tuple[DecisionView, MessagePage]]
"""By entry: what whoever opened the thread was shown behind it."""

ALL = 200


class Lived(NamedTuple):
    services: Services
    thread: Data
    ann: Caller
    """A co-author."""
    eve: Caller
    """Who came when it was over."""
    shown: Shown


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def life(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lived]:
    folder: Path = tmp_path_factory.mktemp("past")
    async with open_test_services(folder, moody=True) as services:
        shown: Shown = {}
        commit = services.journal.commit

        async def commit_and_look(batch: Batch) -> Committed:
            committed = await commit(batch)
            for stream in batch.expected:
                if stream.startswith("thread:"):
                    id_ = ThreadId(stream.removeprefix("thread:"))
                    found = await services.journal.snapshot(id_, limit=ALL, before_index=None)
                    assert found is not None
                    shown[found[0].head_seq] = found
            return committed

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(services.journal, "commit", commit_and_look)
            ann, thread_id = await lived(services)
            eve = await Caller(services).sign_in(Identity())
            yield Lived(services, {"thread_id": thread_id}, ann, eve, shown)


async def looked_back(life: Lived, seq: int) -> PastPage:
    for _ in range(100):
        found = await life.services.journal.as_it_was(
            life.thread["thread_id"], seq=seq, limit=ALL, before_index=None
        )
        if not isinstance(found, PastReached):
            assert found is not None
            return found
    raise AssertionError("it comes to no end")


@pytest.mark.unmeasured
async def test_after_every_commit_the_past_is_what_was_shown_then(
    life: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = sorted(life.shown.items(), reverse=True)
    assert len(everything) >= 60
    for _ in ("gathered from the beginning", "and from moments that were kept"):
        for seq, (view, page) in everything:
            found = await looked_back(life, seq)
            assert found.view == view
            assert found.page == page
        monkeypatch.setattr(past, "KEPT_EACH", 3)
        monkeypatch.setattr(past, "MOST_GATHERED", 7)


def folded(caller: Caller, begun: Data, entries: list[Data]) -> list[ChatState]:
    """What a follower sees after each entry, who opened the thread behind the first."""
    first = ThreadPast.model_validate(begun)
    state = fold(ChatState(me=caller.public_key), Opened(first))
    states = [state]
    for raw in entries:
        frame = Frame.model_validate(raw)
        body = parse_live(frame)
        if body is not None and frame.thread_id is not None:
            state = fold(state, Live(frame.thread_id, frame.seq, body))
        states.append(state)
    return states


def seen(state: ChatState) -> dict[str, object]:
    """What of a thread does not depend on how long it was followed."""
    assert state.thread is not None
    here = {*state.thread.co_authors}
    return {
        # A follower learns of other entries how many messages there are, which run one began, and that an
        # elector who left has no vote.
        "thread": state.thread.model_copy(update={"message_count": 0}),
        "messages": [
            each.model_copy(
                update={"run_id": None, "electors": [key for key in each.electors if key in here]}
            )
            for each in state.messages
        ],
        "links": state.links,
        "removals": state.removals,
        "branches": state.branches,
        "runs": sorted(
            (run.run_id, run.message_id, run.status.value, run.current and run.current.key)
            for run in state.live_runs
        ),
    }


@pytest.mark.unmeasured
@pytest.mark.parametrize("who", ["ann", "eve"])
async def test_after_every_entry_the_past_is_what_a_follower_saw(life: Lived, who: str) -> None:
    caller: Caller = getattr(life, who)
    page = await caller.get("get_events", after_seq=1, limit=1_000, **life.thread)
    entries = page["entries"]
    while page["has_more"]:
        after = entries[-1]["seq"]
        page = await caller.get("get_events", after_seq=after, limit=1_000, **life.thread)
        entries += page["entries"]
    begun = await caller.get("get_past", at_seq=1, **life.thread)
    differences = []
    for seq, state in enumerate(folded(caller, begun, entries), start=1):
        told = await caller.get("get_past", at_seq=seq, limit=ALL, **life.thread)
        assert (told["head_seq"], told["last_seq"]) == (seq, len(entries) + 1)
        moment = moment_of(ThreadPast.model_validate(told), state)
        then, followed = seen(moment.state), seen(state)
        if seq not in life.shown:
            # Within a commit a step is completed, and the next is not begun.
            del followed["runs"]
        differences += [
            (seq, name, then[name], each) for name, each in followed.items() if then[name] != each
        ]
    assert not differences, differences[0]


async def test_a_time_leads_to_the_last_entry_that_was_not_made_later(life: Lived) -> None:
    told = await life.ann.get("get_past", at_seq=20, **life.thread)
    by_time = await life.ann.get("get_past", at=told["at"], **life.thread)
    following = await life.ann.get("get_past", at_seq=by_time["head_seq"] + 1, **life.thread)
    # Entries have the times of their events, which are not all in their order.
    before, asked, behind = (
        datetime.fromisoformat(each["at"]) for each in (by_time, told, following)
    )
    assert before <= asked < behind
    now = await life.ann.get("get_past", at="2100-01-01T00:00:00Z", **life.thread)
    assert now["head_seq"] == now["last_seq"]


@pytest.mark.parametrize(
    ("moment", "field"),
    [
        ({"at_seq": 0}, "at_seq"),
        ({"at_seq": 99_999}, "at_seq"),
        ({"at_seq": 2**63}, "at_seq"),
        ({"at_seq": "1"}, "at_seq"),
        ({"at": "2001-01-01T00:00:00Z"}, "at"),
        ({"at": "yesterday"}, "at"),
        ({}, "at"),
        ({"at": "2100-01-01T00:00:00Z", "at_seq": 1}, "at"),
    ],
)
async def test_a_moment_that_there_is_not_is_refused(life: Lived, moment: Data, field: str) -> None:
    refused = await life.ann.ask("get_past", **moment, **life.thread)
    assert refused["type"] == "error"
    assert refused["data"]["code"] == "invalid_field"
    assert refused["data"]["details"]["field"] == field


async def test_a_past_that_is_gathered_for_the_first_time_says_how_far_it_is(
    life: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = {"thread_id": (await life.ann.get("create_thread", name="Long"))["thread_id"]}
    for number in range(12):
        await life.ann.get("rename_thread", name=f"Long {number}", **thread)
    monkeypatch.setattr(past, "KEPT_EACH", 2)
    monkeypatch.setattr(past, "MOST_GATHERED", 2)
    monkeypatch.setattr(past_requests, "_SLICES", 2)
    asked = {"at_seq": 13, **thread}
    refused = await life.ann.ask("get_past", **asked)
    assert refused["data"]["code"] == "thread_busy"
    assert refused["data"]["retryable"]
    assert refused["data"]["details"] == {"gathered": 4, "of": 13}
    told = await life.ann.ask("get_past", **asked)
    while told["type"] == "error":
        told = await life.ann.ask("get_past", **asked)
    assert told["data"]["thread"]["name"] == "Long 11"


async def test_who_goes_through_many_entries_waits_for_whoever_does(
    life: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = most = 0

    def counted(read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def method(*args: Any, **more: Any) -> Any:
            nonlocal looking, most
            looking += 1
            most = max(most, looking)
            try:
                return await read(*args, **more)
            finally:
                looking -= 1

        return method

    page = await life.ann.get("get_past", at_seq=20, limit=1, **life.thread)
    value = {"value_id": page["messages"][0]["id"]}
    for name in ("as_it_was", "value_entries"):
        monkeypatch.setattr(
            life.services.journal, name, counted(getattr(life.services.journal, name))
        )
    await asyncio.gather(
        life.ann.get("get_past", at_seq=20, **life.thread),
        life.eve.get("explain_value", **value, **life.thread),
    )
    assert most == 1


async def test_older_messages_are_paged_back_to_as_they_were(life: Lived) -> None:
    last = max(life.shown)
    whole = await life.ann.get("get_past", at_seq=last, limit=ALL, **life.thread)
    paged: list[Data] = []
    before = None
    while True:
        page = await life.ann.get(
            "get_past", at_seq=last, limit=3, before_index=before, **life.thread
        )
        paged = [*page["messages"], *paged]
        if not page["has_more"]:
            break
        before = paged[0]["index"]
    assert paged == whole["messages"]
