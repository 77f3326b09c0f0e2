"""One damaged row in each table costs what it says alone: a server starts, works, and tells of it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import create_engine, text

from machines.decisions.connections import hash_token
from server.environment import system_environment
from server.services import Services
from storage.journal.history import DECLARATION
from storage.journal.schema import METADATA
from storage.journal.sqlite import JOURNAL_FILE
from tests.server.threads.forking import asked, followed_thread, fork
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.postgres import Cluster
from tests.support.samples import sample
from tests.support.several_servers import several_servers

PARSED: Final = {"body", "missing", "states", "tally", "value", "vector"}
"""Names of columns that hold what is parsed as it is read."""

IN_THREAD: Final = "thread_id = :damaged"
WHERE: Final[Mapping[str, str]] = {
    "branches": IN_THREAD,
    "entries": "stream = 'thread:' || :lost AND seq = 1",
    "heat": f"{IN_THREAD} AND seconds = 3600",
    "heat_mark": "true",
    "invitations": IN_THREAD,
    "invite_links": IN_THREAD,
    "memory_tasks": f"{IN_THREAD} AND subject = :first",
    "messages": "id = :first",
    "meta": f"name LIKE '{DECLARATION}message:%'",
    "removals": IN_THREAD,
    "replies": "public_key = :guest",
    "runs": f"{IN_THREAD} AND live AND carrier IS NOT NULL",
    "sessions": "id = :session",
    "standing": "id IN (SELECT id FROM runs WHERE thread_id = :damaged AND live)",
    "threads": "id = :lost",
    "timers": "id IN (SELECT id FROM timers WHERE body LIKE '%' || :damaged || '%')",
    "user_threads": IN_THREAD,
    "users": "public_key = :guest",
    "vectors": "message_id = :first",
}
"""Which rows of each table are damaged: of one thread, one that is lost, and one user."""

MAY_BE_MISSING: Final = {"moments"}
"""Tables whose rows have a digest: one that is damaged is as one that is not there."""

NAMED: Final = {"heat_mark", "memory_tasks", "messages", "runs", "threads", "timers"}
"""Tables of which a start or a background task reads many rows. With the mark of the counts, all of them are
made anew."""


@dataclass(frozen=True)
class Store:
    """What is damaged, past every server."""

    url: str
    """As SQLAlchemy has it."""
    garbage: str
    """An expression for a text that is no JSON."""

    def damage(self, values: Mapping[str, str]) -> None:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            for table, where in WHERE.items():
                (column,) = PARSED & set(METADATA.tables[table].columns.keys())
                bad = "'x'" if column == "vector" else self.garbage
                more = {
                    "timers": ", due_at = 0",
                    "memory_tasks": ", waiting = true, claimed_until = NULL",
                }.get(table, "")
                done = connection.execute(
                    text(f"UPDATE {table} SET {column} = {bad}{more} WHERE {where}"),  # noqa: S608 - a test's own words
                    values,
                )
                assert done.rowcount, f"nothing of {table} is damaged"
        engine.dispose()


@pytest.fixture(params=["folder", "database"])
def url(request: pytest.FixtureRequest, postgres: Cluster) -> str | None:
    """Of a migrated, empty database; None is a folder."""
    return postgres.database(migrated=True) if request.param == "database" else None


@pytest.fixture
def store(url: str | None, tmp_path: Path) -> Store:
    if url is None:
        file = tmp_path / "0" / JOURNAL_FILE
        return Store(f"sqlite:///{file}", "CAST(x'7b22ff' AS TEXT)")
    return Store(url.replace("postgresql:", "postgresql+psycopg:"), "'{'")


async def furnished(server: Services, host: Identity) -> Mapping[str, str]:
    """Something in every table, for a thread that is damaged, one that is lost, and one that is whole."""
    ann, ben, cay = [await Caller(server).sign_in(each) for each in (host, Identity(), Identity())]
    thread = await followed_thread(ann, ben, cay)
    first = await asked(ann, thread, "A loaf of rye")
    text_ = {"kind": "step_text", "text": "Bread."}
    await fork(ann, thread, first, "yield", text_)
    await ann.get("propose_removal", public_key=cay.public_key, **thread)
    await ann.get("invite_co_author", public_key=Identity().public_key, **thread)
    await ann.get("create_invite_link", **thread)
    await ben.get("mark_read", seq=2, **thread)
    await ben.get("set_name", name="Ben")
    await ann.get("submit_prompt", prompt="HOLD this", **thread)
    lost = await followed_thread(ann)
    await asked(ann, lost, "A loaf that is lost")
    whole = await followed_thread(ann)
    await asked(ann, whole, "A loaf of wheat")
    await ann.get("submit_prompt", prompt="HOLD that", **whole)
    while await server.journal.count_entries(system_environment().now()):
        pass

    async def is_remembered() -> bool:
        return not await server.journal.queued_tasks(limit=1)

    await eventually(is_remembered, "the memory is fed")
    return {
        "damaged": thread["thread_id"],
        "lost": lost["thread_id"],
        "whole": whole["thread_id"],
        "first": first["message_id"],
        "guest": ben.public_key,
        "session": hash_token(ben.token),
    }


async def test_one_damaged_row_of_each_table_costs_what_it_says_and_nothing_else(
    url: str | None, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tables = {name for name, each in METADATA.tables.items() if PARSED & set(each.columns.keys())}
    assert tables - MAY_BE_MISSING == WHERE.keys(), "damage a row of each"
    host = Identity()
    settings: dict[str, Any] = {"moody": True}
    async with several_servers(1, tmp_path, url, **settings) as (server,):
        ids = await furnished(server, host)
    store.damage(ids)
    caplog.set_level(logging.ERROR, "storage.journal.damage")
    # Its Qdrant is a new one, so that the memory is filled from the beginning too.
    async with several_servers(1, tmp_path, url, **settings) as (server,):
        ann = await Caller(server).sign_in(host)
        listed = await ann.get("list_threads", scope="mine")
        assert {each["id"] for each in listed["threads"]} == {ids["damaged"], ids["whole"]}

        async def goes_on() -> bool:
            seen = await ann.get("get_events", thread_id=ids["whole"], after_seq=0, limit=100)
            told = [str(each["data"].get("message")) for each in seen["entries"]]
            return any("restarted" in each or "goes on" in each for each in told)

        await eventually(goes_on, "the run of the whole thread goes on")
        shown = await ann.get("get_thread", thread_id=ids["damaged"])
        assert ids["first"] not in {each["id"] for each in shown["messages"]}
        assert shown["messages"], "the thread is shown as far as it is whole"
        assert ann.line.closed is None
        refused = await ann.ask("submit_prompt", thread_id=ids["damaged"], prompt="And?")
        assert refused["data"]["code"] == "storage_unavailable", "nothing is decided on less"
        await ann.get("get_thread", thread_id=ids["whole"])
        await asked_of(ann, ids["whole"])

        async def finds() -> list[str]:
            found = await ann.get("search", query="A loaf of wheat")
            return [each["thread_id"] for each in found["results"]]

        async def is_found() -> bool:
            return ids["whole"] in await finds()

        await eventually(is_found, "the memory is fed")
        await eventually(
            lambda: not NAMED - {each.split(" of ")[1].split()[0] for each in caplog.messages},
            lambda: f"the log tells of each: {caplog.messages}",
        )
        assert sample(server.metrics, "chorus_damaged_rows") >= len(NAMED)
        problems = "\n".join(await server.journal.verify())
        assert ids["lost"] in problems


async def asked_of(caller: Caller, thread_id: str) -> None:
    """A run of the thread is over."""
    seen = await caller.get("get_thread", thread_id=thread_id)
    for run in seen["runs"]:
        await caller.get("cancel_run", thread_id=thread_id, run_id=run["run_id"])
    thread: Data = {"thread_id": thread_id}
    await asked(caller, thread, "What about wheat?")
