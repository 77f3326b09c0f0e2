"""What tests of forks do again and again: a finished run in a thread, and forks of it."""

from collections.abc import Callable
from typing import Any, Final

from server.services import Services
from tests.support.client import Data, Frame, Identity
from tests.support.in_process import Caller

OTHER_MODEL: Final = "scripted-2"

_OVER: Final = {"finished", "failed", "cancelled"}


async def co_author(services: Services) -> Caller:
    """Somebody who is signed in."""
    return await Caller(services).sign_in(Identity())


async def followed_thread(owner: Caller, *others: Caller, visibility: str = "private") -> Data:
    """A thread of these co-authors, who follow it."""
    made = await owner.get("create_thread", name="Forks", visibility=visibility)
    thread = {"thread_id": made["thread_id"]}
    for guest in others:
        await owner.bring_in(guest, thread["thread_id"])
    for each in (owner, *others):
        await each.get("get_thread", **thread)
    return thread


async def asked(caller: Caller, thread: Data, prompt: str) -> Data:
    """The reply to a prompt whose run is over."""
    reply = await caller.get("submit_prompt", prompt=prompt, **thread)
    await over(caller, reply["run_id"])
    return reply


async def over(caller: Caller, run_id: str) -> Frame:
    """The frame that ends a run, or its branch's growth."""

    def ends(frame: Frame) -> bool:
        data = frame["data"]
        if data.get("kind") in {"branch_ready", "branch_failed"}:
            return bool(data["branch"]["run_id"] == run_id)
        return data.get("run_id") == run_id and data.get("status") in _OVER

    return await caller.line.until(ends, f"the end of run {run_id}")


async def fork(
    caller: Caller, thread: Data, run: Data, step: str, change: Data, **more: Any
) -> Data:
    """The reply to a fork whose answer is there."""
    reply = await caller.get(
        "fork_run", run_id=run["run_id"], step=step, change=change, **thread, **more
    )
    await over(caller, reply["run_id"])
    return reply


def told(caller: Caller, kind: str) -> Callable[[Frame], bool]:
    """Whether a frame is a thread_event of this kind."""
    return lambda frame: frame["type"] == "thread_event" and frame["data"]["kind"] == kind


def written_by(run_id: str) -> Callable[[Frame], bool]:
    """Whether a frame has text that a run is writing."""
    return lambda frame: (
        frame["data"].get("status") == "delta" and frame["data"]["run_id"] == run_id
    )


async def steps_of(caller: Caller, thread: Data, run_id: str) -> list[Data]:
    """A run's steps, as its co-authors read them."""
    compared = await caller.get("compare_runs", run_id=run_id, other_run_id=run_id, **thread)
    return list(compared["one"]["steps"])
