"""A server in this process beside its model: how it is asked, disturbed, and held against the model.

What happens, and in which order, is `stateful`'s to choose.
"""

import asyncio
import logging
import tempfile
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

from server.services import Services
from tests.faults.fuzz import Complaints
from tests.faults.model import Model, Request, Thread
from tests.faults.shown import (
    answer_of,
    check_branches,
    check_runs,
    nothing_is_open,
    standing_answers,
)
from tests.support.client import Frame, Identity, new_id
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Clock, open_test_services
from tests.support.lossy import Lossy

BEHIND_ALL: Final = 1_000_000
"""An index that no message has: a page of the past is not followed."""


@dataclass
class Person:
    """Somebody with one connection, or none."""

    identity: Identity
    caller: Caller
    token: str
    follows: str | None = None
    seq: int = 0
    """Of the last entry of the followed thread."""
    seen: int = 0
    """How many of the connection's frames were looked at."""
    knew: set[str] = field(default_factory=set)
    """Threads that they may read, or could before the last step."""
    inside: set[str] = field(default_factory=set)
    """Threads whose co-author they are, or were before the last step."""
    asked_into: set[str] = field(default_factory=set)
    """Threads that they are invited into, or were: that it ended is told within a second."""

    @property
    def key(self) -> str:
        return self.identity.public_key


