"""Runs that live while the server is stopped, and go on under a chart that is another one then."""

import shutil
from collections.abc import AsyncIterator, ItemsView
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from machines.chorus import chorus_machine
from machines.declarations import declaration_of
from machines.migrations import MIGRATIONS, Migration
from machines.models.chorus import ChartChanged
from machines.models.errors import JournalError, StateError
from machines.models.journal import Batch, Committed
from server.commands.verify_history import verify_history
from server.llm.policy import ModelPolicy
from server.services import Services, open_services
from server.settings import Settings
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.machines.living_runs import (
    Change,
    edge_removed,
    served_by,
    state_removed,
    state_renamed,
)
from tests.support.client import Data, Identity
from tests.support.in_process import UNLIMITED, Caller, Clock, open_test_services
from tests.support.obedient_model import STEPS, ObedientModel, obedient_model
from tests.support.scripted_endpoint import refuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITS: Final = "waits for its next attempt"
QUEUED: Final = "waits in the queue"
START: Final = "edge_chorus_start_queued_running"
PROMPTS: Final = (*(f"is in {step}" for step in STEPS), WAITS, QUEUED)


@asynccontextmanager
async def services(
    model: ObedientModel,
    folder: Path,
    migrations: tuple[Migration, ...] = MIGRATIONS,
    ahead: timedelta = timedelta(),
) -> AsyncIterator[Services]:
    clock = Clock()
    clock.ahead = ahead
    settings = Settings(data=folder, llm=model.url, model="scripted-1", **UNLIMITED)
    policy = ModelPolicy()
    async with open_services(settings, clock.environment(), policy, migrations) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def caught(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[ObedientModel, Path, dict[str, str]]]:
    """A model, the folder of a server that was stopped with a run in each step, and their threads."""
    folder = tmp_path_factory.mktemp("caught")
    async with obedient_model() as model:
        async with services(model, folder) as served:
            alice = await Caller(served).sign_in(Identity())
            threads: dict[str, str] = {}
            held = {f"is in {step}": model.hold(f"is in {step}", step) for step in STEPS}
            model.plan(WAITS, "action", refuses(429, headers={"retry-after": "50"}))
            for prompt in PROMPTS:
                if prompt == QUEUED:
                    threads[prompt] = threads[PROMPTS[0]]
                else:
                    created = await alice.get("create_thread", name=prompt, visibility="public")
                    threads[prompt] = created["thread_id"]
                    await alice.get("get_thread", thread_id=threads[prompt])
                await alice.get("submit_prompt", thread_id=threads[prompt], prompt=prompt)
            for gate in held.values():
                await gate.reached.wait()
            await alice.line.until(
                lambda each: each["data"].get("status") == "recovering", "a run that waits"
            )
        yield model, folder, threads


async def told(served: Services, threads: dict[str, str]) -> dict[str, tuple[Data, list[Data]]]:
    """By prompt: how its run ended, and what its followers were told of a changed chart."""
    bob = await Caller(served).sign_in(Identity())
    found = {}
    for prompt, thread_id in threads.items():
        thread = await bob.get("get_thread", thread_id=thread_id)
        (message,) = (each for each in thread["messages"] if each["content"] == prompt)
        about = {"message_id": message["id"]}.items()

        def ends(each: Data, about: ItemsView[str, str] = about) -> bool:
            return about <= each["data"].items() and each["data"].get("status") in {
                "finished",
                "failed",
            }

        seen = await bob.get("get_events", thread_id=thread_id, after_seq=0, limit=1000)
        frames = [each for each in seen["entries"] if about <= each["data"].items()]
        ended = next((each for each in frames if ends(each)), None)
        ended = ended or await bob.line.until(ends, f"the end of {prompt!r}")
        seen = await bob.get("get_events", thread_id=thread_id, after_seq=0, limit=1000)
        of_chart = [
            each["data"]
            for each in seen["entries"]
            if about <= each["data"].items() and each["data"].get("code") == "chart_changed"
        ]
        found[prompt] = (ended["data"], of_chart)
    return found


async def under(
    caught: tuple[ObedientModel, Path, dict[str, str]], change: Change, folder: Path
) -> dict[str, tuple[Data, list[Data]]]:
    """What becomes of the runs under a change; the journal is whole behind it."""
    model, kept, threads = caught
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    async with AsyncExitStack() as stack:
        stack.enter_context(served_by(change))
        # By then every wait is over.
        async with services(model, folder, change.migrations, timedelta(hours=1)) as served:
            found = await told(served, threads)
        journal = SqliteJournal(folder / JOURNAL_FILE)
        await journal.open()
        stack.push_async_callback(journal.close)
        said: list[str] = []
        problems = await verify_history(Settings(data=folder, llm="offline"), journal, said.append)
        assert problems == 0, said
        assert await journal.verify() == ()
        assert await journal.live_runs() == ()
    return found


