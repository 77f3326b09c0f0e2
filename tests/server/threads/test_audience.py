"""Who is sent what: every kind of live frame against every role of those who listen.

The table is PROTOCOL's "Who may see what" for live frames: a row names a kind, a column a follower
of a public thread, a cell whether the frame comes with its content. Of a private thread its
co-authors alone hear at all.
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, get_args

import pytest
import pytest_asyncio

from machines.models.commands import ChangeBalance
from machines.models.ids import ThreadId
from machines.models.wire.frames import ThreadEventKind
from machines.models.wire.run_frames import ChorusResponseData
from server.services import Services
from tests.support.client import Data, Frame, Identity
from tests.support.in_process import Caller, open_test_services

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLLOWERS: Final = ("outsider", "pending_author", "co_author", "former_public")

WHOLE, HIDDEN = "whole", "hidden"
DECIDING: Final = "vote_cast that approves"
# outsider | author of the pending message | co-author | former co-author, all of a public thread
LIVE: Final[dict[str, str]] = {
    "thread_renamed": "whole whole whole whole",
    "thread_configured": "whole whole whole whole",
    "thread_archived": "whole whole whole whole",
    **dict.fromkeys(
        ("co_author_invited", "invitation_declined", "invitation_revoked", "invitation_expired"),
        "whole whole whole whole",
    ),
    **dict.fromkeys(
        ("removal_proposed", "removal_vote_cast", "removal_withdrawn", "removal_expired"),
        "whole whole whole whole",
    ),
    **dict.fromkeys(
        ("invite_link_made", "invite_link_revoked", "invite_link_expired"),
        "whole whole whole whole",
    ),
    "co_author_kept": "whole whole whole whole",
    "co_author_removed": "whole whole whole whole",
    "co_author_joined": "whole whole whole whole",
    "co_author_left": "whole whole whole whole",
    "token_balance_changed": "whole whole whole whole",
    "message_submitted": "hidden whole whole hidden",
    "vote_cast": "hidden whole whole hidden",
    DECIDING: "whole whole whole whole",
    "message_rejected": "hidden whole whole hidden",
    "message_expired": "hidden whole whole hidden",
    "message_withdrawn": "hidden whole whole hidden",
    "message_superseded": "whole whole whole whole",
    "message_approved": "whole whole whole whole",
    **dict.fromkeys(
        ("queued", "started", "thinking", "delta", "completed", "recovering", "finished", "failed"),
        "whole whole whole whole",
    ),
    "cancelled": "whole whole whole whole",
}
ABOUT_MESSAGES: Final = {
    *(name for name in LIVE if name.startswith("message_") and name != "message_superseded"),
    *("vote_cast", DECIDING),
}
"""Those of the pending author's message."""
NOBODY_FOLLOWS: Final = {"thread_created"}
"""Nobody knows of a thread before it was made."""
OF_BRANCHES: Final = {
    *(each.value for each in ThreadEventKind if each.value.startswith("branch_")),
    "entry_withheld",
}
"""Told to co-authors alone, and what outsiders get in their place (`test_forks_of_others`)."""
SECRETS: Final = ("PENDING WORDS", "REASON OF THE VOTE")


