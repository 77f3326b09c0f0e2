"""A link lets one user into a thread: once, in its time, and nobody who does not know its secret.

Until it is used it tells the thread's name and who invites, and nothing else.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from server.services import Services
from tests.support.client import Data, Identity, new_id
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Clock, open_test_services

SECRET = "The treasure is under the oak"


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True) as services:
        yield services


async def somebody(services: Services) -> Caller:
    return await Caller(services).sign_in(Identity())


async def secret_thread(host: Caller) -> Data:
    """A private thread, followed, in which something was said."""
    thread = {"thread_id": (await host.get("create_thread", name="Plans"))["thread_id"]}
    await host.get("get_thread", **thread)
    await host.get("submit_prompt", prompt=f"HOLD: {SECRET}", **thread)
    return thread


def contents_of(folder: Path) -> Iterator[bytes]:
    """Of each file of a folder."""
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def link_into(host: Caller, thread: Data, **data: Any) -> Data:
    """A new link, as its maker is told of it."""
    link: Data = (await host.get("create_invite_link", **thread, **data))["link"]
    return link


async def test_a_link_tells_the_name_and_who_invites_and_lets_in_who_accepts(
    services: Services,
) -> None:
    alice, bob = await somebody(services), await somebody(services)
    await alice.get("set_name", name="Alice")
    thread = await secret_thread(alice)
    link = await link_into(alice, thread)

    told = await bob.get("view_invite_link", secret=link["secret"])
    assert told == {
        "thread_name": "Plans",
        "invited_by": alice.public_key,
        "invited_by_name": "Alice",
        "expires_at": link["expires_at"],
    }
    assert (await bob.ask("get_thread", **thread))["data"]["code"] == "not_found"
    accepted = await bob.get("accept_invite_link", secret=link["secret"])
    assert accepted["thread_id"] == thread["thread_id"]
    joined = await alice.line.until(
        lambda each: each["data"].get("kind") == "co_author_joined", "that somebody joined"
    )
    assert joined["seq"] == accepted["seq"]
    assert joined["data"]["by"] == joined["data"]["public_key"] == bob.public_key
    assert joined["data"]["link"]["id"] == link["id"]
    assert joined["data"]["link"]["status"] == "used"
    shown = await bob.get("get_thread", **thread)
    assert shown["thread"]["co_authors"] == [alice.public_key, bob.public_key]
    assert SECRET in str(shown["messages"])
    assert shown["links"] == []
    assert await services.journal.verify() == ()


async def test_whatever_ended_a_link_it_answers_as_one_that_never_was(tmp_path: Path) -> None:
    clock = Clock()
    async with open_test_services(
        tmp_path, environment=clock.environment(), moody=True, session_hours=10_000
    ) as services:
        alice, bob, carol = [await somebody(services) for _ in range(3)]
        thread = await secret_thread(alice)
        used, revoked, expired, left = [await link_into(alice, thread) for _ in range(4)]
        await bob.get("accept_invite_link", secret=used["secret"])
        await bob.get("revoke_invite_link", link_id=revoked["id"], **thread)
        archived = await secret_thread(alice)
        gone = await link_into(alice, archived)
        await alice.get("archive_thread", **archived)
        own = await link_into(bob, thread)
        await bob.get("leave_co_authorship", **thread)
        short = await link_into(alice, thread, expires_in_hours=1)
        clock.ahead = timedelta(hours=1)
        ended = {"used": used, "revoked": revoked, "archived": gone, "of who left": own}
        ended |= {"expired": short}
        answers = {}
        for how, link in ended.items():
            for type_ in ("view_invite_link", "accept_invite_link"):
                asked = await carol.ask(type_, request_id="same", secret=link["secret"])
                answers[how, type_] = json.dumps(asked)
        for secret in ("guessed", "x" * 32, link["secret"].lower(), "0" * 256, "Ünsinn\n"):
            for type_ in ("view_invite_link", "accept_invite_link"):
                asked = await carol.ask(type_, request_id="same", secret=secret)
                answers[secret, type_] = json.dumps(asked)
        assert len(set(answers.values())) == 1, answers
        assert json.loads(answers["used", "view_invite_link"])["data"]["code"] == "not_found"
        for link in (expired, left):
            await carol.get("view_invite_link", secret=link["secret"])


async def test_co_authors_see_open_links_without_their_secrets_and_each_may_take_one_back(
    services: Services,
) -> None:
    alice, bob = await somebody(services), await somebody(services)
    thread = await secret_thread(alice)
    await alice.bring_in(bob, thread["thread_id"])
    link = await link_into(alice, thread)
    (shown,) = (await bob.get("get_thread", **thread))["links"]
    assert shown.keys() == {"id", "made_by", "status", "created_at", "expires_at"}
    assert (shown["id"], shown["made_by"]) == (link["id"], alice.public_key)
    await bob.get("revoke_invite_link", link_id=link["id"], **thread)
    ended = await alice.line.until(
        lambda each: each["data"].get("kind") == "invite_link_revoked", "its end"
    )
    assert ended["data"]["by"] == bob.public_key
    assert (await bob.get("get_thread", **thread))["links"] == []
    assert link["secret"] not in "".join(bob.line.texts)


async def test_a_co_author_who_opens_a_link_is_told_the_thread_and_leaves_it_to_another(
    services: Services,
) -> None:
    alice, bob = await somebody(services), await somebody(services)
    thread = await secret_thread(alice)
    link = await link_into(alice, thread)
    told = await alice.get("view_invite_link", secret=link["secret"])
    assert told["thread_id"] == thread["thread_id"]
    refused = await alice.ask("accept_invite_link", secret=link["secret"])
    assert refused["data"]["details"]["guards"] == ["not guest_is_co_author"]
    await bob.get("accept_invite_link", secret=link["secret"])


async def test_a_request_sent_again_is_told_the_same_link_in_its_session_and_in_no_other(
    tmp_path: Path,
) -> None:
    me, request_id = Identity(), new_id()
    async with open_test_services(tmp_path, moody=True) as services:
        alice = await Caller(services).sign_in(me)
        thread = await secret_thread(alice)
        asked = {"request_id": request_id, **thread}
        first = await alice.get("create_invite_link", **asked)
        assert await alice.get("create_invite_link", **asked) == first
        other = await Caller(services).sign_in(me)
        refused = await other.ask("create_invite_link", **asked)
        assert refused["data"]["code"] == "conflict"
    async with open_test_services(tmp_path, moody=True) as services:
        alice = await Caller(services).resume(alice.token)
        assert await alice.get("create_invite_link", **asked) == first
        (open_link,) = (await alice.get("get_thread", **thread))["links"]
        assert open_link["id"] == first["link"]["id"]


async def test_a_link_that_nobody_uses_expires_also_over_a_restart(tmp_path: Path) -> None:
    clock, token = Clock(), ""
    async with open_test_services(
        tmp_path, environment=clock.environment(), moody=True, session_hours=10_000
    ) as services:
        alice = await somebody(services)
        thread = await secret_thread(alice)
        await link_into(alice, thread)
        token = alice.token
    clock.ahead = timedelta(hours=169)
    async with open_test_services(
        tmp_path, environment=clock.environment(), moody=True, session_hours=10_000
    ) as services:
        alice = await Caller(services).resume(token)

        async def over() -> bool:
            return not (await alice.get("get_thread", **thread))["links"]

        await eventually(over, "the link expired")
        assert await services.journal.verify() == ()


@pytest.mark.parametrize("hours", [0, -1, 721, 1.5, "24", None])
async def test_how_long_a_link_lasts_is_bounded(services: Services, hours: object) -> None:
    alice = await somebody(services)
    thread = await secret_thread(alice)
    refused = await alice.ask("create_invite_link", expires_in_hours=hours, **thread)
    assert refused["data"]["details"]["field"] == "expires_in_hours"


async def test_no_secret_of_a_link_is_in_any_file_of_the_data_folder(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, moody=True) as services:
        alice, bob = await somebody(services), await somebody(services)
        thread = await secret_thread(alice)
        links = [await link_into(alice, thread) for _ in range(2)]
        await bob.get("accept_invite_link", secret=links[0]["secret"])
    files = await asyncio.to_thread(lambda: [*contents_of(tmp_path)])
    assert any(links[0]["id"].encode() in data for data in files)
    for link in links:
        assert not any(link["secret"].encode() in data for data in files)


async def test_who_tries_many_links_is_told_to_wait(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, moody=True, prompts_per_minute=3) as services:
        mallory = await somebody(services)
        codes = [
            (await mallory.ask(type_, secret=new_id()))["data"]["code"]
            for type_ in ("view_invite_link", "accept_invite_link") * 3
        ]
        assert codes == ["not_found"] * 3 + ["rate_limited"] * 3
        limited = await mallory.ask("view_invite_link", secret=new_id())
        assert limited["data"]["retry_after_ms"] > 0
