"""Nobody is put into a thread: a key is asked in, and joins when it accepts.

Until then it is told the thread's name and who invites, and nothing else.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio

from server.services import Services
from tests.support.client import Data, Frame, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Clock, open_test_services

SECRET = "The treasure is under the oak"


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True, invitations_per_thread=3) as services:
        yield services


async def somebody(services: Services) -> Caller:
    return await Caller(services).sign_in(Identity())


async def secret_thread(host: Caller) -> Data:
    """A private thread, followed, in which something was said."""
    thread = {"thread_id": (await host.get("create_thread", name="Plans"))["thread_id"]}
    await host.get("get_thread", **thread)
    await host.get("submit_prompt", prompt=f"HOLD: {SECRET}", **thread)
    return thread


async def invitations_of(guest: Caller) -> list[Data]:
    page = await guest.get("list_threads", scope="invited")
    assert page["threads"] == []
    return list(page["invitations"])


def of_kind(kind: str, frame: Frame) -> bool:
    return bool(frame["type"] == "notice" and frame["data"]["kind"] == kind)


async def test_who_is_invited_sees_the_name_and_who_invites_and_nothing_else_until_they_accept(
    services: Services,
) -> None:
    alice, bob = await somebody(services), await somebody(services)
    await alice.get("set_name", name="Alice")
    thread = await secret_thread(alice)
    await alice.get("invite_co_author", public_key=bob.public_key, **thread)

    notice = await bob.line.until(lambda each: of_kind("invited", each), "an invitation")
    assert notice["data"] == {"head_seq": 0, "kind": "invited", "inbox": True, **thread}
    (asked,) = await invitations_of(bob)
    assert (asked["thread_id"], asked["thread_name"]) == (thread["thread_id"], "Plans")
    assert (asked["invited_by"], asked["invited_by_name"]) == (alice.public_key, "Alice")
    assert asked.keys() == {
        *("thread_id", "thread_name", "invited_by", "invited_by_name", "created_at", "expires_at")
    }
    for type_, data in (
        ("get_thread", {}),
        ("get_events", {"after_seq": 0}),
        ("submit_prompt", {"prompt": "Let me in"}),
        ("rename_thread", {"name": "Mine"}),
        ("revoke_invitation", {"public_key": bob.public_key}),
    ):
        refused = await bob.ask(type_, **thread, **data)
        assert refused["data"]["code"] == "not_found", type_
    assert (await bob.get("list_threads", scope="mine"))["threads"] == []
    await alice.get("rename_thread", name="Renamed", **thread)
    assert [each["thread_name"] for each in await invitations_of(bob)] == ["Renamed"]
    assert SECRET not in "".join(bob.line.texts)
    assert [each["data"]["kind"] for each in bob.line.frames if each["type"] == "notice"] == [
        "invited"
    ], "what goes on in the thread is not theirs to know"

    accepted = await bob.get("accept_invitation", **thread)
    joined = await alice.line.until(
        lambda each: each["data"].get("kind") == "co_author_joined", "that somebody joined"
    )
    assert joined["seq"] == accepted["seq"]
    assert joined["data"]["by"] == joined["data"]["public_key"] == bob.public_key
    assert joined["data"]["invitation"]["status"] == "accepted"
    machines = [each["machine"] for each in joined["data"]["transitions"]]
    assert machines == ["invitation", "thread"]
    shown = await bob.get("get_thread", **thread)
    assert shown["thread"]["co_authors"] == [alice.public_key, bob.public_key]
    assert SECRET in str(shown["messages"])
    assert await invitations_of(bob) == []


async def test_a_key_never_seen_finds_its_invitations_when_it_comes(services: Services) -> None:
    alice, later = await somebody(services), Identity()
    thread = await secret_thread(alice)
    await alice.get("invite_co_author", public_key=later.public_key, **thread)
    bob = await Caller(services).sign_in(later)
    init = bob.line.frames[-1]["data"]
    assert init["threads"] == []
    assert [each["thread_id"] for each in init["invitations"]] == [thread["thread_id"]]


async def test_who_declines_stays_outside_and_may_be_invited_again(services: Services) -> None:
    alice, bob = await somebody(services), await somebody(services)
    thread = await secret_thread(alice)
    for _ in range(2):
        await alice.get("invite_co_author", public_key=bob.public_key, **thread)
        await bob.get("decline_invitation", **thread)
        assert await invitations_of(bob) == []
        assert (await bob.ask("accept_invitation", **thread))["data"]["code"] == "not_found"
    shown = await alice.get("get_thread", **thread)
    assert shown["thread"]["co_authors"] == [alice.public_key]
    assert shown["invitations"] == []


async def test_any_co_author_sees_open_invitations_and_takes_them_back(services: Services) -> None:
    alice, bob, carol = [await somebody(services) for _ in range(3)]
    thread = await secret_thread(alice)
    await alice.bring_in(bob, thread["thread_id"])
    await alice.get("invite_co_author", public_key=carol.public_key, **thread)
    (shown,) = (await bob.get("get_thread", **thread))["invitations"]
    assert (shown["public_key"], shown["invited_by"]) == (carol.public_key, alice.public_key)
    twice = await bob.ask("invite_co_author", public_key=carol.public_key, **thread)
    assert twice["data"]["details"]["guards"] == ["not key_is_invited"]
    await bob.get("revoke_invitation", public_key=carol.public_key, **thread)
    await carol.line.until(lambda each: of_kind("invitation_ended", each), "its end")
    assert await invitations_of(carol) == []
    again = await bob.ask("revoke_invitation", public_key=carol.public_key, **thread)
    assert again["data"]["code"] == "not_found"


async def test_invitations_of_a_thread_are_bounded_and_an_answer_makes_room(
    services: Services,
) -> None:
    alice, bob = await somebody(services), await somebody(services)
    thread = await secret_thread(alice)
    for key in (bob.public_key, Identity().public_key, Identity().public_key):
        await alice.get("invite_co_author", public_key=key, **thread)
    refused = await alice.ask("invite_co_author", public_key=Identity().public_key, **thread)
    assert refused["data"]["code"] == "rate_limited"
    assert refused["data"]["retry_after_ms"]
    await bob.get("decline_invitation", **thread)
    await alice.get("invite_co_author", public_key=Identity().public_key, **thread)


async def test_invitations_of_a_key_and_of_an_inviter_are_bounded_over_all_threads(
    tmp_path: Path,
) -> None:
    async with open_test_services(
        tmp_path, moody=True, invitations_per_key=2, invitations_per_user=3
    ) as services:
        alice, bob, carol = [await somebody(services) for _ in range(3)]

        async def code_of_inviting(key: str) -> str:
            thread = await secret_thread(alice)
            reply = await alice.ask("invite_co_author", public_key=key, **thread)
            return str(reply["data"].get("code", reply["type"]))

        asked = [await code_of_inviting(bob.public_key) for _ in range(3)]
        assert asked == ["accepted", "accepted", "rate_limited"]
        others = [await code_of_inviting(Identity().public_key) for _ in range(2)]
        assert others == ["accepted", "rate_limited"]
        thread = await secret_thread(carol)
        await carol.get("invite_co_author", public_key=alice.public_key, **thread)


async def test_an_invitation_that_nobody_answers_expires_also_over_a_restart(
    tmp_path: Path,
) -> None:
    clock = Clock()
    guest = Identity()
    settings = {"environment": clock.environment(), "moody": True, "session_hours": 10_000}
    async with open_test_services(tmp_path, **settings) as services:  # type: ignore[arg-type]
        alice = await somebody(services)
        thread = await secret_thread(alice)
        await alice.get("invite_co_author", public_key=guest.public_key, **thread)
        token = alice.token
    clock.ahead = timedelta(days=31)
    async with open_test_services(tmp_path, **settings) as services:  # type: ignore[arg-type]
        alice = await Caller(services).resume(token)

        async def expired() -> bool:
            page = await alice.get("get_events", after_seq=0, limit=1000, **thread)
            kinds = [each["data"].get("kind") for each in page["entries"]]
            return "invitation_expired" in kinds

        await eventually(expired, "the invitation expired")
        bob = await Caller(services).sign_in(guest)
        assert bob.line.frames[-1]["data"]["invitations"] == []
        assert await services.journal.verify() == ()
