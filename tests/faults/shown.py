"""What a thread shows to its co-authors, held against its model: its runs, its branches, its answers."""

from typing import Any

from tests.faults.model import Thread
from tests.support.client import Frame
from tests.support.in_process import Caller


async def nothing_is_open(caller: Caller, thread: Thread) -> bool:
    """Whether no vote of a thread is open, of those that its model does not have open either."""
    shown = await caller.get("get_thread", thread_id=thread.id, limit=200)
    if shown["removals"] or {each["id"] for each in shown["branches"]} - thread.branches.keys():
        return False
    return all(each["status"] != "pending" for each in shown["messages"])


def standing_answers(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers of a thread that count."""
    return [
        each
        for each in shown["messages"]
        if each["role"] == "chorus" and each["status"] == "approved"
    ]


def check_branches(shown: dict[str, Any], events: list[dict[str, Any]], thread: Thread) -> None:
    """Open branches are the model's, the others ended as they had to, and the adopted are answers."""
    there = {each["id"]: each for each in shown["branches"]}
    assert there.keys() == thread.branches.keys()
    for branch_id, branch in thread.branches.items():
        if branch.status == "growing":
            branch.status = there[branch_id]["status"]
        assert there[branch_id]["status"] == branch.status
        assert there[branch_id]["electors"] == branch.electors
        assert {each["co_author"] for each in there[branch_id]["votes"]} == branch.agreed
    told: dict[str, list[str]] = {}
    for event in events:
        if event.get("branch") is not None:
            told.setdefault(event["branch"]["id"], []).append(event["kind"])
    assert told.keys() == {*thread.branches, *thread.ended}
    for branch_id, kinds in thread.ended.items():
        assert told[branch_id][-1] in kinds, f"{branch_id} ended by {told[branch_id]}, not {kinds}"
    adopted = [each for each in shown["messages"] if each.get("forked_from")]
    assert [(each["forked_from"]["branch_id"], each["content"]) for each in adopted] == [
        (each.id, each.text) for each in thread.adopted
    ]
    own = [each["run_id"] for each in shown["messages"] if each["role"] == "user"]
    standing = [each["run_id"] for each in standing_answers(shown)]
    assert len(set(standing)) == len(standing), "a run has two answers"
    assert set(standing) <= set(own), "a prompt has two answers"


def answer_of(reply: Frame) -> str:
    """A reply in the model's words."""
    return str(reply["data"]["code"] if reply["type"] == "error" else reply["type"])


def check_runs(entries: list[Frame], thread: Thread) -> None:
    """Each run is queued once, ends at most once, and no other runs before it ended."""
    running: str | None = None
    over: set[str] = set()
    queued: set[str] = set()
    for frame in entries:
        if frame["data"].get("kind") == "branch_ready":
            over.add(frame["data"]["branch"]["run_id"])
        if frame["type"] != "chorus_response":
            continue
        run_id, status = frame["data"]["run_id"], frame["data"]["status"]
        assert run_id not in over, f"a run that had ended went on: {frame}"
        if status == "queued":
            assert run_id not in queued
            queued.add(run_id)
            continue
        assert run_id in queued
        if status == "cancelled" and running != run_id:
            over.add(run_id)
            continue
        assert running in {None, run_id}, f"two runs of one thread at once: {frame}"
        running = run_id
        if status in {"finished", "failed", "cancelled"}:
            over.add(run_id)
            running = None
    assert len(queued) == thread.runs_begun
    assert not thread.archived or over == queued
