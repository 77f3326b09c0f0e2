"""Attacks on signing in: forged, moved and repeated signatures, nonces and tokens.

The cryptography has tests of its own (`tests/server/sessions/test_signatures.py`); here it is what a
session makes of it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from machines.decisions.connections import hash_token
from machines.models.keys import decode_signature, encode_base58
from server.services import Services
from tests.support.client import Frame, Identity
from tests.support.in_process import Caller, Clock, open_test_services
from tests.support.races import Pauses

ROUNDS = 60
"""Of a race; there are more where they met one order only."""

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER_KEYS = (
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
    (1 | 1 << 255).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def services(tmp_path: Path, clock: Clock) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path, environment=clock.environment()) as services:
        yield services


async def statement_for(caller: Caller, public_key: str) -> str:
    challenge = await caller.get("connect", public_key=public_key)
    return str(challenge["statement"])


def code_of(reply: Frame) -> str:
    assert reply["type"] == "error", f"this was let in: {reply}"
    return str(reply["data"]["code"])


async def test_a_signature_serves_once_even_on_the_connection_that_it_was_made_for(
    services: Services,
) -> None:
    alice, caller = Identity(), Caller(services)
    signature = alice.sign(await statement_for(caller, alice.public_key))
    assert (await caller.ask("authenticate", signature=signature))["type"] == "init"
    assert code_of(await caller.ask("authenticate", signature=signature)) == "invalid_transition"
    await caller.ask("sign_out")
    again = Caller(services)
    await statement_for(again, alice.public_key)
    assert code_of(await again.ask("authenticate", signature=signature)) == "auth_failed"


async def test_a_wrong_signature_uses_the_nonce_up(services: Services) -> None:
    alice, caller = Identity(), Caller(services)
    statement = await statement_for(caller, alice.public_key)
    assert code_of(await caller.ask("authenticate", signature="1" * 64)) == "auth_failed"
    right = alice.sign(statement)
    assert code_of(await caller.ask("authenticate", signature=right)) == "auth_failed"


async def test_a_signature_of_another_key_opens_nothing(services: Services) -> None:
    alice, mallory, caller = Identity(), Identity(), Caller(services)
    statement = await statement_for(caller, alice.public_key)
    forged = mallory.sign(statement)
    assert code_of(await caller.ask("authenticate", signature=forged)) == "auth_failed"


async def test_a_signature_for_another_host_opens_nothing(services: Services) -> None:
    alice = Identity()
    here, elsewhere = Caller(services), Caller(services, host="evil.example:8080")
    theirs = await statement_for(elsewhere, alice.public_key)
    await statement_for(here, alice.public_key)
    assert "evil.example" in theirs
    assert code_of(await here.ask("authenticate", signature=alice.sign(theirs))) == "auth_failed"


async def test_a_statement_of_another_connection_opens_nothing(services: Services) -> None:
    alice, one, two = Identity(), Caller(services), Caller(services)
    first = await statement_for(one, alice.public_key)
    second = await statement_for(two, alice.public_key)
    assert first != second
    assert code_of(await two.ask("authenticate", signature=alice.sign(first))) == "auth_failed"


async def test_a_challenge_is_answered_in_time_or_not_at_all(
    services: Services, clock: Clock
) -> None:
    alice, caller = Identity(), Caller(services)
    statement = await statement_for(caller, alice.public_key)
    clock.ahead += timedelta(seconds=60)
    late = await caller.ask("authenticate", signature=alice.sign(statement))
    assert code_of(late) == "auth_failed"


async def test_the_second_form_of_a_signature_is_none(services: Services) -> None:
    alice, caller = Identity(), Caller(services)
    signed = decode_signature(alice.sign(await statement_for(caller, alice.public_key)))
    s = int.from_bytes(signed[32:], "little") + GROUP_ORDER
    malleated = encode_base58(signed[:32] + s.to_bytes(32, "little"))
    assert code_of(await caller.ask("authenticate", signature=malleated)) == "auth_failed"


@pytest.mark.parametrize("key", SMALL_ORDER_KEYS, ids=bytes.hex)
async def test_nobody_is_a_key_of_small_order(services: Services, key: bytes) -> None:
    caller = Caller(services)
    reply = await caller.ask("connect", public_key=encode_base58(key))
    if reply["type"] == "challenge":
        # R is the identity and S is 0: right for every statement where the key's order divides 8.
        forged = encode_base58((1).to_bytes(32, "little") + bytes(32))
        reply = await caller.ask("authenticate", signature=forged)
    assert code_of(reply) in {"auth_failed", "invalid_field"}


@pytest.mark.parametrize("spelt", ["{} ", " {}", "1{}", "{}1", "{}\n", "\u200b{}"])
async def test_a_key_has_one_spelling(services: Services, spelt: str) -> None:
    # Of 44 digits, as most are: to a shorter one a further digit makes somebody else's key.
    keys = (Identity().public_key for _ in range(1_000))
    key = spelt.format(next(each for each in keys if len(each) == 44))
    assert code_of(await Caller(services).ask("connect", public_key=key)) == "invalid_field"


async def test_three_failures_end_the_connection(services: Services) -> None:
    caller = Caller(services)
    for _ in range(3):
        await caller.ask("resume", token="0" * 64)
    assert caller.line.closed is not None
    assert caller.line.closed[0] == 4001


# --- Tokens --------------------------------------------------------------------------------------


async def test_a_token_is_worth_nothing_after_signing_out(services: Services) -> None:
    caller = await Caller(services).sign_in(Identity())
    await caller.ask("sign_out")
    caller.drop()
    assert code_of(await Caller(services).ask("resume", token=caller.token)) == "auth_failed"


async def test_a_token_ends_at_its_time_counted_from_the_sign_in(
    services: Services, clock: Clock
) -> None:
    caller = await Caller(services).sign_in(Identity())
    caller.drop()
    clock.ahead += timedelta(hours=23)
    resumed = await Caller(services).resume(caller.token)
    assert resumed.token == caller.token
    resumed.drop()
    clock.ahead += timedelta(hours=1)
    late = Caller(services)
    assert code_of(await late.ask("resume", token=caller.token)) == "auth_failed"
    assert not late.session.signed_in


async def test_a_token_serves_one_connection_at_a_time(services: Services) -> None:
    first = await Caller(services).sign_in(Identity())
    second = await Caller(services).resume(first.token)
    assert first.line.closed is not None
    assert first.line.closed[0] == 4009
    assert code_of(await first.ask("list_threads", scope="mine")) in {
        "invalid_transition",
        "not_authenticated",
    }
    assert (await second.ask("ping"))["type"] == "pong"


async def test_one_persons_token_never_opens_what_is_anothers(services: Services) -> None:
    alice = await Caller(services).sign_in(Identity())
    secret = await alice.get("create_thread", name="Secret")
    bob = await Caller(services).sign_in(Identity())
    bob.drop()
    resumed = await Caller(services).resume(bob.token)
    assert resumed.public_key == bob.public_key
    assert code_of(await resumed.ask("get_thread", thread_id=secret["thread_id"])) == "not_found"


async def test_no_token_and_no_nonce_is_written_down(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as services:
        alice, caller = Identity(), Caller(services)
        challenge = await caller.get("connect", public_key=alice.public_key)
        init = await caller.get("authenticate", signature=alice.sign(challenge["statement"]))
        token = init["session"]["token"]
    written = everything_in(tmp_path)
    assert alice.public_key.encode() in written, "the journal is among what was looked at"
    assert token.encode() not in written
    assert bytes.fromhex(token) not in written
    assert challenge["nonce"].encode() not in written


def everything_in(folder: Path) -> bytes:
    """All files of a data folder, one after the other."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_session_that_signs_out_while_it_is_resumed_stays_open_for_no_connection(
    services: Services,
) -> None:
    """Races: the sign-out begins after so many turns of the loop that the resume had for itself, or the
    other way round.
    """
    turns = Random(168975)
    pauses = Pauses(turns)
    outcomes: set[str] = set()
    for number in pauses.rounds(ROUNDS, outcomes, 2):
        address = f"192.0.2.{number}"

        def begun(longer: bool = number >= ROUNDS) -> Awaitable[None]:
            return pauses.pause() if longer else _turns(turns.randrange(12))

        leaving = await Caller(services, address=address).sign_in(Identity())
        coming = Caller(services, address=address)
        _, reply = await asyncio.gather(
            _after(begun(), leaving.ask("sign_out")),
            _after(begun(), coming.ask("resume", token=leaving.token)),
        )
        late = Caller(services, address=address)
        assert code_of(await late.ask("resume", token=leaving.token)) == "auth_failed"
        outcomes.add(reply["type"])
        if reply["type"] == "init":
            assert coming.line.closed is not None, "it holds a session that is over"
            assert coming.line.closed[0] == 4001
        assert not coming.session.signed_in
    assert outcomes == {"init", "error"}


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _after(begun: Awaitable[None], asked: Coroutine[Any, Any, Frame]) -> Frame:
    await begun
    return await asked


async def test_a_session_that_expires_while_it_is_resumed_lets_no_one_in(
    services: Services,
) -> None:
    for turns in range(40):
        address = f"192.0.2.{turns}"
        before = await Caller(services, address=address).sign_in(Identity())
        before.drop()
        coming = Caller(services, address=address)
        _, reply = await asyncio.gather(
            services.sessions.end(hash_token(before.token)),
            _after(_turns(turns), coming.ask("resume", token=before.token)),
        )
        if reply["type"] == "init":
            assert coming.line.closed is not None
        assert not coming.session.signed_in