@dataclass(frozen=True)
class Told:
    """Everything that happens in threads, as it was told to people of every role."""

    public_id: str
    private_id: str
    followers: dict[str, Caller]
    """Of the public thread."""
    strangers: dict[str, Caller]
    """Who may not know of the private thread; the last knew it once."""
    insider: Caller
    """Co-author of the private thread, following it."""
    noticed: Caller
    """Co-author of both, following neither."""
    head_when_left: int
    """Of the private thread, when the former co-author left it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with open_test_services(tmp_path_factory.mktemp("told"), moody=True) as services:
        yield await everything_happens(services)


async def everything_happens(services: Services) -> Told:
    """Let every kind of entry be made, in a public and in a private thread."""

    async def somebody() -> Caller:
        return await Caller(services).sign_in(Identity())

    owner, noticed = await somebody(), await somebody()
    followers = {role: await somebody() for role in FOLLOWERS}
    co_author, author = followers["co_author"], followers["pending_author"]
    public_id = await new_thread(owner, "public", co_author, noticed, followers["former_public"])
    public = {"thread_id": public_id}
    await followers["former_public"].get("leave_co_authorship", **public)
    for follower in followers.values():
        await follower.get("get_thread", **public)

    async def pending() -> Data:
        sent = await author.get("submit_prompt", prompt="PENDING WORDS", **public)
        return public | {"message_id": sent["message_id"]}

    await author.get("withdraw_message", **await pending())
    await owner.get("reject_message", reason="REASON OF THE VOTE", **await pending())
    guest = await somebody()
    for ending in ("decline_invitation", "revoke_invitation"):
        await owner.get("invite_co_author", public_key=guest.public_key, **public)
        if ending == "decline_invitation":
            await guest.get(ending, **public)
        else:
            await owner.get(ending, public_key=guest.public_key, **public)
    await owner.bring_in(guest, public_id)
    await guest.get("leave_co_authorship", **public)
    await owner.get("rename_thread", name="Renamed", **public)
    await owner.get("configure_thread", instructions="Be brief.", model=None, **public)
    await runs(services, co_author, public)
    first = await co_author.get("submit_prompt", prompt="HOLD, for a better word", **public)
    await co_author.get("submit_prompt", prompt="Better", supersedes=first["message_id"], **public)
    await services.thread_service.perform(
        ThreadId(public_id),
        lambda ids: ChangeBalance(
            thread_id=ThreadId(public_id),
            at=services.environment.now(),
            by=None,
            ids=ids,
            amount=5,
            cause="a gift",
        ),
    )
    await pending()
    await owner.get("invite_co_author", public_key=guest.public_key, **public)
    taken_back = (await owner.get("create_invite_link", **public))["link"]
    await owner.get("revoke_invite_link", link_id=taken_back["id"], **public)
    await owner.get("create_invite_link", **public)
    voters = (co_author, noticed)
    named = {"public_key": noticed.public_key, **public}
    await owner.get("propose_removal", **named)
    await owner.get("withdraw_removal", **named)
    await owner.get("propose_removal", **named)
    await co_author.get("vote_on_removal", decision="keep", **named)
    removed = await somebody()
    await owner.bring_in(removed, public_id)
    gone = {"public_key": removed.public_key, **public}
    await owner.get("propose_removal", **gone)
    for voter in voters:
        await voter.get("vote_on_removal", decision="remove", **gone)
    await owner.get("propose_removal", **named)
    await owner.get("archive_thread", **public)

    open_id = await new_thread(owner, "public", co_author)
    for follower in followers.values():
        await follower.get("get_thread", thread_id=open_id)
    sent = await author.get("submit_prompt", prompt="PENDING WORDS, HOLD", thread_id=open_id)
    vote = {"thread_id": open_id, "message_id": sent["message_id"]}
    await owner.get("approve_message", **vote)
    await co_author.get("approve_message", **vote)

    strangers = {
        "nobody": Caller(services),
        "stranger": await somebody(),
        "former_private": await somebody(),
    }
    former, insider = strangers["former_private"], await somebody()
    private_id = await new_thread(owner, "private", insider, noticed, former)
    private = {"thread_id": private_id}
    await former.get("get_thread", **private)
    left = await former.get("leave_co_authorship", **private)
    await insider.get("get_thread", **private)
    await strangers["stranger"].ask("get_thread", **private)
    await owner.get("rename_thread", name="Without you", **private)
    await runs(services, insider, private)
    await owner.get("archive_thread", **private)
    return Told(public_id, private_id, followers, strangers, insider, noticed, int(left["seq"]))


async def new_thread(owner: Caller, visibility: str, *guests: Caller) -> str:
    created = await owner.get("create_thread", name="Plans", visibility=visibility)
    for guest in guests:
        await owner.bring_in(guest, created["thread_id"])
    return str(created["thread_id"])


async def runs(services: Services, asker: Caller, thread: Data) -> None:
    """One run of each fate."""
    for prompt, end in (
        ("STUMBLE, then answer", "finished"),
        ("FAIL at this", "failed"),
    ):
        run = await asker.get("submit_prompt", prompt=prompt, **thread)
        await asker.line.until(ended(run["run_id"], end), f"{end} of a run")
    run = await asker.get("submit_prompt", prompt="HOLD", **thread)
    await asker.get("cancel_run", run_id=run["run_id"], **thread)


def ended(run_id: str, status: str) -> Callable[[Frame], bool]:
    """The frame that ends a run in this way."""
    return lambda frame: (
        frame["data"].get("run_id") == run_id and frame["data"].get("status") == status
    )


def kind_of(frame: Frame) -> str:
    """A live frame's kind, or its status; the vote that approves a message shows it already."""
    kind = str(frame["data"].get("kind") or frame["data"].get("status"))
    if kind == "vote_cast" and frame["data"]["message"]["status"] == "approved":
        return DECIDING
    return kind