async def test_runs_go_on_under_a_chart_that_has_their_places(
    caught: tuple[ObedientModel, Path, dict[str, str]], tmp_path: Path
) -> None:
    change = edge_removed("edge_chorus_cancel_queued_cancelled")
    for prompt, (ended, of_chart) in (await under(caught, change, tmp_path)).items():
        assert ended["status"] == "finished", prompt
        said = [each["message"] for each in of_chart]
        if prompt == QUEUED:
            assert said == [], "it has not moved under the earlier chart"
        else:
            (sentence,) = said
            assert sentence.startswith("The server was upgraded")


async def test_a_run_is_taken_over_once_where_the_commit_of_that_is_in_doubt(
    caught: tuple[ObedientModel, Path, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = SqliteJournal.commit
    doubted: list[Batch] = []

    async def doubtful(journal: SqliteJournal, batch: Batch) -> Committed:
        """Fails once, when a run that was taken over is durable."""
        committed = await commit(journal, batch)
        fired = [each for entry in batch.entries for each in entry.fired]
        if not doubted and any(isinstance(each.event, ChartChanged) for each in fired):
            doubted.append(batch)
            raise JournalError("The disk failed to read or write.")
        return committed

    monkeypatch.setattr(SqliteJournal, "commit", doubtful)
    change = edge_removed("edge_chorus_cancel_queued_cancelled")
    for prompt, (ended, of_chart) in (await under(caught, change, tmp_path)).items():
        assert ended["status"] == "finished", prompt
        assert len(of_chart) == (prompt != QUEUED)
    assert doubted


async def test_a_run_that_the_chart_leads_to_no_end_is_ended_and_says_why(
    caught: tuple[ObedientModel, Path, dict[str, str]], tmp_path: Path
) -> None:
    found = await under(caught, state_removed("observation"), tmp_path)
    for prompt, (ended, _) in found.items():
        if prompt == "is in yield":
            assert ended["status"] == "finished", "it never comes to observation again"
            continue
        assert (ended["status"], ended["code"]) == ("failed", "chart_changed"), prompt
        assert ended["message"].startswith("The server was upgraded, and cannot go on"), prompt
    assert "observation is gone" in found["is in observation"][0]["message"]


async def test_a_run_whose_step_has_another_name_is_migrated_as_declared(
    caught: tuple[ObedientModel, Path, dict[str, str]], tmp_path: Path
) -> None:
    change = state_renamed("observation", declared=True)
    migration = Migration(chorus_machine().fingerprint, {"observation": "reflection"})
    assert change.migrations == (migration,)
    with pytest.MonkeyPatch.context() as patch:
        earlier = {migration.fingerprint: declaration_of(chorus_machine().topology)}
        patch.setattr("server.runs.succession.earlier_declarations", lambda: earlier)
        found = await under(caught, change, tmp_path)
    for prompt, (ended, of_chart) in found.items():
        assert ended["status"] == "finished", prompt
        assert len(of_chart) == (prompt != QUEUED)
    model, *_ = caught
    asked = [each.step for each in model.asked if each.prompt == "is in observation"]
    assert asked.count("action") == 1, "what was done is not done again"


async def test_a_migration_that_leads_to_no_state_is_refused_before_anything_is_opened(
    caught: tuple[ObedientModel, Path, dict[str, str]], tmp_path: Path
) -> None:
    model, *_ = caught
    wrong = Migration("chorus:c8ecd28eb995", {"observation": "reflection"})
    with pytest.raises(StateError) as refused:
        async with services(model, tmp_path, (wrong,)):
            pass
    assert refused.value.message == (
        "The migration of chorus:c8ecd28eb995 leads observation stable to reflection stable,"
        " which is no state of the chorus chart."
    )
    assert not (tmp_path / JOURNAL_FILE).exists()


async def test_a_run_that_cannot_be_started_is_ended_when_its_turn_comes(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, moody=True) as served:
        alice = await Caller(served).sign_in(Identity())
        thread_id = (await alice.get("create_thread", name="Evening"))["thread_id"]
        await alice.get("get_thread", thread_id=thread_id)
        first, second, third = [
            await alice.get("submit_prompt", thread_id=thread_id, prompt=prompt)
            for prompt in ("HOLD it", "What then?", "And then?")
        ]
        # As where a server of another version queued it.
        with served_by(edge_removed(START)):
            await alice.get("cancel_run", thread_id=thread_id, run_id=first["run_id"])
        for run in (second, third):
            ended = await alice.line.until(
                lambda each, run=run: (  # type: ignore[misc]
                    each["data"].get("run_id") == run["run_id"]
                    and each["data"].get("status") == "failed"
                ),
                "the end of a run that waited",
            )
            assert ended["data"]["code"] == "chart_changed"
            assert ended["data"]["message"].endswith("it cannot be started.")
        assert await served.journal.verify() == ()


async def test_queues_are_looked_at_once_for_each_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[None] = []
    live_runs = SqliteJournal.live_runs

    async def look(journal: SqliteJournal) -> object:
        looked.append(None)
        return await live_runs(journal)

    monkeypatch.setattr(SqliteJournal, "live_runs", look)
    for _ in range(3):
        async with open_test_services(tmp_path):
            pass
    assert len(looked) == 1
