"""Bad input and too much of it: one clear answer each, and nobody else is touched."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from tests.support.client import (
    Client,
    Identity,
    Refused,
    connected,
    new_id,
    signed_in,
)
from tests.support.eventually import eventually
from tests.support.served import ServerProcess, served

# The server is behind a proxy on this machine, so that each test has an address of its own.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.settings(
        llm="offline",
        prompts_per_minute=2,
        frames_per_second=20,
        sign_ins_per_minute=4,
        connections_per_user=2,
        trusted_proxies="127.0.0.1",
    ),
]

MAX_FRAME_BYTES = 393_216
MAX_PROMPT_CHARACTERS = 32_000

_addresses = count(1)


@asynccontextmanager
async def from_elsewhere(
    server: ServerProcess, address: str = "", identity: Identity | None = None
) -> AsyncIterator[Client]:
    """A signed-in connection from `address`, from a new one unless given."""
    address = address or f"192.0.2.{next(_addresses)}"
    async with connected(server.url, {"X-Forwarded-For": address}) as client:
        await client.sign_in(identity or Identity())
        yield client


async def errors_of(client: Client, expected: int) -> list[tuple[object, str]]:
    """(re, code) of the error frames that came, once there are that many."""
    frames = await client.until_count(
        expected, lambda each: each["type"] == "error", f"{expected} errors"
    )
    return [(each["re"], each["data"]["code"]) for each in frames]


# --- Frames --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "re", "code"),
    [
        ("{", None, "bad_json"),
        ("", None, "bad_json"),
        ("[" * 30_000 + "]" * 30_000, None, "bad_json"),
        ('{"type":"ping","id":"1","data":{},"x":"\\ud800"}', None, "bad_json"),
        ('{"type":"ping","id":"1","data":{"x":NaN}}', None, "bad_json"),
        ("7", None, "bad_frame"),
        ('{"type":"ping","data":{}}', None, "bad_frame"),
        ('{"type":"ping","id":7,"data":{}}', None, "bad_frame"),
        ('{"type":"ping","id":"a b","data":{}}', None, "bad_frame"),
        ('{"type":"ping","id":"' + "x" * 65 + '","data":{}}', None, "bad_frame"),
        ('{"type":"ping","id":"1"}', "1", "bad_frame"),
        ('{"type":7,"id":"1","data":{}}', "1", "bad_frame"),
        ('{"type":"pong","id":"1","data":{}}', "1", "unknown_type"),
    ],
    ids=lambda each: str(each)[:30],
)
async def test_a_bad_frame_costs_an_error_and_nothing_else(
    server: ServerProcess, text: str, re: str | None, code: str
) -> None:
    async with connected(server.url) as client:
        await client.send(text)
        refused = await client.until(lambda each: each["type"] == "error", "an error")
        assert refused["data"]["code"] == code
        assert refused["re"] == re
        assert refused["data"]["retryable"] is False
        client.faults.clear()  # its id was sent past the client, so the reply is news to it
        assert await client.ask("ping") == {}


async def test_twenty_bad_frames_in_a_row_close_with_1008(server: ServerProcess) -> None:
    async with connected(server.url) as client, connected(server.url) as other:
        for _ in range(19):
            await client.send("{")
        await client.ask("ping")
        for _ in range(19):
            await client.send("{")
        await errors_of(client, 38)
        await client.send("{")
        assert await client.close_code() == 1008
        assert len(await errors_of(client, 39)) == 39, "each was answered, the last one too"
        assert await other.ask("ping") == {}


async def test_the_largest_frame_is_read_and_a_larger_one_closes_with_1009(
    server: ServerProcess,
) -> None:
    async with connected(server.url) as client:
        frame = json.dumps({"type": "ping", "id": "1", "data": {"x": ""}})
        filler = "x" * (MAX_FRAME_BYTES - len(frame))
        largest = frame.replace('""', f'"{filler}"')
        assert len(largest) == MAX_FRAME_BYTES
        await client.send(largest)
        await client.until(lambda each: each["type"] == "pong", "the pong")
        client.faults.clear()  # its id was sent past the client
        await client.send(largest + " ")
        assert await client.close_code() == 1009


async def test_a_binary_frame_closes_with_1003(server: ServerProcess) -> None:
    async with connected(server.url) as client:
        await client.send_bytes(b'{"type":"ping","id":"1","data":{}}')
        assert await client.close_code() == 1003


@pytest.mark.parametrize("character", ["x", "\u00e9", "\u6f22", "\N{GRINNING FACE}", "\x01"])
@pytest.mark.parametrize("escaped", [False, True])
async def test_the_longest_prompt_of_any_script_fits_a_frame(
    server: ServerProcess, character: str, escaped: bool
) -> None:
    async with from_elsewhere(server) as alice:
        thread_id = await alice.new_thread()
        prompt = "a" + character * (MAX_PROMPT_CHARACTERS - 1)
        frame = {
            "type": "submit_prompt",
            "id": "1",
            "data": {"thread_id": thread_id, "prompt": prompt},
        }
        await alice.send(json.dumps(frame, ensure_ascii=escaped))
        taken = await alice.until(lambda each: each["re"] == "1", "the reply")
        assert taken["type"] == "accepted", taken
        alice.faults.clear()  # its id was sent past the client


async def test_the_longest_prompt_is_taken_and_a_longer_one_is_too_large(
    server: ServerProcess,
) -> None:
    async with from_elsewhere(server) as alice:
        thread_id = await alice.new_thread()
        refused = await alice.refusal(
            "submit_prompt", thread_id=thread_id, prompt="x" * (MAX_PROMPT_CHARACTERS + 1)
        )
        assert refused.code == "too_large"
        assert refused.details["field"] == "prompt"
        run = await alice.ask(
            "submit_prompt", thread_id=thread_id, prompt="x" * MAX_PROMPT_CHARACTERS
        )
        await alice.ask("cancel_run", thread_id=thread_id, run_id=run["run_id"])


# --- Rates and counts ----------------------------------------------------------------------------


async def test_a_flood_of_frames_is_limited_and_no_frame_goes_unanswered(
    server: ServerProcess,
) -> None:
    async with connected(server.url) as client, connected(server.url) as other:
        replies = await asyncio.gather(*(client.reply_to("ping") for _ in range(80)))
        limited = [each["data"] for each in replies if each["type"] == "error"]
        assert {each["code"] for each in limited} == {"rate_limited"}
        assert all(each["retryable"] and each["retry_after_ms"] > 0 for each in limited)
        assert len(replies) - len(limited) >= 40, "two seconds' worth may come at once"
        assert await other.ask("ping") == {}


async def test_a_person_has_so_many_prompts_a_minute_on_all_connections(
    server: ServerProcess,
) -> None:
    alice = Identity()
    async with (
        from_elsewhere(server, identity=alice) as one,
        from_elsewhere(server, identity=alice) as two,
        from_elsewhere(server) as bob,
    ):
        thread_id = await one.new_thread()
        prompt = {"thread_id": thread_id, "prompt": "Once more"}
        first = await one.ask("submit_prompt", request_id="first", **prompt)
        await two.ask("submit_prompt", **prompt)
        refused = await one.refusal("submit_prompt", **prompt)
        assert refused.code == "rate_limited"
        assert refused.retry_after_ms is not None
        assert 0 < refused.retry_after_ms <= 30_000
        again = await two.ask("submit_prompt", request_id="first", **prompt)
        assert again == first, "an answer that is repeated costs nothing"
        own = await bob.new_thread()
        await bob.ask("submit_prompt", thread_id=own, prompt="I have my own")


async def test_an_address_has_so_many_sign_ins_a_minute(server: ServerProcess) -> None:
    address = "198.51.100.7"
    async with from_elsewhere(server, address) as alice:
        for _ in range(3):
            async with from_elsewhere(server, address):
                pass
        async with connected(server.url, {"X-Forwarded-For": address}) as client:
            for type_, data in (
                ("connect", {"public_key": Identity().public_key}),
                ("resume", {"token": alice.token}),
            ):
                refused = await client.refusal(type_, **data)
                assert refused.code == "rate_limited"
                assert refused.retry_after_ms
        async with from_elsewhere(server):
            pass
        assert await alice.ask("ping") == {}


async def test_a_person_has_so_many_connections(server: ServerProcess) -> None:
    alice = Identity()
    async with from_elsewhere(server, identity=alice) as one:
        async with (
            from_elsewhere(server, identity=alice) as two,
            connected(server.url, {"X-Forwarded-For": "192.0.2.250"}) as third,
        ):
            with pytest.raises(Refused) as refused:
                await third.sign_in(alice)
            assert refused.value.code == "rate_limited"
            await two.ask("sign_out")
            await two.close_code()
            await third.sign_in(alice)
        assert await one.ask("ping") == {}


async def test_how_many_connections_a_key_has_is_told_to_its_owner_alone(
    server: ServerProcess,
) -> None:
    alice = Identity()
    async with (
        from_elsewhere(server, identity=alice),
        from_elsewhere(server, identity=alice),
        connected(server.url, {"X-Forwarded-For": "192.0.2.251"}) as stranger,
    ):
        await stranger.ask("connect", public_key=alice.public_key)
        refused = await stranger.refusal("authenticate", signature="1" * 64)
        assert refused.code == "auth_failed"


async def test_an_address_has_so_many_sockets_signed_in_or_not(tmp_path: Path) -> None:
    async with (
        served(tmp_path, connections_per_address=2, trusted_proxies="127.0.0.1") as server,
        connected(server.url, {"X-Forwarded-For": "192.0.2.1"}),
    ):
        async with connected(server.url, {"X-Forwarded-For": "192.0.2.1"}):
            assert await _status(server.url, {"X-Forwarded-For": "192.0.2.1"}) == 429
            assert await _status(server.url, {"X-Forwarded-For": "192.0.2.2"}) == 101

        async def let_in() -> bool:
            return await _status(server.url, {"X-Forwarded-For": "192.0.2.1"}) == 101

        await eventually(let_in, "the server noticed who had hung up, and let another in")


# --- Who may connect -----------------------------------------------------------------------------


async def _status(url: str, headers: dict[str, str]) -> int:
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(f"{url}/ws", headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as refusal:
            return refusal.status


async def test_pages_of_others_and_other_names_are_turned_away(server: ServerProcess) -> None:
    port = server.url.rpartition(":")[2]
    assert await _status(server.url, {"Origin": "https://evil.example"}) == 403
    assert await _status(server.url, {"Host": f"evil.example:{port}"}) == 403
    assert await _status(server.url, {"Host": "127.0.0.1:1"}) == 403
    assert await _status(server.url, {"Origin": "null"}) == 403
    assert await _status(server.url, {"Origin": server.url}) == 101
    assert await _status(server.url, {"Host": f"localhost:{port}"}) == 101


async def test_a_client_of_another_protocol_is_refused_and_one_of_none_is_served(
    server: ServerProcess,
) -> None:
    assert await _status(server.url, {"Sec-WebSocket-Protocol": "chorus.v9"}) == 400
    assert await _status(server.url, {"Sec-WebSocket-Protocol": "chorus.v9, chorus.v1"}) == 101
    assert await _status(server.url, {}) == 101


async def test_a_session_ends_when_its_time_is_over(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("short")
    async with served(folder, session_hours=0.0005) as server:
        async with signed_in(server.url) as alice:
            assert await alice.close_code() == 4001
        async with connected(server.url) as again:
            assert (await again.refusal("resume", token=alice.token)).code == "auth_failed"


async def test_an_error_names_no_path_and_no_foreign_words(server: ServerProcess) -> None:
    async with from_elsewhere(server) as alice:
        await alice.refusal("get_thread", thread_id=new_id())
        await alice.refusal("list_threads", scope="mine", after="../../etc/passwd")
        errors = [each for each in alice.frames if each["type"] == "error"]
        assert len(errors) == 2
        assert not any("/" in each["data"]["message"] for each in errors)
