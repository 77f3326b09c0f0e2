"""Deadlines where several servers share the journal: any of them fires what another one set."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Clock, open_test_services
from tests.support.postgres import Cluster

NO_MEMORY = "http://127.0.0.1:9"
"""Deadlines need none."""

MOMENT_IN_DAYS = 0.00001


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


async def test_deadlines_of_a_server_that_is_gone_come_at_one_whose_clock_is_an_hour_behind(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared: dict[str, Any] = {"database_url": url, "qdrant_url": NO_MEMORY}
    soon: dict[str, Any] = {
        "approval_days": MOMENT_IN_DAYS,
        "invitation_days": MOMENT_IN_DAYS,
        "session_hours": MOMENT_IN_DAYS,
    }
    with monkeypatch.context() as patch:
        # This one looks for nothing that is due, as one that was killed.
        patch.setattr("server.timers.handlers.CLAIM_PAUSE_SECONDS", 3_600.0)
        async with open_test_services(tmp_path / "gone", **shared, **soon) as gone:
            alice, bob, key = Identity(), await Caller(gone).sign_in(Identity()), Identity()
            host = await Caller(gone).sign_in(alice)
            asked = {"name": "Open", "visibility": "public"}
            thread_id = (await host.get("create_thread", **asked))["thread_id"]
            await bob.get("submit_prompt", thread_id=thread_id, prompt="May I?")
            await host.get("invite_co_author", thread_id=thread_id, public_key=key.public_key)
            kinds = {each.timer.timer for each in await gone.journal.timers()}
            assert kinds == {"approval", "invitation", "session"}
    clock = Clock()
    clock.ahead = timedelta(hours=-1)
    environment = clock.environment()
    async with open_test_services(tmp_path / "here", environment=environment, **shared) as here:

        async def all_came() -> bool:
            return await here.journal.timers() == ()

        await eventually(all_came, "the deadlines that another server set came")
        assert await here.journal.sessions() == ()
        again = await Caller(here).sign_in(alice)
        page = await again.get("get_events", thread_id=thread_id, after_seq=0)
        told = [each["data"]["kind"] for each in page["entries"]]
        assert sorted(told[-2:]) == ["invitation_expired", "message_expired"]
        assert len(told) == len(set(told)), "each came once"
