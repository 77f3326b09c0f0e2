"""The server and its commands on PostgreSQL, with the memory on a Qdrant server: kills, restarts of
either, connections that are ended, and what is refused before anything is served."""

import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest
from aiohttp import ClientSession

import diagrams
from tests.support.client import Client, Identity, Refused, seqs, signed_in
from tests.support.eventually import eventually
from tests.support.fake_qdrant import FakeQdrant, fake_qdrant
from tests.support.obedient_model import STEPS, ObedientModel, answer_to, obedient_model
from tests.support.postgres import PASSWORD, Cluster
from tests.support.served import ServerProcess, served

LEASE_SECONDS = 5.0
"""A server that was killed is dead to the next one so much later."""

LESSON = "Bread rises because yeast makes carbon dioxide from sugar in the dough."


class Setup:
    """A server on a database, and what it stands on."""

    def __init__(
        self, server: ServerProcess, model: ObedientModel, url: str, qdrant: FakeQdrant
    ) -> None:
        self.server = server
        self.model = model
        self.url = url
        """Of the database."""
        self.qdrant = qdrant


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
async def setup(url: str, tmp_path: Path) -> AsyncIterator[Setup]:
    async with (
        obedient_model() as model,
        fake_qdrant() as qdrant,
        served(
            tmp_path,
            model.url,
            database_url=url,
            qdrant_url=qdrant.url,
            lease_seconds=LEASE_SECONDS,
        ) as server,
    ):
        yield Setup(server, model, url, qdrant)
        assert PASSWORD not in server.log()
        assert "correct%20horse" not in server.log()


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def is_gapless(client: Client, thread_id: str) -> bool:
    page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
    return seqs(page["entries"]) == list(range(1, page["head_seq"] + 1))


async def test_a_run_goes_on_after_a_kill(
    setup: Setup,
) -> None:
    server, model, alice = setup.server, setup.model, Identity()
    in_yield = model.hold("killed in its last step", "yield", first="Lost ", rest="words")
    async with signed_in(server.url, alice) as client:
        thread_id = await client.new_thread()
        run = await client.ask(
            "submit_prompt", thread_id=thread_id, prompt="killed in its last step"
        )
        await client.response(run["run_id"], "delta", step="yield")
        assert PASSWORD not in arguments_of(server.pid)
        await server.kill()
        await client.close_code()
    assert in_yield.reached.is_set()
    await server.start()
    async with signed_in(server.url, alice) as client:
        await client.follow(thread_id, after_seq=0)
        finished = await client.end_of(run["run_id"])
        assert finished["message"]["content"] == answer_to("killed in its last step")
        asked = Counter(each.step for each in model.reads("killed in its last step"))
        assert asked == {**dict.fromkeys(STEPS, 1), "yield": 2}, "done steps are not done again"
        assert await is_gapless(client, thread_id)


async def test_commands_work_beside_a_server_and_maintenance_without_one(
    setup: Setup, tmp_path: Path
) -> None:
    server = setup.server
    async with signed_in(server.url) as client:
        thread_id = await client.new_thread()
        run = await client.ask("submit_prompt", thread_id=thread_id, prompt=LESSON)
        assert (await client.end_of(run["run_id"]))["status"] == "finished"
    code, table, _ = await server.command("trace", run["run_id"])
    assert code == 0
    assert "yielding → finished" in table, "it only reads, beside the server"
    declared = (Path(diagrams.__file__).parent / "chorus.json").read_text(encoding="utf-8")
    other = tmp_path / "chorus.json"
    other.write_text(declared.replace("Chorus: one run", "Chorus: a run"), encoding="utf-8")
    paths = (str(Path(diagrams.__file__).parent), str(other), "--out", str(tmp_path))
    code, said, errors = await server.command("diagrams", "diff", *paths, "--journal", setup.url)
    assert code == 0, errors
    assert "None is live." in said, "the run in the database is over"
    code, said, _ = await server.command("credit", thread_id, "5", "--cause", "a gift")
    assert (code, said) == (0, "The balance is 5 tokens now.\n")
    code, said, errors = await server.command("ask", "Why?", "--llm", "offline")
    assert code == 0, errors
    code, _, errors = await server.command("verify", "--repair")
    assert code == 1
    (line,) = errors.splitlines()
    assert "Servers or commands of chorus hold this database: stop them first (chorus " in line
    assert line.startswith("chorus: postgresql://127.0.0.1:")

    assert await server.stop() == 0
    with psycopg.connect(setup.url) as connection:
        connection.execute("UPDATE messages SET status = 'pending'")
    code, said, errors = await server.command("verify", "--repair")
    assert (code, errors) == (0, ""), said
    assert "mended: Rewrote the message" in said
    assert (await server.command("verify"))[0] == 0


