"""Races: what was true before an await is looked at again behind it. Some rounds each, seeded;
the fault campaign has many."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from machines.models.ids import PublicKey
from server.services import Services
from tests.support.client import Identity, new_id
from tests.support.in_process import Caller, open_test_services
from tests.support.races import (
    INVITATIONS,
    QUEUE,
    READS,
    SECRET,
    Pauses,
    invitations_at_once,
    private_thread,
    prompts_at_once,
    session_that_ends_while_it_reads,
)
from tests.support.served import served

ROUNDS = 30
SEED = 20


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_test_services(
        tmp_path,
        moody=True,
        pending_per_user=3,
        connections_per_user=2,
        thread_queue=QUEUE,
        invitations_per_user=INVITATIONS,
        invitations_per_key=INVITATIONS,
    ) as opened:
        yield opened


@pytest.mark.parametrize("read", ["get_thread", "get_events", "search"])
async def test_nothing_of_a_thread_is_sent_once_its_leaving_is_acknowledged(
    services: Services, read: str
) -> None:
    pauses = Pauses(random.Random(SEED))
    host = await Caller(services).sign_in(Identity())
    guest = Identity()
    reading, leaving = [await Caller(services).sign_in(guest) for _ in range(2)]
    answers: set[str] = set()
    wanted = 1 if read == "search" else 2
    for number in pauses.rounds(ROUNDS, answers, wanted):
        thread_id = await private_thread(host, leaving)
        asks: dict[str, dict[str, Any]] = {
            "get_thread": {"thread_id": thread_id, "after_seq": 0},
            "get_events": {"thread_id": thread_id, "after_seq": 0},
            "search": {"query": SECRET},
        }
        reading.line.clear()
        asked = asyncio.create_task(pauses.soon(reading, read, **asks[read]))
        left = await pauses.soon(leaving, "leave_co_authorship", thread_id=thread_id)
        assert left["type"] == "accepted"
        acknowledged = len(reading.line.texts)
        answers.add((await asked)["type"])
        late = [text for text in reading.line.texts[acknowledged:] if thread_id in text]
        assert not any(SECRET in text for text in late), f"round {number}: {late}"
    if read != "search":
        assert answers == {"error", "thread_messages" if read == "get_thread" else "events"}


@pytest.mark.parametrize("read", READS)
async def test_nothing_that_is_read_is_sent_once_the_session_is_over(
    services: Services, read: str
) -> None:
    pauses = Pauses(random.Random(SEED))
    host, guest = await Caller(services).sign_in(Identity()), Identity()
    joining = await Caller(services).sign_in(guest)
    thread_id = await private_thread(host, joining)
    joining.drop()
    answers: set[str] = set()
    for _ in pauses.rounds(ROUNDS, answers, 2):
        answers.add(
            await session_that_ends_while_it_reads(services, pauses, guest, thread_id, read)
        )


async def test_a_thread_has_no_more_runs_in_its_queue_than_it_may_however_they_arrive(
    services: Services,
) -> None:
    pauses = Pauses(random.Random(SEED))
    people = [await Caller(services).sign_in(Identity()) for _ in range(2)]
    for _ in range(ROUNDS):
        await prompts_at_once(pauses, people)


@pytest.mark.parametrize("bound", ["of an inviter", "of a key"])
async def test_open_invitations_keep_their_bounds_however_they_are_made(
    services: Services, bound: str
) -> None:
    pauses = Pauses(random.Random(SEED))
    hosts = [await Caller(services).sign_in(Identity()) for _ in range(5)]
    inviters = hosts if bound == "of a key" else [hosts[0]] * 5
    threads = [(await each.get("create_thread", name="Come"))["thread_id"] for each in inviters]
    for _ in range(ROUNDS):
        await invitations_at_once(pauses, inviters, threads)


async def test_an_address_has_no_more_sockets_than_it_may_however_they_arrive(
    tmp_path: Path,
) -> None:
    async with (
        served(tmp_path, connections_per_address=3) as server,
        aiohttp.ClientSession() as http,
    ):

        async def connect() -> aiohttp.ClientWebSocketResponse | int:
            try:
                return await http.ws_connect(f"{server.url}/ws")
            except aiohttp.WSServerHandshakeError as refused:
                return refused.status

        served_in_all = 0
        for number in range(ROUNDS):
            lines = await asyncio.gather(*(connect() for _ in range(6)))
            let_in = [line for line in lines if not isinstance(line, int)]
            assert len(let_in) <= 3, f"round {number}"
            assert [line for line in lines if isinstance(line, int)] == [429] * (6 - len(let_in))
            await asyncio.gather(*(line.close() for line in let_in))
            served_in_all += len(let_in)
        assert served_in_all > ROUNDS, "whoever hung up makes room"


async def test_a_key_has_no_more_connections_than_it_may_however_they_arrive(
    services: Services,
) -> None:
    for _ in range(ROUNDS):
        me = Identity()
        callers = [Caller(services) for _ in range(4)]
        outcomes = await asyncio.gather(
            *(each.sign_in(me) for each in callers), return_exceptions=True
        )
        assert sum(not isinstance(each, BaseException) for each in outcomes) == 2
        assert services.broadcast.users.count(PublicKey(me.public_key)) == 2
        for each in callers:
            each.drop()


async def test_what_waits_in_a_thread_keeps_its_bound_however_it_arrives(
    services: Services,
) -> None:
    host = await Caller(services).sign_in(Identity())
    for _ in range(ROUNDS):
        created = await host.get("create_thread", name="Open", visibility="public")
        stranger = Identity()
        lines = [await Caller(services).sign_in(stranger) for _ in range(2)]
        replies = await asyncio.gather(
            *(
                lines[number % 2].ask(
                    "submit_prompt", thread_id=created["thread_id"], prompt=f"Please {number}"
                )
                for number in range(6)
            )
        )
        assert [each["type"] for each in replies].count("accepted") == 3
        for each in lines:
            each.drop()


async def test_a_request_that_arrives_twice_at_once_is_carried_out_once(
    services: Services,
) -> None:
    me = Identity()
    lines = [await Caller(services).sign_in(me) for _ in range(2)]
    pauses = Pauses(random.Random(SEED))
    for _ in range(ROUNDS):
        request_id = new_id()
        first, second = await asyncio.gather(
            *(
                pauses.soon(each, "create_thread", request_id=request_id, name="Once")
                for each in lines
            )
        )
        assert first["data"] == second["data"]


async def test_nothing_is_submitted_into_a_thread_that_was_archived_meanwhile(
    services: Services,
) -> None:
    me = Identity()
    asking, archiving = [await Caller(services).sign_in(me) for _ in range(2)]
    pauses = Pauses(random.Random(SEED))
    outcomes: set[str] = set()
    for _ in pauses.rounds(ROUNDS, outcomes, 2):
        thread_id = (await asking.get("create_thread", name="Brief"))["thread_id"]
        submitted, archived = await asyncio.gather(
            pauses.soon(asking, "submit_prompt", thread_id=thread_id, prompt="HOLD on"),
            pauses.soon(archiving, "archive_thread", thread_id=thread_id),
        )
        assert archived["type"] == "accepted"
        outcomes.add(submitted["type"])
        if submitted["type"] == "accepted":
            assert submitted["data"]["seq"] < archived["data"]["seq"]
        snapshot = await asking.get("get_thread", thread_id=thread_id)
        assert snapshot["runs"] == [], "what was begun is cancelled"
    assert outcomes == {"accepted", "error"}


async def test_of_all_who_use_a_link_at_once_exactly_one_joins(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, moody=True, prompts_per_minute=0) as services:
        host = await Caller(services).sign_in(Identity())
        guests = [await Caller(services).sign_in(Identity()) for _ in range(3)]
        pauses = Pauses(random.Random(SEED))
        winners: set[str] = set()
        for number in pauses.rounds(ROUNDS, winners, len(guests) + 1):
            thread = {"thread_id": (await host.get("create_thread", name="Ours"))["thread_id"]}
            link = (await host.get("create_invite_link", **thread))["link"]
            secret = link["secret"]
            asked = [pauses.soon(each, "accept_invite_link", secret=secret) for each in guests]
            taking_back = number % 3 == 0
            if taking_back:
                asked.append(pauses.soon(host, "revoke_invite_link", link_id=link["id"], **thread))
            replies = await asyncio.gather(*asked)
            accepted = [each["type"] == "accepted" for each in replies]
            assert sum(accepted) == 1, f"round {number}: {replies}"
            lost = {each["data"]["code"] for each in replies if each["type"] == "error"}
            assert lost == {"not_found"}
            shown = await host.get("get_thread", **thread)
            joined = [each for each, won in zip(guests, accepted, strict=False) if won]
            assert shown["thread"]["co_authors"] == [
                host.public_key,
                *(each.public_key for each in joined),
            ]
            assert shown["links"] == []
            winners |= {each.public_key for each in joined} or {"nobody"}
        assert winners == {"nobody", *(each.public_key for each in guests)}
