"""A stateful test of the whole server against `model.Model`: people, requests, drops, restarts, and
commits that are durable and raise.

Hypothesis chooses what happens next, and prints the history of what failed. After each step the
invariants of the protocol are held against what the server shows its people:

- every request got the answer of the model, and the same request sent again the same answer;
- a thread's entries are numbered 1, 2, 3 ..., and its events are those of the model, in order;
- its messages, their states, its co-authors, invitations, removals and its name are those of the
  model;
- of each run every step follows from the one before, it ends once, and one runs at a time;
- a follower has every entry once, in order, over drops and restarts of the server;
- nobody was sent a frame of a thread that they may not know of.
"""

import asyncio
import logging
import tempfile
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from server.services import Services
from tests.faults.campaign import Campaign, scenario
from tests.faults.fuzz import Complaints
from tests.faults.model import Message, Model, Request, Thread
from tests.support.client import Frame, Identity, new_id
from tests.support.eventually import eventually
from tests.support.in_process import Caller, Clock, open_test_services
from tests.support.lossy import Lossy

PEOPLE: Final = 4
HISTORIES: Final = 60
HISTORIES_IN_SHORT: Final = 12
STEPS: Final = 50
STEPS_IN_SHORT: Final = 30

PROMPTS: Final = ("HOLD this", "FAIL at this", "What is it?")
DECISIONS: Final = (*["approve_message"] * 4, "reject_message", "withdraw_message")
ANSWERS: Final = (
    "accept_invitation",
    "accept_invitation",
    "decline_invitation",
    "revoke_invitation",
)
REMOVALS: Final = (
    *["propose_removal"] * 3,
    *["vote_on_removal"] * 4,
    "withdraw_removal",
)
DISTURBANCES: Final = (*["drop"] * 3, *["lose an answer"] * 3, "restart", "days pass")
ARCHIVE: Final = "(archive)"
LONGER_THAN_AN_APPROVAL: Final = timedelta(days=8)

MOST_THREADS: Final = 5
LIKELY: Final = 9
ANYBODY: Final = st.integers(0, PEOPLE + 7)
"""One of the people, or, more likely, one of a thread's co-authors."""
ANY_THREAD: Final = st.integers(0, MOST_THREADS - 1)
ANY_MESSAGE: Final = st.integers(0, LIKELY)


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
    asked_into: set[str] = field(default_factory=set)
    """Threads that they are invited into, or were: that it ended is told within a second."""

    @property
    def key(self) -> str:
        return self.identity.public_key


