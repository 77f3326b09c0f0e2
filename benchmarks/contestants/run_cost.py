"""What a run costs where it is served.

    python -m benchmarks.contestants.run_cost sqlite|postgres endpoint|server

The second word says who embeds texts: the model's endpoint, or the server itself.

`chorus serve` with a model that answers at once: a run is six requests, whose texts are as long as a
chat's. Each user has a thread, and prompts again as soon as a run has ended. Counted are, of a run: CPU
of the server and of the database, commits, entries, and bytes that stay.
"""

import asyncio
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from benchmarks.contestants.served import series, wait_until_idle
from benchmarks.contestants.streaming_chorus import UNLIMITED
from benchmarks.contestants.streaming_work import process
from benchmarks.followers import Person
from benchmarks.measure import cpu_of, tell
from machines.prompting.quoting import quotations
from tests.support.fake_qdrant import fake_qdrant
from tests.support.postgres import Cluster, cluster
from tests.support.scripted_endpoint import ScriptedEndpoint, says, says_json, serve
from tests.support.step_asked import step_asked

USERS: Final = 8
RUNS_OF_EACH: Final = 4
DIMENSIONS: Final = 384
SYLLABLES: Final = [
    "ba",
    "ne",
    "rol",
    "ti",
    "sum",
    "ka",
    "fen",
    "do",
    "lis",
    "mar",
    "ve",
    "gor",
    "pi",
    "tul",
    "os",
    "hen",
]


def prose(words: int) -> str:
    """Words that are never the same again; a model that repeats itself is not taken."""
    made = ("".join(DICE.choices(SYLLABLES, k=DICE.randint(1, 4))) for _ in range(words))
    return f"{' '.join(made)}."


DICE: Final = random.Random(11)
WORDS_OF_ACTION: Final = 250
WORDS_OF_ANSWER: Final = 350


def output_of(step: str) -> dict[str, Any]:
    """An answer in JSON, of about a hundred words."""
    match step:
        case "experience":
            insights = [prose(12) for _ in range(3)]
            return {"synthesis": prose(80), "key_insights": insights, "used": []}
        case "intention":
            return {
                "explicit_intent": prose(20),
                "implicit_intent": prose(20),
                "confidence": 0.5,
                "selected": [],
            }
        case "observation":
            patterns = [prose(12) for _ in range(3)]
            return {"analysis": prose(60), "patterns": patterns, "gaps": [], "confidence": 0.5}
        case _:
            return {
                "reasoning": prose(40),
                "loop": False,
                "next_query": "",
                "confidence": 0.5,
                "key_insights": [prose(12)],
            }


async def answer(endpoint: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
    """Any step, at once."""
    asked = await request.json()
    if request.path.endswith("/embeddings"):
        vectors = [
            {"index": n, "embedding": [random.gauss() for _ in range(DIMENSIONS)]}
            for n, _ in enumerate(asked["input"])
        ]
        return web.json_response({"data": vectors})
    text = asked["messages"][-1]["content"]
    assert list(quotations(text)), "the prompt is quoted"
    step = step_asked(text).value
    script = (
        says(prose(WORDS_OF_ACTION))
        if step == "action"
        else says(prose(WORDS_OF_ANSWER))
        if step == "yield"
        else says_json(output_of(step))
    )
    return await script(endpoint, request)


@dataclass(frozen=True, slots=True)
class Counted:
    """What was spent until some moment."""

    cpu: float
    database_cpu: float
    commits: float
    entries: float
    stored: float
    logged: float


class Store:
    """A data folder, or a database."""

    def __init__(self, folder: Path, database: Cluster | None, url: str | None) -> None:
        self.folder = folder
        self.url = url
        self._database = database

    def stored(self) -> float:
        """Bytes of the journal."""
        if self._database is None or self.url is None:
            return float((self.folder / "journal.sqlite3").stat().st_size)
        name = self.url.rpartition("/")[2]
        self._database.run("CHECKPOINT")
        ((size,),) = self._database.run("SELECT pg_database_size(%s)", name)
        return float(size)

    def logged(self) -> float:
        """Bytes of the write-ahead log so far; 0 of SQLite, whose log is used again."""
        if self._database is None:
            return 0.0
        ((written,),) = self._database.run("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return float(written)

    def cpu(self) -> float:
        """Of the database's processes."""
        if self._database is None:
            return 0.0
        found = self._database.run("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        return sum(cpu_of(pid) for (pid,) in found)


def count(pid: int, port: int, store: Store) -> Counted:
    return Counted(
        cpu=cpu_of(pid),
        database_cpu=store.cpu(),
        commits=series(port, "chorus_journal_commit_entries_count")[""],
        entries=series(port, "chorus_journal_commit_entries_sum")[""],
        stored=store.stored(),
        logged=store.logged(),
    )


async def run_some(people: list[tuple[Person, str]], how_many: int) -> None:
    """Let each of them have so many runs, one after the other."""

    async def talk(person: Person, thread_id: str) -> None:
        for _ in range(how_many):
            ended = person.line.awaiting('"status":"finished"')
            await person.ask("submit_prompt", thread_id=thread_id, prompt=prose(40))
            async with asyncio.timeout(60):
                await ended

    await asyncio.gather(*(talk(person, thread_id) for person, thread_id in people))


async def measure(port: int, pid: int, store: Store) -> None:
    people = []
    for _ in range(USERS):
        person = await Person.come(port)
        people.append((person, await person.open_thread()))
    await run_some(people, 1)
    await asyncio.to_thread(wait_until_idle, port, pid)
    before = await asyncio.to_thread(count, pid, port, store)
    await run_some(people, RUNS_OF_EACH)
    await asyncio.to_thread(wait_until_idle, port, pid)
    after = await asyncio.to_thread(count, pid, port, store)
    runs = USERS * RUNS_OF_EACH
    tell(
        cpu=1000 * (after.cpu - before.cpu) / runs,
        database_cpu=1000 * (after.database_cpu - before.database_cpu) / runs,
        commits=(after.commits - before.commits) / runs,
        entries=(after.entries - before.entries) / runs,
        stored=(after.stored - before.stored) / runs / 1024,
        logged=(after.logged - before.logged) / runs / 1024,
    )
    for person, _ in people:
        person.line.close()


@contextmanager
def database(kind: str) -> Iterator[Cluster | None]:
    """A PostgreSQL, where one is asked for."""
    if kind == "sqlite":
        yield None
        return
    with cluster(durable=True) as running:
        yield running


async def main(kind: str, embeds: str) -> None:
    """Start all of it, and tell."""
    with tempfile.TemporaryDirectory(prefix="chorus-run-") as name, database(kind) as postgres:
        folder = Path(name)
        url = None if postgres is None else postgres.database(migrated=True)
        async with serve(answer) as endpoint, fake_qdrant() as qdrant:
            settings = {
                "CHORUS_LLM": endpoint.url,
                "CHORUS_MODEL": "at-once",
                "CHORUS_DATA": name,
                "CHORUS_PORT": "0",
            }
            if embeds == "endpoint":
                settings["CHORUS_EMBEDDING_MODEL"] = "at-once"
            if url is not None:
                settings |= {"CHORUS_DATABASE_URL": url, "CHORUS_QDRANT_URL": qdrant.url}
            command = [str(Path(sys.executable).with_name("chorus")), "serve"]
            environment = dict(os.environ) | dict.fromkeys(UNLIMITED, "0") | settings
            async with process(command, environment) as server:
                await measure(server.port, server.pid, Store(folder, postgres, url))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
