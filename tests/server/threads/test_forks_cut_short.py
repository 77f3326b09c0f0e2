"""Whatever is durable when a server dies, a fork goes on from there, and its branch is adopted once.

The folder is kept as it is behind each commit, as a kill would leave it, and a server is started on it.
"""

import shutil
from pathlib import Path
from typing import Final

import pytest

from machines.models.journal import Batch, Committed
from server.llm.policy import ModelPolicy
from server.services import Services
from tests.server.threads.forking import asked, followed_thread, fork
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.follower import services_with_model
from tests.support.in_process import Caller
from tests.support.obedient_model import ObedientModel, obedient_model

KEPT: Final = ("action", "experience", "intention")
ANN, BOB = Identity(), Identity()


async def forked_and_adopted(
    model: ObedientModel, folder: Path, copies: Path, patch: pytest.MonkeyPatch
) -> tuple[Data, Data, list[Path]]:
    """A fork whose branch two co-authors adopt: the thread, the fork, and the folder behind each commit."""
    kept: list[Path] = []
    async with services_with_model(model.url, folder, ModelPolicy()) as services:
        ann, bob = [await Caller(services).sign_in(each) for each in (ANN, BOB)]
        thread = await followed_thread(ann, bob)
        first = await asked(ann, thread, "What is a tide?")
        commit = services.journal.commit

        async def commit_and_keep(batch: Batch) -> Committed:
            committed = await commit(batch)
            kept.append(copies / str(len(kept)))
            shutil.copytree(folder, kept[-1])
            return committed

        patch.setattr(services.journal, "commit", commit_and_keep)
        change = {"kind": "step_text", "text": "When the sea comes and goes."}
        made = await fork(ann, thread, first, "intention", change)
        branch_id = {"branch_id": made["branch_id"], **thread}
        await bob.get("propose_adoption", **branch_id)
        await ann.get("vote_on_branch", decision="approve", **branch_id)
    return thread, made, kept


async def goes_on(services: Services, thread: Data, made: Data) -> None:
    """The branch comes to be adopted, once, by what is still to be done."""
    ann, bob = [await Caller(services).sign_in(each) for each in (ANN, BOB)]

    async def is_there() -> bool:
        shown = await ann.get("get_thread", **thread)
        return not shown["runs"]

    await eventually(is_there, "the fork's run ends")
    branch_id = {"branch_id": made["branch_id"], **thread}
    branch = await services.journal.branch_of_run(made["run_id"])
    assert branch is not None
    if branch.status == "ready":
        await bob.get("propose_adoption", **branch_id)
    if branch.status != "adopted":
        await ann.get("vote_on_branch", decision="approve", **branch_id)
    shown = await ann.get("get_thread", **thread)
    assert [each["status"] for each in shown["messages"]] == ["approved", "superseded", "approved"]
    assert shown["messages"][2]["forked_from"]["branch_id"] == made["branch_id"]
    assert await services.journal.verify() == ()


async def test_a_fork_goes_on_from_whatever_a_kill_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with obedient_model() as model:
        with monkeypatch.context() as patch:
            thread, made, kept = await forked_and_adopted(
                model, tmp_path / "whole", tmp_path / "kept", patch
            )
        # Behind the fork, a step of it, its answer, and the proposal; the last commit adopts.
        assert len(kept) > 5
        for folder in (kept[0], kept[len(kept) // 2], kept[-3], kept[-2]):
            model.asked.clear()
            async with services_with_model(model.url, folder, ModelPolicy()) as services:
                await goes_on(services, thread, made)
            assert not [each.step for each in model.asked if each.step in KEPT]