class ServerAgainstModel(RuleBasedStateMachine):
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

    # --- Rules -----------------------------------------------------------------------------------

    @initialize(voted=st.booleans())
    def begin(self, *, voted: bool) -> None:
        """The server starts, everybody signs in, and there are two threads to begin with: in the
        public one a message waits for two votes, or for one."""
        self._do(self._open())
        for _ in range(PEOPLE):
            identity = Identity()
            caller = Caller(self.services)
            self._do(caller.sign_in(identity))
            self.people.append(Person(identity, caller, caller.token))
        self.create(0, public=True)
        self.come_or_go(0, 0, 1)
        self.submit(3, 0, PROMPTS[0])
        if voted:
            self.decide(0, 0, "approve_message")
        self.create(2, public=False)

    @precondition(lambda self: len(self.model.threads) < MOST_THREADS)
    @rule(who=st.integers(0, PEOPLE - 1), public=st.booleans())
    def create(self, who: int, *, public: bool) -> None:
        """A new thread."""
        person = self.people[who]
        visibility = "public" if public else "private"
        reply = self._send(person, "create_thread", name="New", visibility=visibility)
        assert reply["type"] == "accepted"
        thread_id = str(reply["data"]["thread_id"])
        self.model.open_thread(thread_id, person.key, name="New", public=public)
        self.touched.add(thread_id)

    @rule(who=ANYBODY, which=ANY_THREAD, prompt=st.sampled_from(PROMPTS))
    def submit(self, who: int, which: int, prompt: str) -> None:
        """A prompt; it runs, waits for approval, or is refused."""
        thread = self._thread(which)
        request = Request("submit_prompt", thread.id, prompt)
        self._request(self._person(who, thread), request, prompt=prompt)

    @rule(who=ANYBODY, which=ANY_MESSAGE, type_=st.sampled_from(DECISIONS))
    def decide(self, who: int, which: int, type_: str) -> None:
        """A vote of anybody, or that a message is taken back, mostly by who wrote it."""
        found = self._message(which)
        if found is None:
            return
        thread, message = found
        person = self._person(who, thread)
        if type_ == "withdraw_message" and who >= PEOPLE:
            person = next(each for each in self.people if each.key == message.author)
        self._request(person, Request(type_, thread.id, message.id), message_id=message.id)

    @rule(who=ANYBODY, which=ANY_THREAD, guest=st.none() | st.integers(0, PEOPLE - 1))
    def come_or_go(self, who: int, which: int, guest: int | None) -> None:
        """Bring somebody in, or be a co-author no more."""
        thread = self._thread(which)
        person = self._person(who, thread)
        if guest is None:
            self._request(person, Request("leave_co_authorship", thread.id))
        else:
            key = self.people[guest].key
            self._request(person, Request("invite_co_author", thread.id, key), public_key=key)

    @rule(who=ANYBODY, which=ANY_THREAD, type_=st.sampled_from(ANSWERS))
    def answer_an_invitation(self, who: int, which: int, type_: str) -> None:
        """Mostly of who is invited, where somebody is; or take an invitation back."""
        thread = self._thread(which)
        asked = list(thread.invitations) or [each.key for each in self.people]
        key = asked[who % len(asked)]
        if type_ == "revoke_invitation":
            person = self._person(who, thread)
            self._request(person, Request(type_, thread.id, key), public_key=key)
        else:
            person = next(each for each in self.people if each.key == key)
            self._request(person, Request(type_, thread.id))

    @rule(
        who=ANYBODY,
        which=ANY_THREAD,
        type_=st.sampled_from(REMOVALS),
        decision=st.sampled_from(("remove", "remove", "keep")),
    )
    def let_go(self, who: int, which: int, type_: str, decision: str) -> None:
        """Propose that a co-author be removed, or decide on the one who is named; mostly by one of
        the others."""
        thread = self._thread(which)
        named = list(thread.removals) if type_ != "propose_removal" else thread.co_authors
        key = (named or [each.key for each in self.people])[which % max(len(named), 1)]
        person = self._person(who, thread)
        data = {"public_key": key}
        if type_ == "vote_on_removal":
            data["decision"] = decision
        else:
            decision = ""
        self._request(person, Request(type_, thread.id, key, decision), **data)

    @rule(who=ANYBODY, which=ANY_THREAD, name=st.sampled_from(("A", "Bee", ARCHIVE)))
    def rename_or_archive(self, who: int, which: int, name: str) -> None:
        """Another name, or the end of the thread."""
        thread = self._thread(which)
        if name == ARCHIVE:
            self._request(self._person(who, thread), Request("archive_thread", thread.id))
        else:
            request = Request("rename_thread", thread.id, name)
            self._request(self._person(who, thread), request, name=name)

    @rule(who=ANYBODY, which=ANY_THREAD)
    def follow(self, who: int, which: int) -> None:
        """Read a thread, and follow it if that is allowed."""
        thread = self._thread(which)
        self._follow(self._person(who, thread), thread.id, None)

    @precondition(lambda self: self.last is not None)
    @rule(late=st.booleans())
    def send_again(self, *, late: bool) -> None:
        """The last request once more, perhaps over a new connection."""
        assert self.last is not None
        person, request_id, type_, data, reply = self.last
        if late:
            self._drop_and_resume(person)
        again = self._do(person.caller.ask(type_, request_id=request_id, **data))
        thread = self.model.threads.get(data.get("thread_id", ""))
        lost = thread is not None and not thread.may_read(person.key)
        if lost and type_ not in {"leave_co_authorship", "decline_invitation"}:
            assert answer_of(again) == "not_found"
        else:
            assert again == reply

    @rule(what=st.sampled_from(DISTURBANCES), who=ANYBODY)
    def disturb(self, what: str, who: int) -> None:
        """A connection is cut, the server ends and starts again, or it stands still for a week; or
        of the next commit in a thread nobody is told that it is durable."""
        match what:
            case "lose an answer":
                self.lossy.silenced = 1
            case "drop":
                self._drop_and_resume(self.people[who % PEOPLE])
            case "restart":
                self._restart()
                for person in self.people:
                    self._do(person.caller.resume(person.token))
                    self._follow_again(person)
            case _:
                self._let_days_pass()

    # --- Invariants ------------------------------------------------------------------------------

    @invariant()
    def nothing_was_complained_of(self) -> None:
        """What is caught and logged is a failure all the same."""
        assert not self.complaints.said, self.complaints.said[0]

    @invariant()
    def threads_are_those_of_the_model(self) -> None:
        """Those that the last step could have changed."""
        for thread_id in self.touched:
            self._check_thread(self.model.threads[thread_id])
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
            for frame in person.caller.line.frames[person.seen :]:
                self._check_frame(person, frame, readable | person.knew)
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
                self._do(self.opened.__aexit__(None, None, None))
            self.runner.close()
            self.folder.cleanup()

    # --- Inside ----------------------------------------------------------------------------------

    def _thread(self, which: int) -> Thread:
        threads = list(self.model.threads.values())
        return threads[which % len(threads)]

    def _person(self, who: int, thread: Thread) -> Person:
        """One of all, or, past their number, a co-author of the thread."""
        if who < PEOPLE:
            return self.people[who]
        key = thread.co_authors[who % len(thread.co_authors)]
        return next(each for each in self.people if each.key == key)

    def _message(self, which: int) -> tuple[Thread, Message] | None:
        """A message with its thread, one that waits where there is one."""
        found = [
            (thread, message)
            for thread in self.model.threads.values()
            for message in thread.messages.values()
        ]
        pending = [each for each in found if each[1].status == "pending"]
        among = pending if pending and which < LIKELY else found
        return among[which % len(among)] if among else None

    def _let_days_pass(self) -> None:
        self.clock.ahead += LONGER_THAN_AN_APPROVAL
        self._restart()
        for person in self.people:
            refused = self._do(person.caller.ask("resume", token=person.token))
            assert answer_of(refused) == "auth_failed"
            self._do(person.caller.sign_in(person.identity))
            person.token = person.caller.token
            person.follows = None
        self.model.let_deadlines_pass()
        self.touched |= set(self.model.threads)
        self._do(self._until_expired())
        self.last = None

    def _do(self, work: Any) -> Any:
        return self.runner.run(work)

    async def _open(self) -> None:
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

    def _restart(self) -> None:
        for caller in (*self.lookers.values(), *(each.caller for each in self.people)):
            caller.drop()
        self.lookers.clear()
        self.everybody_was_sent_what_is_theirs()
        self._do(self.opened.__aexit__(None, None, None))
        self._do(self._open())
        for person in self.people:
            self._connect(person)

    def _connect(self, person: Person) -> None:
        person.caller = Caller(self.services)
        person.seen = 0

    def _drop_and_resume(self, person: Person) -> None:
        person.caller.drop()
        self.everybody_was_sent_what_is_theirs()
        self._connect(person)
        self._do(person.caller.resume(person.token))
        self._follow_again(person)

    def _follow_again(self, person: Person) -> None:
        if person.follows is not None:
            self._follow(person, person.follows, person.seq)

    def _follow(self, person: Person, thread_id: str, after_seq: int | None) -> None:
        self.everybody_was_sent_what_is_theirs()
        data: dict[str, Any] = {"thread_id": thread_id}
        if after_seq is not None:
            data["after_seq"] = after_seq
        reply = self._do(person.caller.ask("get_thread", **data))
        expected = self.model.answer(person.key, Request("get_thread", thread_id))
        assert answer_of(reply) == expected
        if reply["type"] == "thread_messages":
            person.follows = thread_id
            person.seq = reply["data"]["head_seq"] if after_seq is None else after_seq

    def _send(self, person: Person, type_: str, **data: Any) -> Frame:
        request_id = new_id()
        reply: Frame = self._do(person.caller.ask(type_, request_id=request_id, **data))
        if answer_of(reply) == "storage_unavailable":
            # It asks again, as PROTOCOL says, and everybody is shown what nobody was told of.
            reply = self._do(person.caller.ask(type_, request_id=request_id, **data))
            self._do(self._until_shown(reply["data"]))
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

    def _request(self, person: Person, request: Request, **data: Any) -> Frame:
        """Send what the model is asked as well; both must say the same."""
        expected = self.model.answer(person.key, request)
        reply = self._send(person, request.type, thread_id=request.thread_id, **data)
        assert answer_of(reply) == expected, f"{request}: {reply['data']}"
        if expected == "accepted":
            self.model.carry_out(person.key, request, reply["data"]["message_id"])
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

    def _check_thread(self, thread: Thread) -> None:
        reader = next(each for each in self.people if each.key in thread.co_authors)
        looker = self.lookers.get(reader.key)
        if looker is None:
            looker = self.lookers[reader.key] = Caller(self.services)
            self._do(looker.sign_in(reader.identity))
        data = {"thread_id": thread.id}
        page = self._do(looker.get("get_events", after_seq=0, limit=1000, **data))
        shown = self._do(looker.get("get_thread", limit=200, **data))
        entries = page["entries"]
        assert [each["seq"] for each in entries] == list(range(1, page["head_seq"] + 1))
        kinds = [each["data"]["kind"] for each in entries if each["type"] == "thread_event"]
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

    async def _until_expired(self) -> None:
        """Timers that are due fire by themselves after a start."""
        for thread in self.model.threads.values():
            caller = await Caller(self.services).sign_in(
                next(each.identity for each in self.people if each.key in thread.co_authors)
            )
            await eventually(
                partial(_nothing_is_pending, caller, thread.id), "whatever waited has expired"
            )
            caller.drop()