async def test_a_restart_of_postgresql_refuses_what_it_must_and_loses_nothing(
    setup: Setup, postgres: Cluster
) -> None:
    server, alice = setup.server, Identity()
    held = setup.model.hold("over the restart", "experience", first="So ", rest="far")
    async with signed_in(server.url, alice) as client, ClientSession() as http:
        thread_id = await client.new_thread()
        run = await client.ask("submit_prompt", thread_id=thread_id, prompt="over the restart")
        await held.reached.wait()
        named = await client.ask("rename_thread", thread_id=thread_id, name="Kept")
        postgres.stop()
        try:
            refused = await client.refusal("rename_thread", thread_id=thread_id, name="Lost")
            assert refused.code == "storage_unavailable"
            assert (await http.get(f"{server.url}/readyz")).status == 503
            held.opened.set()
        finally:
            postgres.start()

        async def renames() -> bool:
            try:
                await client.ask("rename_thread", thread_id=thread_id, name="Again")
            except Refused:
                return False
            return True

        await eventually(renames, "the server writes again")

        async def is_ready() -> bool:
            return (await http.get(f"{server.url}/readyz")).status == 200

        await eventually(is_ready, "the server says that it is ready")
        finished = await client.end_of(run["run_id"])
        assert finished["message"]["content"] == answer_to("over the restart")
        page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
        assert named["seq"] in seqs(page["entries"])
        names = [each["data"].get("name") for each in page["entries"]]
        assert "Lost" not in names
        assert await is_gapless(client, thread_id)


def has_finished(client: Client, run_id: str) -> bool:
    """Whether a client was told that a run came to its end."""
    told = [each["data"] for each in client.frames if each["type"] == "chorus_response"]
    return any(data["run_id"] == run_id and data["status"] == "finished" for data in told)


async def test_ends_of_connections_are_not_noticed_by_anyone(
    setup: Setup, postgres: Cluster
) -> None:
    async with signed_in(setup.server.url) as client:
        thread_id = await client.new_thread()
        for n in range(3):
            run = await client.ask("submit_prompt", thread_id=thread_id, prompt=f"question {n}")
            assert postgres.terminate_connections(setup.url)
            ended = partial(has_finished, client, str(run["run_id"]))
            await eventually(ended, "the run goes on to its end")
        assert await is_gapless(client, thread_id)


async def test_a_server_whose_database_a_command_took_for_itself_ends(
    setup: Setup, postgres: Cluster
) -> None:
    database = setup.url.rpartition("/")[2]
    with psycopg.connect(setup.url, autocommit=True) as other:
        # One who waits for a lock gets it before the one who lost it can ask again.
        waiting = threading.Thread(
            target=other.execute, args=["SELECT pg_advisory_lock(1128812370, 1)"]
        )
        waiting.start()
        await eventually(
            lambda: bool(postgres.run("SELECT 1 FROM pg_locks WHERE NOT granted")),
            "another process waits for the database",
        )
        postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND starts_with(application_name, 'chorus')",
            database,
        )
        assert await setup.server.ended() == 1
        waiting.join()
    (line,) = [each for each in setup.server.log().splitlines() if each.startswith("chorus:")]
    assert line.endswith(
        "A command of chorus holds this database for itself: wait until it is done."
    )


# --- Copied -----------------------------------------------------------------------------------------


