"""Outsiders who may read a thread hear nothing of its forked runs and branches before one is adopted."""

import json
from pathlib import Path
from typing import Final

from machines.models.ids import BranchId, MessageId, PublicKey, RunId, ThreadId, thread_stream
from machines.models.outputs import StepEnum
from machines.models.thread import Visibility
from machines.models.wire.frames import ThreadEventKind
from server.llm.policy import ModelPolicy
from server.passing.messages import Piece
from server.runs.attempt_stream import AttemptStream
from server.threads.broadcast import Broadcast, Delta
from server.wire.presenter import OF_BRANCHES, LiveEntry
from server.wire.renderer import Renderer
from tests.server.threads.forking import (
    OTHER_MODEL,
    asked,
    co_author,
    followed_thread,
    fork,
    over,
    told,
)
from tests.support.client import Data, Frame
from tests.support.eventually import eventually
from tests.support.follower import services_with_model
from tests.support.in_process import Caller
from tests.support.journal_values import ANN, BEN, CAY, entry, uuid
from tests.support.journal_values import thread as thread_of
from tests.support.obedient_model import obedient_model

SECRET: Final = "what nobody outside may read"


async def test_an_outsider_reads_numbers_and_times_of_a_branch_and_its_answer_once_it_is_adopted(
    tmp_path: Path,
) -> None:
    async with (
        obedient_model() as model,
        services_with_model(model.url, tmp_path, ModelPolicy(), models=(OTHER_MODEL,)) as services,
    ):
        ann, bob, eve = [await co_author(services) for _ in range(3)]
        thread = await followed_thread(ann, bob, visibility="public")
        first = await asked(ann, thread, "What is written here?")
        shown = await eve.get("get_thread", **thread)
        eve.line.clear()

        prompt = {"kind": "prompt", "text": SECRET}
        gate = model.hold(SECRET, "yield", first=f"{SECRET}. ", rest="Done.")
        held = await ann.get(
            "fork_run", run_id=first["run_id"], step="update", change=prompt, **thread
        )
        await gate.reached.wait()
        await ann.line.until(
            lambda frame: frame["data"].get("status") == "delta", "what the branch writes"
        )
        behind = await eve.get("get_thread", **thread)
        assert (behind["runs"], behind.get("branches", [])) == ([], [])
        gate.opened.set()
        await over(ann, held["run_id"])
        given_up = await fork(
            ann, thread, first, "yield", {"kind": "step_text", "text": f"Or {SECRET}."}
        )
        branch_id = {"branch_id": given_up["branch_id"], **thread}
        await ann.get("propose_adoption", **branch_id)
        await bob.get("vote_on_branch", decision="reject", **branch_id)
        await refused(eve, thread, given_up, branch_id)

        live = eve.live(thread["thread_id"])
        events = await eve.get("get_events", after_seq=shown["head_seq"], **thread)
        assert SECRET not in json.dumps([eve.line.texts, events])
        for entries in (live, events["entries"]):
            assert [each["seq"] for each in entries] == list(
                range(shown["head_seq"] + 1, shown["head_seq"] + 1 + len(entries))
            )
            assert {each["data"].get("kind") for each in entries} == {"entry_withheld"}
            assert all(each["data"]["transitions"] == [] for each in entries)
        assert len(ann.live(thread["thread_id"])) > len(live) > 0

        branch_id = {"branch_id": held["branch_id"], **thread}
        await bob.get("propose_adoption", **branch_id)
        assert SECRET not in json.dumps(await bob.get("search", query=SECRET))
        await ann.get("vote_on_branch", decision="approve", **branch_id)
        adopted = await eve.line.until(told(eve, "branch_adopted"), "the adoption")
        assert adopted["data"]["message"]["content"].startswith(SECRET)
        assert adopted["data"].get("branch") is None
        named = (adopted["data"]["prompt_id"], adopted["data"]["run_id"])
        assert named == (first["message_id"], held["run_id"])
        assert adopted["data"]["message"]["forked_from"]["change"] == "prompt"

        async def is_found() -> bool:
            results = (await eve.get("search", query=SECRET))["results"]
            return adopted["data"]["message_id"] in {each["message_id"] for each in results}

        await eventually(is_found, "the memory holds what was adopted")
        assert await services.journal.verify() == ()


