"""Servers whose own clocks are two hours apart: what is in time at one is in time at the other.

All of them go by the database's clock, so it does not matter who set a deadline and who is asked.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from machines.models.ids import thread_stream
from server.services import Services
from server.sessions.signatures import CHALLENGE_SECONDS
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Clock, open_test_services
from tests.support.postgres import Cluster

NO_MEMORY: Final = "http://127.0.0.1:9"
"""Deadlines need none."""

HALF_AN_HOUR: Final[dict[str, Any]] = {
    "approval_days": 0.5 / 24,
    "invitation_days": 0.5 / 24,
    "session_hours": 0.5,
}
MOMENT: Final[dict[str, Any]] = {"approval_days": 0.00001, "invitation_days": 0.00001}
CLOSE: Final = timedelta(minutes=5)
"""Longer than the test takes, and far less than an hour."""


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@asynccontextmanager
async def apart(folder: Path, url: str, **settings: Any) -> AsyncIterator[list[Services]]:
    """A server whose own clock is an hour ahead, and one whose is an hour behind."""
    async with AsyncExitStack() as stack:
        servers = []
        for hours in (1, -1):
            clock = Clock()
            clock.ahead = timedelta(hours=hours)
            opened = open_test_services(
                folder / f"{hours}",
                environment=clock.environment(),
                database_url=url,
                qdrant_url=NO_MEMORY,
                **settings,
            )
            servers.append(await stack.enter_async_context(opened))
        yield servers


async def _public_thread(host: Caller) -> Data:
    asked = {"name": "Open", "visibility": "public"}
    return {"thread_id": (await host.get("create_thread", **asked))["thread_id"]}


async def test_what_one_server_sets_is_in_time_at_the_other_and_its_times_are_the_databases(
    url: str, tmp_path: Path
) -> None:
    async with apart(tmp_path, url, **HALF_AN_HOUR) as (ahead, behind):
        with psycopg.connect(url) as connection:
            (now,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
        assert isinstance(now, datetime)
        for here, there in ((ahead, behind), (behind, ahead)):
            challenge = await Caller(here).get("connect", public_key=Identity().public_key)
            ends = datetime.fromisoformat(challenge["expires_at"]) - now
            assert timedelta() < ends < timedelta(seconds=CHALLENGE_SECONDS) + CLOSE
            host, guest = [await Caller(here).sign_in(Identity()) for _ in range(2)]
            thread = await _public_thread(host)
            asked = await guest.get("submit_prompt", prompt="May I?", **thread)
            invited = await Caller(there).sign_in(Identity())
            await host.get("invite_co_author", public_key=invited.public_key, **thread)
            link = (await host.get("create_invite_link", expires_in_hours=1, **thread))["link"]

            again = await Caller(there).resume(host.token)
            await again.get("approve_message", message_id=asked["message_id"], **thread)
            await invited.get("accept_invitation", **thread)
            linked = await Caller(there).sign_in(Identity())
            await linked.get("accept_invite_link", secret=link["secret"])
            shown = (await again.get("get_thread", **thread))["thread"]
            assert len(shown["co_authors"]) == 4

            page = await here.journal.entries(
                thread_stream(thread["thread_id"]), after_seq=0, limit=100
            )
            assert here.environment.now().tzinfo is UTC
            assert all(abs(entry.at - now) < CLOSE for entry in page.entries)


async def test_what_is_over_is_over_at_both(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing expires before it is asked for.
    monkeypatch.setattr("server.timers.handlers.CLAIM_PAUSE_SECONDS", 3_600.0)
    async with apart(tmp_path, url, **MOMENT) as (ahead, behind):
        for here, there in ((ahead, behind), (behind, ahead)):
            host, guest = [await Caller(here).sign_in(Identity()) for _ in range(2)]
            thread = await _public_thread(host)
            asked = await guest.get("submit_prompt", prompt="May I?", **thread)
            invited = await Caller(there).sign_in(Identity())
            await host.get("invite_co_author", public_key=invited.public_key, **thread)
            over = there.environment.now() + timedelta(days=MOMENT["approval_days"])
            await eventually(lambda there=there, over=over: there.environment.now() >= over, "it")  # type: ignore[misc]

            again = await Caller(there).resume(host.token)
            late = await again.ask("approve_message", message_id=asked["message_id"], **thread)
            assert late["data"]["details"]["guards"] == ["deadline_is_ahead"], late
            late = await invited.ask("accept_invitation", **thread)
            assert late["data"]["details"]["guards"] == ["deadline_is_ahead"], late


async def test_a_server_alone_with_its_folder_goes_by_its_own_clock(tmp_path: Path) -> None:
    clock = Clock()
    clock.ahead = timedelta(hours=1)
    async with open_test_services(tmp_path, environment=clock.environment()) as services:
        assert services.environment.now() - datetime.now(UTC) > timedelta(minutes=59)