class ServedAndModelled(RuleBasedStateMachine):
    """The server and its model, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="chorus-model-")
        self.clock = Clock()
        self.model = Model()
        self.complaints = Complaints()
        logging.getLogger().addHandler(self.complaints)
        self.last: tuple[Person, str, str, dict[str, Any], Frame] | None = None
        self.services: Services
        self.lossy: Lossy
        self.opened: AbstractAsyncContextManager[Services]
        self.people: list[Person] = []
        self.touched: set[str] = set()
        self.lookers: dict[str, Caller] = {}
        """Connections to look at threads with, by whose they are."""

    # --- Invariants ------------------------------------------------------------------------------

    @invariant()
    def nothing_was_complained_of(self) -> None:
        """What is caught and logged is a failure all the same."""
        assert not self.complaints.said, self.complaints.said[0]

    @invariant()
    def threads_are_those_of_the_model(self) -> None:
        """Those that the last step could have changed."""
        for thread_id in self.touched:
            self.check_thread(self.model.threads[thread_id])
        self.touched.clear()

    @invariant()
    def everybody_was_sent_what_is_theirs(self) -> None:
        """In order, without gap or repeat; nothing of what they may not know."""
        for person in self.people:
            readable = {
                each.id
                for each in self.model.threads.values()
                if each.may_read(person.key) or person.key in each.invitations
            }
            person.asked_into |= {
                each.id for each in self.model.threads.values() if person.key in each.invitations
            }
            inside = {
                each.id for each in self.model.threads.values() if person.key in each.co_authors
            }
            for frame in person.caller.line.frames[person.seen :]:
                self._check_frame(person, frame, readable | person.knew)
                self._check_branches_of(frame, inside | person.inside)
            person.inside = inside
            person.seen = len(person.caller.line.frames)
            person.knew = readable

    def teardown(self) -> None:
        """Every thread is looked at once more, and everything is closed."""
        try:
            if self.people:
                self.touched = set(self.model.threads)
                self.threads_are_those_of_the_model()
        finally:
            logging.getLogger().removeHandler(self.complaints)
            if self.people:
                self.do(self.opened.__aexit__(None, None, None))
            self.runner.close()
            self.folder.cleanup()

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    async def open(self) -> None:
        self.opened = open_test_services(
            Path(self.folder.name),
            environment=self.clock.environment(),
            moody=True,
            thread_queue=0,
            pending_per_user=0,
            pending_per_thread=0,
            invitation_days=3_650,
        )
        self.services = await self.opened.__aenter__()
        self.lossy = Lossy(self.services.journal, pytest.MonkeyPatch())

    def restart(self) -> None:
        for caller in (*self.lookers.values(), *(each.caller for each in self.people)):
            caller.drop()
        self.lookers.clear()
        self.everybody_was_sent_what_is_theirs()
        self.do(self.opened.__aexit__(None, None, None))
        self.do(self.open())
        for person in self.people:
            self.connect(person)

    def connect(self, person: Person) -> None:
        person.caller = Caller(self.services)
        person.seen = 0

    def drop_and_resume(self, person: Person) -> None:
        person.caller.drop()
        self.everybody_was_sent_what_is_theirs()
        self.connect(person)
        self.do(person.caller.resume(person.token))
        self.follow_again(person)

    def follow_again(self, person: Person) -> None:
        if person.follows is not None:
            self.follow_thread(person, person.follows, person.seq)

    def follow_thread(self, person: Person, thread_id: str, after_seq: int | None) -> None:
        self.everybody_was_sent_what_is_theirs()
        data: dict[str, Any] = {"thread_id": thread_id}
        if after_seq is not None:
            data["after_seq"] = after_seq
        reply = self.do(person.caller.ask("get_thread", **data))
        expected = self.model.answer(person.key, Request("get_thread", thread_id))
        assert answer_of(reply) == expected
        if reply["type"] == "thread_messages":
            person.follows = thread_id
            person.seq = reply["data"]["head_seq"] if after_seq is None else after_seq

    def send(self, person: Person, type_: str, **data: Any) -> Frame:
        request_id = new_id()
        reply: Frame = self.do(person.caller.ask(type_, request_id=request_id, **data))
        if answer_of(reply) == "storage_unavailable":
            # It asks again, as PROTOCOL says, and everybody is shown what nobody was told of.
            reply = self.do(person.caller.ask(type_, request_id=request_id, **data))
            self.do(self._until_shown(reply["data"]))
        self.last = (person, request_id, type_, data, reply)
        return reply

    async def _until_shown(self, accepted: dict[str, Any]) -> None:
        """Wait until those who follow a thread were shown what a request came to."""
        for person in self.people:
            if person.follows is not None and person.follows == accepted.get("thread_id"):
                await person.caller.line.until(
                    lambda frame: (
                        frame.get("seq") == accepted["seq"]
                        and frame.get("thread_id") == accepted["thread_id"]
                    ),
                    f"entry {accepted['seq']} of the thread {accepted['thread_id']}",
                )

    def request(self, person: Person, request: Request, **data: Any) -> Frame:
        """Send what the model is asked as well; both must say the same."""
        expected = self.model.answer(person.key, request)
        reply = self.send(person, request.type, thread_id=request.thread_id, **data)
        assert answer_of(reply) == expected, f"{request}: {reply['data']}"
        if expected == "accepted":
            told = reply["data"]
            self.model.carry_out(person.key, request, told.get("branch_id") or told["message_id"])
        self.touched.add(request.thread_id)
        return reply

    def _check_frame(self, person: Person, frame: Frame, known: set[str]) -> None:
        thread_id = frame.get("thread_id") or frame["data"].get("thread_id")
        if frame["re"] is not None:
            return
        if frame["type"] == "notice" and frame["data"]["kind"] == "invitation_ended":
            assert thread_id in person.asked_into, f"an invitation that was none of theirs: {frame}"
            return
        assert thread_id in known, f"a frame of a thread that is none of theirs: {frame}"
        if "seq" in frame:
            assert thread_id == person.follows, f"a frame of a thread not followed: {frame}"
            assert frame["seq"] == person.seq + 1, f"after entry {person.seq} came {frame}"
            person.seq = frame["seq"]

    def _check_branches_of(self, frame: Frame, inside: set[str]) -> None:
        """No branch, and no forked run, is shown to an outsider."""
        data = frame["data"]
        if data.get("branch") is not None or data.get("branch_id") is not None:
            assert (frame.get("thread_id") or data["thread_id"]) in inside, f"not theirs: {frame}"

    def check_thread(self, thread: Thread) -> dict[str, Any]:
        """Hold a thread against its model; gives the thread as it is shown to a co-author."""
        reader = next(each for each in self.people if each.key in thread.co_authors)
        looker = self.lookers.get(reader.key)
        if looker is None:
            looker = self.lookers[reader.key] = Caller(self.services)
            self.do(looker.sign_in(reader.identity))
        data = {"thread_id": thread.id}
        page = self.do(looker.get("get_events", after_seq=0, limit=1000, **data))
        shown = self.do(looker.get("get_thread", limit=200, **data))
        entries = page["entries"]
        assert [each["seq"] for each in entries] == list(range(1, page["head_seq"] + 1))
        events = [each["data"] for each in entries if each["type"] == "thread_event"]
        kinds = [each["kind"] for each in events if not each["kind"].startswith("branch_")]
        assert kinds == thread.kinds
        assert shown["thread"]["co_authors"] == thread.co_authors
        assert shown["thread"]["name"] == thread.name
        assert (shown["thread"]["status"] == "archived") is thread.archived
        assert {each["public_key"] for each in shown["removals"]} == set(thread.removals)
        assert {each["public_key"] for each in shown["invitations"]} == set(thread.invitations)
        assert [each["index"] for each in shown["messages"]] == list(range(len(shown["messages"])))
        people = {each["id"]: each["status"] for each in shown["messages"] if each["author"]}
        assert people == {each.id: each.status for each in thread.messages.values()}
        check_runs(entries, thread)
        check_branches(shown, events, thread)
        return dict(shown)

    async def until_answered(self, thread: Thread) -> None:
        caller = await Caller(self.services).sign_in(self.people[0].identity)

        async def is_answered() -> bool:
            shown = await caller.get("get_thread", thread_id=thread.id, before_index=BEHIND_ALL)
            return bool(standing_answers(shown))

        await eventually(is_answered, "the prompt is answered")
        caller.drop()

    async def until_expired(self) -> None:
        """Timers that are due fire by themselves after a start."""
        for thread in self.model.threads.values():
            caller = await Caller(self.services).sign_in(
                next(each.identity for each in self.people if each.key in thread.co_authors)
            )
            await eventually(
                partial(nothing_is_open, caller, thread), "whatever waited has expired"
            )
            caller.drop()