async def refused(eve: Caller, thread: Data, run: Data, branch_id: Data) -> None:
    """An outsider may do nothing with forks."""
    change = {"kind": "prompt", "text": "Mine?"}
    replies: list[Frame] = [
        await eve.ask("fork_run", run_id=run["run_id"], step="action", change=change, **thread),
        await eve.ask("propose_adoption", **branch_id),
        await eve.ask("vote_on_branch", decision="approve", **branch_id),
        await eve.ask("discard_branch", **branch_id),
        await eve.ask("compare_runs", run_id=run["run_id"], other_run_id=run["run_id"], **thread),
    ]
    assert [each["data"]["code"] for each in replies] == ["forbidden"] * len(replies)
    unknown = await eve.ask("explain_run", run_id=branch_id["branch_id"], **thread)
    forked = await eve.ask("explain_run", run_id=run["run_id"], **thread)
    assert forked["data"] == unknown["data"]
    assert forked["data"]["code"] == "not_found"


class Listener:
    """Somebody who follows a thread, and keeps what they are sent."""

    def __init__(self, public_key: PublicKey) -> None:
        self.public_key = public_key
        self.sink = self
        self.heard: list[str] = []

    def send(self, text: str) -> None:
        self.heard.append(text)

    def send_delta(self, delta: Delta) -> None:
        self.heard.append(delta.encoded)

    def lose_thread(self, thread_id: ThreadId) -> None:
        raise AssertionError(f"{thread_id} is public")

    def too_slow(self) -> None:
        raise AssertionError("it takes everything")


async def test_who_comes_by_an_earlier_reading_makes_nobody_an_insider_again() -> None:
    """The thread changed between the reading that somebody begins to follow it with, and their coming."""
    before = thread_of("shore", ANN, BEN, visibility=Visibility.PUBLIC)
    after = before.changed(co_authors=(ANN,), version=before.version + 1)
    hall = Broadcast()
    ann, ben, cay = map(Listener, (ANN, BEN, CAY))
    for each in (ann, ben):
        hall.follow(before.id, each)
        hall.go_live(before.id, each, before, 1)
    hall.follow(before.id, cay)
    kind = "co_author_left"
    left = entry(thread_stream(before.id), kind=kind, seq=2, data={"kind": kind, "public_key": BEN})
    hall.publish(after, [LiveEntry(left)])
    hall.go_live(before.id, cay, before, 1, 1)

    hall.publish_delta(before.id, Delta((), 0, SECRET, SECRET, for_co_authors=True))
    assert [SECRET in each.heard for each in (ann, ben, cay)] == [True, False, False]


async def test_what_a_forked_run_writes_and_thinks_is_sent_to_co_authors_alone() -> None:
    thread = thread_of("shore", ANN, visibility=Visibility.PUBLIC)
    hall = Broadcast()
    ann, cay = map(Listener, (ANN, CAY))
    for each in (ann, cay):
        hall.follow(thread.id, each)
        hall.go_live(thread.id, each, thread, 1)
    for branch_id in (None, BranchId(uuid("branch"))):
        piece = Piece(
            thread_id=thread.id,
            run_id=RunId(uuid(f"run of {branch_id}")),
            message_id=MessageId(uuid("prompt")),
            branch_id=branch_id,
            step=StepEnum.ACTION,
            iteration=1,
            attempt=1,
            thought=False,
            offset=0,
            text="",
        )
        stream = AttemptStream(piece, hall, Renderer())
        for gather in (stream.gather, stream.gather_thought):
            gather(f"{SECRET} {branch_id}")
        stream.flush()
        stream.close()
    heard = [
        [
            (frame["data"]["status"], frame["data"].get("branch_id"))
            for frame in map(json.loads, each.heard)
            if frame["type"] == "chorus_response"
        ]
        for each in (ann, cay)
    ]
    open_to_all = [("thinking", None), ("delta", None)]
    of_the_branch = [("thinking", uuid("branch")), ("delta", uuid("branch"))]
    assert heard == [open_to_all + of_the_branch, open_to_all]


def test_no_kind_of_branch_is_forgotten() -> None:
    """Each is withheld, but for the adoption."""
    kinds = {each.value for each in ThreadEventKind if each.value.startswith("branch_")}
    assert kinds - OF_BRANCHES == {"branch_adopted"}