async def test_conversations_go_on_in_the_database_that_they_were_copied_into(
    url: str, tmp_path: Path
) -> None:
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    async with obedient_model() as model, fake_qdrant() as qdrant:
        alice = Identity()
        async with (
            served(tmp_path, model.url) as server,
            signed_in(server.url, alice) as client,
        ):
            thread_id = await client.new_thread()
            run = await client.ask("submit_prompt", thread_id=thread_id, prompt=LESSON)
            answer = (await client.end_of(run["run_id"]))["message"]["content"]
            before = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
            code, _, errors = await server.command("copy", "--from", str(server.data), "--to", url)
            assert code == 1
            (line,) = errors.splitlines()
            assert line.endswith("The data folder is in use by another chorus process.")

        code, said, errors = await server.command("copy", "--from", str(server.data), "--to", url)
        assert code == 0, errors
        assert said.startswith("Copied ")
        assert PASSWORD not in said + errors
        async with (
            served(other_folder, model.url, database_url=url, qdrant_url=qdrant.url) as second,
            signed_in(second.url, alice) as client,
        ):
            page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
            assert page["entries"] == before["entries"]
            await client.follow(thread_id, after_seq=page["head_seq"])
            asked = await client.ask("submit_prompt", thread_id=thread_id, prompt="And salt?")
            await client.end_of(asked["run_id"])

            async def is_found() -> bool:
                found = await client.ask("search", query=LESSON)
                return answer in [each["content"] for each in found["results"]]

            await eventually(is_found, "the memory is filled from what was copied")
        code, said, _ = await second.command("verify")
        assert code == 0, said


# --- Refused before anything is served --------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Awaitable[tuple[int, str]]]:
    """Run a command with a database's URL: its exit code and errors."""

    async def run(url: str, *arguments: str, **settings: str) -> tuple[int, str]:
        asked = {"database_url": url, "qdrant_url": "http://127.0.0.1:9", "port": 0, **settings}
        server = ServerProcess(tmp_path, "offline", {k: v for k, v in asked.items() if v != ""})
        code, _, errors = await server.command(*arguments)
        assert PASSWORD not in errors
        assert "secret" not in errors
        return code, errors

    return run


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("{server}/postgres", "The database refuses this user or password"),
        ("{right}/nowhere", "There is no such database"),
        ("{right}/{empty}", "The database holds no journal yet: run `chorus migrate`."),
        ("postgresql://ann:secret@127.0.0.1:1/chorus", "The database cannot be reached"),
    ],
)
async def test_a_database_that_cannot_be_had_is_one_line_and_exit_1(
    postgres: Cluster,
    command: Callable[..., Awaitable[tuple[int, str]]],
    url: str,
    words: str,
) -> None:
    right = postgres.url("x").rpartition("/")[0]
    wrong = postgres.url("x", password="secret").rpartition("/")[0]
    empty = postgres.database().rpartition("/")[2]
    asked = url.format(server=wrong, right=right, empty=empty)
    code, errors = await command(asked, "serve")
    assert code == 1
    (line,) = errors.splitlines()
    assert line.startswith("chorus: postgresql://127.0.0.1:")
    assert words in line


@pytest.mark.parametrize(
    "url", ["mysql://ann:secret@host/chorus", "postgresql://ann:secret@host", "secret"]
)
async def test_what_is_no_address_of_a_database_is_one_line_and_exit_2(
    command: Callable[..., Awaitable[tuple[int, str]]], url: str
) -> None:
    code, errors = await command(url, "serve")
    assert code == 2
    assert errors.startswith("chorus: CHORUS_DATABASE_URL must be an address such as postgresql:")
    assert len(errors.splitlines()) == 1


async def test_an_embedded_memory_beside_a_database_is_refused_by_the_settings_name(
    command: Callable[..., Awaitable[tuple[int, str]]],
) -> None:
    code, errors = await command(
        "postgresql://ann:secret@127.0.0.1:1/chorus", "serve", qdrant_url=""
    )
    assert code == 2
    assert errors.startswith("chorus: CHORUS_QDRANT_URL is not set")
    assert len(errors.splitlines()) == 1


async def test_a_database_is_migrated_by_command_and_once_more_is_no_fault(
    postgres: Cluster, command: Callable[..., Awaitable[tuple[int, str]]]
) -> None:
    url = postgres.database()
    assert await command(url, "migrate") == (0, "")
    assert await command(url, "migrate") == (0, "")