async def _nothing_is_pending(caller: Caller, thread_id: str) -> bool:
    shown = await caller.get("get_thread", thread_id=thread_id, limit=200)
    return not shown["removals"] and all(each["status"] != "pending" for each in shown["messages"])


def answer_of(reply: Frame) -> str:
    """A reply in the model's words."""
    return str(reply["data"]["code"] if reply["type"] == "error" else reply["type"])


def check_runs(entries: list[Frame], thread: Thread) -> None:
    """Each run is queued once, ends at most once, and no other runs before it ended."""
    running: str | None = None
    over: set[str] = set()
    queued: set[str] = set()
    for frame in entries:
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


def try_histories(*, histories: int, steps: int) -> None:
    """Let hypothesis try so many histories of at most so many steps."""
    run_state_machine_as_test(
        ServerAgainstModel,
        settings=hypothesis.settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            # A history takes a second, so shrinking one would take minutes: it is printed as it was.
            phases=(hypothesis.Phase.generate,),
            database=None,  # a failure is printed with its history, and with the campaign's seed
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
        ),
    )


@scenario("model")
async def histories(campaign: Campaign) -> None:
    """The stateful test with the campaign's seed; in a thread, since it runs loops of its own."""
    count = HISTORIES_IN_SHORT if campaign.short else HISTORIES
    steps = STEPS_IN_SHORT if campaign.short else STEPS
    hypothesis.seed(campaign.random.getrandbits(32))(ServerAgainstModel)
    await asyncio.to_thread(try_histories, histories=count, steps=steps)
    campaign.injected("a history of drops and restarts, held against the model", count)
