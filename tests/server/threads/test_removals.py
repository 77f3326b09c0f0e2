"""A co-author whom all the others let go is one no more, and hears nothing more of a private thread."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from server.services import Services
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Clock, open_test_services


@pytest_asyncio.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, moody=True) as services:
        yield services


async def three(services: Services) -> tuple[Caller, Caller, Caller, Data]:
    """Three co-authors of a private thread, who follow it."""
    alice, bob, carol = [await Caller(services).sign_in(Identity()) for _ in range(3)]
    thread = {"thread_id": (await alice.get("create_thread", name="Plans"))["thread_id"]}
    for guest in (bob, carol):
        await alice.bring_in(guest, thread["thread_id"])
    for each in (alice, bob, carol):
        await each.get("get_thread", **thread)
    return alice, bob, carol, thread


async def test_all_the_others_remove_a_co_author_whose_last_frame_says_so(
    services: Services,
) -> None:
    alice, bob, carol, thread = await three(services)
    run = await carol.get("submit_prompt", prompt="HOLD this", **thread)
    named = {"public_key": carol.public_key, **thread}
    await alice.get("propose_removal", **named)
    (shown,) = (await bob.get("get_thread", **thread))["removals"]
    assert (shown["public_key"], shown["proposed_by"]) == (carol.public_key, alice.public_key)
    assert set(shown["electors"]) == {alice.public_key, bob.public_key}
    own = await carol.ask("vote_on_removal", decision="keep", **named)
    assert "voter_is_elector" in own["data"]["details"]["guards"]
    await bob.get("vote_on_removal", decision="remove", **named)

    last = await carol.line.until(
        lambda each: each["data"].get("kind") == "co_author_removed", "the last frame"
    )
    assert last["data"]["by"] is None
    assert last["data"]["removal"]["status"] == "removed"
    await alice.get("rename_thread", name="Without you", **thread)
    assert "Without you" not in "".join(carol.line.texts)
    assert carol.live(thread["thread_id"])[-1]["seq"] == last["seq"]
    assert (await carol.ask("get_thread", **thread))["data"]["code"] == "not_found"
    after = await alice.get("get_thread", **thread)
    assert after["thread"]["co_authors"] == [alice.public_key, bob.public_key]
    assert after["removals"] == []
    assert run["run_id"] in {each["run_id"] for each in after["runs"]}, "their runs go on"
    assert await services.journal.verify() == ()


async def two(services: Services) -> tuple[Caller, Caller, Data]:
    """Two co-authors of a private thread, who follow it."""
    alice, bob, carol, thread = await three(services)
    await carol.get("leave_co_authorship", **thread)
    return alice, bob, thread


async def test_of_two_co_authors_one_removes_the_other_who_does_nothing_until_the_deadline(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_test_services(
        tmp_path, environment=clock.environment(), moody=True, session_hours=10_000
    ) as services:
        alice, bob, thread = await two(services)
        await alice.get("propose_removal", public_key=bob.public_key, **thread)
        shown = await bob.get("get_thread", **thread)
        assert bob.public_key in shown["thread"]["co_authors"]
        assert [each["status"] for each in shown["removals"]] == ["proposed"]
        token = alice.token
    clock.ahead = timedelta(days=8)
    async with open_test_services(
        tmp_path, environment=clock.environment(), moody=True, session_hours=10_000
    ) as services:
        alice = await Caller(services).resume(token)

        async def is_alone() -> bool:
            shown = await alice.get("get_thread", **thread)
            return bool(shown["thread"]["co_authors"] == [alice.public_key])

        await eventually(is_alone, "the silent one is removed")
        assert (await alice.get("get_thread", **thread))["removals"] == []
        assert await services.journal.verify() == ()


@pytest.mark.parametrize(
    ("request_type", "data"),
    [
        ("submit_prompt", {"prompt": "HOLD on, I am here"}),
        ("rename_thread", {"name": "Ours"}),
        ("vote_on_removal", {"decision": "keep"}),
    ],
)
async def test_whoever_does_anything_in_the_thread_is_not_removed_by_one_other(
    services: Services, request_type: str, data: Data
) -> None:
    alice, bob, thread = await two(services)
    named = {"public_key": bob.public_key, **thread}
    await alice.get("propose_removal", **named)
    about = named if request_type == "vote_on_removal" else thread
    own = await bob.ask("vote_on_removal", decision="remove", **named)
    assert own["data"]["code"] == "invalid_transition", "to go oneself is to leave"
    own = await bob.ask("withdraw_removal", **named)
    assert own["data"]["details"]["guards"] == ["proposer_asks"]
    await bob.get(request_type, **data, **about)
    kept = await alice.line.until(
        lambda each: each["data"].get("kind") == "co_author_kept", "that it is over"
    )
    assert kept["data"]["by"] == bob.public_key
    shown = await alice.get("get_thread", **thread)
    assert shown["removals"] == []
    assert shown["thread"]["co_authors"] == [alice.public_key, bob.public_key]
    assert await services.journal.verify() == ()


async def test_a_vote_that_comes_down_to_one_elector_ends(services: Services) -> None:
    alice, bob, carol, thread = await three(services)
    await alice.get("propose_removal", public_key=carol.public_key, **thread)
    await bob.get("leave_co_authorship", **thread)
    shown = await alice.get("get_thread", **thread)
    assert shown["removals"] == []
    assert shown["thread"]["co_authors"] == [alice.public_key, carol.public_key]


async def test_a_vote_that_nobody_ends_expires_also_over_a_restart(tmp_path: Path) -> None:
    clock, token = Clock(), ""
    async with open_test_services(
        tmp_path, environment=clock.environment(), moody=True, session_hours=10_000
    ) as services:
        alice, _, carol, thread = await three(services)
        await alice.get("propose_removal", public_key=carol.public_key, **thread)
        token = alice.token
    clock.ahead = timedelta(days=8)
    async with open_test_services(
        tmp_path, environment=clock.environment(), moody=True, session_hours=10_000
    ) as services:
        alice = await Caller(services).resume(token)

        async def over() -> bool:
            shown = await alice.get("get_thread", **thread)
            return not shown["removals"]

        await eventually(over, "the vote expired")
        shown = await alice.get("get_thread", **thread)
        assert len(shown["thread"]["co_authors"]) == 3
        assert await services.journal.verify() == ()
