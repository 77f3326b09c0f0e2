"""Whose threads or marks changed through another server is told so, if late, where the announcement is lost;
and once, where it is not."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from machines.models.ids import PublicKey, thread_stream, user_stream
from server.services import Services
from server.threads import connections, relay
from storage.journal import many_threads
from storage.journal.answers import Change
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller
from tests.support.lost_announcements import Told, lose_announcements
from tests.support.postgres import Cluster
from tests.support.several_servers import several_servers


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest.fixture
def unannounced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that start later hear nothing, and look for nothing else by themselves."""
    lose_announcements(monkeypatch)
    monkeypatch.setattr(relay, "LOOK_SECONDS", 3_600.0)


@pytest.fixture
async def servers(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Services]]:
    """Two of them, which ask often for what was not told."""
    monkeypatch.setattr(relay, "UNHEARD_SECONDS", 0.02)
    monkeypatch.setattr(connections, "NOTICE_SECONDS", 0.01)
    async with several_servers(2, tmp_path, url) as running:
        yield running


def notices(to: Caller) -> list[tuple[str, int, bool]]:
    """Kind, head and inbox of each notice that came."""
    data: list[Data] = [each["data"] for each in to.line.frames if each["type"] == "notice"]
    return [(each["kind"], each["head_seq"], bool(each.get("inbox"))) for each in data]


async def change_everything(here: Caller, ben: Caller) -> str:
    """What each user is told of, at one server; gives the thread."""
    made = await here.get("create_thread", name="Evening")
    thread_id: str = made["thread_id"]
    await here.get("invite_co_author", thread_id=thread_id, public_key=ben.public_key)
    await here.get("mark_read", thread_id=thread_id, seq=2)
    await here.get("hide_thread", thread_id=thread_id, hidden=True)
    return thread_id


@pytest.mark.usefixtures("unannounced")
async def test_a_notice_whose_announcement_is_lost_comes_late(
    servers: list[Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    # However many entries of a user wait, and whichever of them one look finds.
    monkeypatch.setattr(relay, "MAX_OF_USER", 1)
    monkeypatch.setattr(many_threads, "MAX_CATCH_UP", 1)
    ann = Identity()
    here, there = [await Caller(server).sign_in(ann) for server in servers]
    ben = await Caller(servers[1]).sign_in(Identity())
    thread_id = await change_everything(here, ben)

    def kinds(of: Caller) -> set[str]:
        return {kind for kind, _, _ in notices(of)}

    await eventually(lambda: ("invited", 0, True) in notices(ben), "Ben is told, for his inbox")
    await eventually(lambda: {"read", "hidden"} <= kinds(there), "Ann is told what she marked")
    await ben.get("accept_invitation", thread_id=thread_id)
    await eventually(
        lambda: ("co_author_joined", 3, False) in notices(here), "and who joined there"
    )


async def test_what_is_announced_bit_by_bit_is_told_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    lose_announcements(monkeypatch, told)
    for seconds in ("LOOK_SECONDS", "UNHEARD_SECONDS"):
        monkeypatch.setattr(relay, seconds, 3_600.0)
    monkeypatch.setattr(connections, "NOTICE_SECONDS", 0.01)
    async with several_servers(2, tmp_path, url) as servers:
        ann = Identity()
        here, there = [await Caller(server).sign_in(ann) for server in servers]
        made = await here.get("create_thread", name="Evening")
        thread = {"thread_id": made["thread_id"]}
        await here.get("rename_thread", name="Night", **thread)
        stream = user_stream(PublicKey(ann.public_key))
        head = await servers[0].journal.head(stream)
        await here.get("mark_read", seq=1, **thread)
        await here.get("hide_thread", hidden=True, **thread)

        def kinds() -> list[str]:
            return [kind for kind, _, _ in notices(there)]

        for change, kind in (
            (Change(stream, head, head + 1), "read"),
            (Change(stream, head + 1, head + 2), "hidden"),
            (Change(thread_stream(made["thread_id"]), 0, 1), "thread_created"),
            (Change(thread_stream(made["thread_id"]), 1, 2), "thread_renamed"),
        ):
            told.tell(change)
            await eventually(lambda kind=kind: kind in kinds(), f"a notice of {kind}")  # type: ignore[misc]
        assert kinds() == ["read", "hidden", "thread_created", "thread_renamed"]


async def test_a_notice_that_was_announced_comes_once(
    servers: list[Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Identity()
    here, there = [await Caller(server).sign_in(ann) for server in servers]
    ben = await Caller(servers[1]).sign_in(Identity())
    await change_everything(here, ben)
    await eventually(lambda: ("invited", 0, True) in notices(ben), "Ben is told")
    await eventually(lambda: "hidden" in {kind for kind, _, _ in notices(there)}, "Ann is told")
    asked = [counted(server, monkeypatch) for server in servers]
    await eventually(lambda: all(each() >= 4 for each in asked), "all was looked for again")
    assert [kind for kind, _, _ in notices(ben)] == ["invited"]
    told = [kind for kind, _, _ in notices(there)]
    assert told.count("read") == told.count("hidden") == 1
    assert len(told) == len(set(told)), told


def counted(server: Services, patch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a server has asked, from now on, for what was not told."""
    asked = 0
    unheard = server.journal.unheard

    async def counting() -> object:
        nonlocal asked
        found = await unheard()
        asked += 1
        return found

    patch.setattr(server.journal, "unheard", counting)
    return lambda: asked
