"""Ends of the process, wanted and unwanted: nothing acknowledged is lost, and what ran goes on."""

import asyncio
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.support.client import Client, Identity, seqs, signed_in
from tests.support.eventually import PATIENCE
from tests.support.obedient_model import STEPS, ObedientModel, answer_to
from tests.support.scripted_endpoint import refuses
from tests.support.served import ServerProcess, served

# A vote lasts 2.6 seconds.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.settings(approval_days=0.00003)]


async def test_runs_timers_and_votes_go_on_after_a_kill(
    server: ServerProcess, model: ObedientModel
) -> None:
    alice, carol = Identity(), Identity()
    in_yield = model.hold("killed in its last step", "yield", first="Lost ", rest="words")
    model.plan("killed while it waits", "action", refuses(429, headers={"retry-after": "2"}))
    async with signed_in(server.url, alice) as client, signed_in(server.url, carol) as outsider:
        waiting = await client.new_thread()
        second = await client.ask(
            "submit_prompt", thread_id=waiting, prompt="killed while it waits"
        )
        told = await client.response(second["run_id"], "recovering")
        assert told["retry_in_ms"] >= 2_000

        public = await client.new_thread(visibility="public")
        vote = await outsider.ask("submit_prompt", thread_id=public, prompt="May I come in?")

        streaming = await client.new_thread()
        first = await client.ask(
            "submit_prompt", thread_id=streaming, prompt="killed in its last step"
        )
        queued = await client.ask(
            "submit_prompt", thread_id=streaming, prompt="killed in the queue"
        )
        await client.response(first["run_id"], "delta", step="yield")
        assert client.followed is not None
        seen = client.followed.seq
        await server.kill()
        await client.close_code()
    assert in_yield.reached.is_set()
    await server.start()

    async with signed_in(server.url, alice) as client:
        await client.follow(streaming, after_seq=seen)
        finished = await client.end_of(first["run_id"])
        assert finished["message"]["content"] == answer_to("killed in its last step")
        recovering = await client.response(first["run_id"], "recovering")
        assert (recovering["step"], recovering["code"]) == ("yield", "internal")
        assert finished["attempt"] == 2
        asked = Counter(each.step for each in model.reads("killed in its last step"))
        assert asked == {**dict.fromkeys(STEPS, 1), "yield": 2}, "done steps are not done again"
        assert (await client.end_of(queued["run_id"]))["status"] == "finished"

        await client.follow(waiting, after_seq=0)
        assert (await client.end_of(second["run_id"]))["status"] == "finished"
        assert len(model.reads("killed while it waits")) == len(STEPS) + 1

        await client.follow(public, after_seq=0)
        expired = await client.event(public, "message_expired")
        assert expired["data"]["message_id"] == vote["message_id"]

        for thread_id in (streaming, waiting, public):
            page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
            assert seqs(page["entries"]) == list(range(1, page["head_seq"] + 1))

    assert await server.stop() == 0
    code, said, errors = await server.command("verify")
    assert (code, errors) == (0, ""), said
    await server.start()


async def test_an_orderly_end_tells_everybody_and_its_runs_go_on(
    server: ServerProcess, model: ObedientModel
) -> None:
    alice = Identity()
    gate = model.hold("ended in its first step", "action")
    async with signed_in(server.url, alice) as client, signed_in(server.url) as other:
        thread_id = await client.new_thread()
        run = await client.ask(
            "submit_prompt", thread_id=thread_id, prompt="ended in its first step"
        )
        await gate.reached.wait()
        server.tell(signal.SIGTERM)
        assert await client.close_code() == 1001
        assert await other.close_code() == 1001
        async with asyncio.timeout(PATIENCE):
            await gate.hung_up.wait()
        assert await server.stop() == 0
    await server.start()
    async with signed_in(server.url, alice) as client:
        await client.follow(thread_id, after_seq=0)
        assert (await client.end_of(run["run_id"]))["status"] == "finished"


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    server: ServerProcess,
) -> None:
    people = [Identity() for _ in range(4)]
    acknowledged: dict[str, dict[int, str]] = {}

    async def rename_for_ever(client: Client, thread_id: str) -> None:
        """Until the line is cut."""
        kept = acknowledged[thread_id] = {}
        for number in range(100_000):
            name = f"Name {number}"
            accepted = await client.ask("rename_thread", thread_id=thread_id, name=name)
            kept[accepted["seq"]] = name

    async with (
        signed_in(server.url, people[0]) as one,
        signed_in(server.url, people[1]) as two,
        signed_in(server.url, people[2]) as three,
        signed_in(server.url, people[3]) as four,
    ):
        clients = (one, two, three, four)
        busy = [
            asyncio.create_task(rename_for_ever(client, await client.new_thread()))
            for client in clients
        ]
        for client in clients:
            await client.until(lambda each: (each.get("seq") or 0) > 25, "25 changes")
        await server.kill()
        for client in clients:
            await client.close_code()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
    await server.start()
    for person, (thread_id, kept) in zip(people, acknowledged.items(), strict=True):
        async with signed_in(server.url, person) as client:
            page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
            names = {each["seq"]: each["data"]["thread"]["name"] for each in page["entries"]}
            assert len(kept) >= 20
            assert kept.items() <= names.items()
            assert page["head_seq"] - max(kept) <= 1, "at most what was under way beyond it"


async def test_two_servers_never_share_a_folder(server: ServerProcess) -> None:
    code, said, errors = await server.command("serve", "--port", "0", "--llm", "offline")
    assert code == 1
    assert said == ""
    _one_clear_line(errors)
    assert "in use" in errors or "another process" in errors, errors
    async with signed_in(server.url) as alice:
        assert await alice.ask("ping") == {}


async def test_a_port_in_use_is_told_before_anything_is_opened(
    server: ServerProcess, tmp_path: Path
) -> None:
    port = server.url.rpartition(":")[2]
    data = tmp_path / "never-made"
    code, said, errors = await server.command(
        *("serve", "--port", port, "--llm", "offline", "--data", str(data))
    )
    assert code == 1
    assert said == ""
    _one_clear_line(errors)
    assert port in errors
    assert not data.exists()


async def test_a_damaged_journal_is_one_clear_line(server: ServerProcess, tmp_path: Path) -> None:
    data = tmp_path / "damaged"
    data.mkdir()
    (data / "journal.sqlite3").write_bytes(b"This is no journal. " * 500)
    code, said, errors = await server.command(
        *("serve", "--port", "0", "--llm", "offline", "--data", str(data))
    )
    assert code == 1, said
    _one_clear_line(errors)


async def test_an_unreachable_model_fails_the_run_and_not_the_server(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    async with (
        served(tmp_path, nobody, max_attempts=2) as server,
        signed_in(server.url) as alice,
    ):
        thread_id = await alice.new_thread()
        run = await alice.ask("submit_prompt", thread_id=thread_id, prompt="Anybody?")
        failed = await alice.end_of(run["run_id"])
        assert (failed["status"], failed["code"]) == ("failed", "ai_unavailable")
        assert await alice.ask("ping") == {}


def _one_clear_line(errors: str) -> None:
    assert errors.startswith("chorus: "), errors
    assert errors.count("\n") == 1, errors
    assert "Traceback" not in errors
    assert "internal error" not in errors