def live(caller: Caller) -> list[Frame]:
    return [
        each
        for each in caller.line.frames
        if each["type"] in {"thread_event", "chorus_response"} and each["re"] is None
    ]


async def test_the_table_has_every_kind_of_live_frame() -> None:
    kinds = {each.value for each in ThreadEventKind} - NOBODY_FOLLOWS - OF_BRANCHES
    responses = get_args(get_args(ChorusResponseData)[0])
    statuses = {each.model_fields["status"].default for each in responses}
    assert set(LIVE) == kinds | statuses | {DECIDING}


@pytest.mark.parametrize(("kind", "row"), LIVE.items())
async def test_a_live_frame_shows_each_follower_what_they_may_see(
    told: Told, kind: str, row: str
) -> None:
    author = told.followers["pending_author"].public_key
    for role, expected in zip(FOLLOWERS, row.split(), strict=True):
        frames = [each for each in live(told.followers[role]) if kind_of(each) == kind]
        if kind in ABOUT_MESSAGES:
            frames = [each for each in frames if each["data"]["message"]["author"] == author]
        assert frames, f"the {role} was never sent {kind}: let the scene make one"
        assert {shown(each) for each in frames} == {expected}, f"{role}: {frames}"
        if expected == HIDDEN:
            assert not any(secret in json.dumps(frames) for secret in SECRETS), role


def shown(frame: Frame) -> str:
    """Whether a frame shows all that it is about."""
    message = frame["data"].get("message")
    if frame["type"] == "thread_event" and message is not None:
        reasons = [each["reason"] for each in message["approvals"]]
        rejected = any(each["decision"] == "reject" for each in message["approvals"])
        if message["content"] is None:
            assert not any(reasons)
            return HIDDEN
        assert any(reasons) is rejected
    return WHOLE


async def test_followers_of_a_public_thread_get_the_same_entries(told: Told) -> None:
    numbers = {
        role: [each["seq"] for each in caller.live(told.public_id)]
        for role, caller in told.followers.items()
    }
    assert len(set(map(tuple, numbers.values()))) == 1, numbers


async def test_what_was_hidden_live_stays_hidden_in_the_journal(told: Told) -> None:
    for role in ("outsider", "former_public"):
        caller = told.followers[role]
        page = await caller.get("get_events", thread_id=told.public_id, after_seq=0, limit=1000)
        caught_up = len(caller.line.texts)
        await caller.get("get_thread", thread_id=told.public_id, after_seq=0)
        for text in (json.dumps(page), *caller.line.texts[caught_up:]):
            assert not any(secret in text for secret in SECRETS), role


async def test_nobody_hears_of_a_private_thread_that_is_not_theirs(told: Told) -> None:
    assert told.insider.live(told.private_id), "its co-author did"
    for role in ("nobody", "stranger"):
        assert told.private_id not in json.dumps(told.strangers[role].line.frames), role
    for follower in told.followers.values():
        assert told.private_id not in json.dumps(follower.line.frames)


async def test_the_last_that_a_former_co_author_hears_is_that_they_left(told: Told) -> None:
    former = told.strangers["former_private"]
    entries = former.live(told.private_id)
    assert entries[-1]["seq"] == told.head_when_left
    assert kind_of(entries[-1]) == "co_author_left"
    about = [each for each in former.line.frames if told.private_id in json.dumps(each)]
    assert about[-1]["data"].get("seq", about[-1].get("seq")) == told.head_when_left
    assert "Without you" not in json.dumps(former.line.frames)


async def test_who_follows_nothing_gets_notices_and_no_content(told: Told) -> None:
    frames = [each for each in told.noticed.line.frames if each["re"] is None]
    about = {each["data"].get("thread_id") for each in frames if each["type"] == "notice"}
    assert {told.public_id, told.private_id} <= about
    assert {each["type"] for each in frames} <= {"hello", "notice"}
    for frame in frames:
        assert set(frame["data"]) - {"inbox"} == {"thread_id", "head_seq", "kind"}
