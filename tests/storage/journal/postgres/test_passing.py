"""What servers tell each other through the database: by whom it is heard, how much of it, and after a cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from storage.journal.postgres import listening, passing
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.passing import PostgresPassing
from tests.support.eventually import eventually
from tests.support.postgres import Cluster


class Heard:
    """One server, and what it heard."""

    def __init__(self, url: str, name: str) -> None:
        self.passing = PostgresPassing(PostgresAddress.parse(url), name=name)
        self.texts: list[str] = []
        self.connected = 0

    def connect(self) -> None:
        self.connected += 1


@asynccontextmanager
async def two(url: str) -> AsyncIterator[tuple[Heard, Heard]]:
    """Two servers that hear each other."""
    both = Heard(url, "here"), Heard(url, "there")
    running = [
        asyncio.create_task(each.passing.run(each.texts.append, each.connect)) for each in both
    ]
    try:
        await eventually(lambda: all(each.connected for each in both), "both listen")
        yield both
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_a_text_is_heard_by_whom_it_is_for_in_order_and_never_by_its_sender(url: str) -> None:
    async with two(url) as (here, there):
        here.passing.send("to all é")
        here.passing.send("to there\nin two lines", "there")
        here.passing.send("to a third", "third")
        there.passing.send("back", "here")
        await eventually(lambda: len(there.texts) == 2, "both come")
        await eventually(lambda: here.texts == ["back"], "one comes back")
        assert there.texts == ["to all é", "to there\nin two lines"]


async def test_what_is_beyond_the_bound_is_dropped_and_what_fits_is_heard(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing, "MOST_AT_ONCE", 3)
    async with two(url) as (here, there):
        for number in range(10):
            here.passing.send(f"{number}")
        await eventually(lambda: len(there.texts) == 3, "three come")
        here.passing.send("later")
        await eventually(lambda: there.texts == ["0", "1", "2", "later"], "the next one comes")


async def test_the_largest_text_is_one_notification(url: str) -> None:
    async with two(url) as (here, there):
        text = "x" * here.passing.most_bytes
        here.passing.send(text, "there")
        await eventually(lambda: there.texts == [text], "it comes")


async def test_a_connection_that_is_cut_is_made_again_and_said_to_be_new(
    url: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing, "AGAIN_SECONDS", 0.05)
    async with two(url) as (here, there):
        assert postgres.terminate_connections(url) >= 2
        await eventually(lambda: here.connected > 1 and there.connected > 1, "both listen again")
        here.passing.send("after the cut")
        await eventually(lambda: there.texts == ["after the cut"], "it is heard")


async def test_where_the_database_lost_its_place_to_another_a_connection_is_made_anew(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing, "AGAIN_SECONDS", 0.05)
    async with two(url) as (here, there):
        here.passing.connect_anew()
        await eventually(lambda: here.connected > 1, "it connects again, though nothing was cut")
        there.passing.send("at the new one")
        await eventually(lambda: here.texts == ["at the new one"], "it is heard")
        assert there.connected == 1


class Silent:
    """A connection that leads nowhere any more once it listens."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self.notifies = connection.notifies
        self.close = connection.close

    async def execute(self, statement: Any, values: object = None) -> None:
        if values is not None:
            await asyncio.Event().wait()
        await self._connection.execute(statement)


async def test_a_connection_that_does_not_answer_is_given_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = listening.connected

    async def cut_off(address: PostgresAddress) -> Any:
        return Silent(await connect(address))

    monkeypatch.setattr(passing, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(passing, "connected", cut_off)
    async with two(url) as (here, there):
        monkeypatch.setattr(passing, "connected", connect)
        monkeypatch.setattr(passing, "ANSWER_SECONDS", 0.2)
        here.passing.send("lost")
        await eventually(lambda: here.connected > 1, "it connects again")
        monkeypatch.setattr(passing, "ANSWER_SECONDS", 60)
        here.passing.send("later")
        await eventually(lambda: there.texts == ["later"], "it is heard")
