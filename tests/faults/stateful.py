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
- what forks came to is what their votes say: of a branch nobody but the co-authors is sent anything, its
  answer is no message before it is adopted, and is one from then on, once;
- each prompt has at most one answer, of the run that is its own;
- nobody was sent a frame of a thread that they may not know of.
"""

import asyncio
from datetime import timedelta
from typing import Final

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.campaign import Campaign, scenario
from tests.faults.model import Message, Request, Thread
from tests.faults.modelled import Person, ServedAndModelled
from tests.faults.shown import answer_of, standing_answers
from tests.support.client import Identity, new_id
from tests.support.in_process import Caller

PEOPLE: Final = 4
HISTORIES: Final = 60
HISTORIES_IN_SHORT: Final = 10
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
FORKS: Final = (
    *["fork_run"] * 2,
    *["propose_adoption"] * 3,
    *["vote_on_branch"] * 4,
    "discard_branch",
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


class ServerAgainstModel(ServedAndModelled):
    """What people, and what disturbs them, do next."""

    # --- Rules -----------------------------------------------------------------------------------

    @initialize(
        voted=st.booleans(),
        forked=st.sampled_from(("", "proposed", "approve", "reject")),
    )
    def begin(self, *, voted: bool, forked: str) -> None:
        """The server starts, everybody signs in, and there are two threads to begin with: in the
        public one a prompt is answered, or has a branch that was decided on or waits for one vote, and a
        message waits for two votes, or for one."""
        self.do(self.open())
        for _ in range(PEOPLE):
            identity = Identity()
            caller = Caller(self.services)
            self.do(caller.sign_in(identity))
            self.people.append(Person(identity, caller, caller.token))
        self.create(0, public=True)
        self.come_or_go(0, 0, 1)
        self.answer_an_invitation(0, 0, "accept_invitation")
        self.submit(0, 0, PROMPTS[2])
        self.do(self.until_answered(self._thread(0)))
        if forked:
            self.fork_and_adopt(0, 0, "fork_run", "")
            self.fork_and_adopt(0, 0, "propose_adoption", "")
        if forked in {"approve", "reject"}:
            self.fork_and_adopt(1, 0, "vote_on_branch", forked)
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
        reply = self.send(person, "create_thread", name="New", visibility=visibility)
        assert reply["type"] == "accepted"
        thread_id = str(reply["data"]["thread_id"])
        self.model.open_thread(thread_id, person.key, name="New", public=public)
        self.touched.add(thread_id)

    @rule(who=ANYBODY, which=ANY_THREAD, prompt=st.sampled_from(PROMPTS))
    def submit(self, who: int, which: int, prompt: str) -> None:
        """A prompt; it runs, waits for approval, or is refused."""
        thread = self._thread(which)
        request = Request("submit_prompt", thread.id, prompt)
        self.request(self._person(who, thread), request, prompt=prompt)

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
        self.request(person, Request(type_, thread.id, message.id), message_id=message.id)

    @rule(who=ANYBODY, which=ANY_THREAD, guest=st.none() | st.integers(0, PEOPLE - 1))
    def come_or_go(self, who: int, which: int, guest: int | None) -> None:
        """Bring somebody in, or be a co-author no more."""
        thread = self._thread(which)
        person = self._person(who, thread)
        if guest is None:
            self.request(person, Request("leave_co_authorship", thread.id))
        else:
            key = self.people[guest].key
            self.request(person, Request("invite_co_author", thread.id, key), public_key=key)

    @rule(who=ANYBODY, which=ANY_THREAD, type_=st.sampled_from(ANSWERS))
    def answer_an_invitation(self, who: int, which: int, type_: str) -> None:
        """Mostly of who is invited, where somebody is; or take an invitation back."""
        thread = self._thread(which)
        asked = list(thread.invitations) or [each.key for each in self.people]
        key = asked[who % len(asked)]
        if type_ == "revoke_invitation":
            person = self._person(who, thread)
            self.request(person, Request(type_, thread.id, key), public_key=key)
        else:
            person = next(each for each in self.people if each.key == key)
            self.request(person, Request(type_, thread.id))

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
        self.request(person, Request(type_, thread.id, key, decision), **data)

    @rule(
        who=ANYBODY,
        which=ANY_THREAD,
        type_=st.sampled_from(FORKS),
        decision=st.sampled_from(("approve", "approve", "approve", "reject")),
    )
    def fork_and_adopt(self, who: int, which: int, type_: str, decision: str) -> None:
        """Fork a run that has its answer, or decide on what a fork came to; mostly by a co-author."""
        forked = [each for each in self.model.threads.values() if each.branches]
        among = forked if forked and type_ != "fork_run" else list(self.model.threads.values())
        thread = among[which % len(among)]
        shown = self.check_thread(thread)  # it says which branches are ready by now
        person = self._person(who, thread)
        if type_ == "fork_run":
            answered = [each["run_id"] for each in standing_answers(shown)]
            if answered:
                text = f"Otherwise {new_id()}."
                data = {"run_id": answered[which % len(answered)], "step": "yield"}
                change = {"kind": "step_text", "text": text}
                self.request(person, Request(type_, thread.id, text), change=change, **data)
            return
        branches = [
            each
            for each in thread.branches.values()
            if type_ != "propose_adoption" or each.status != "growing"
        ]
        if not branches:
            return
        branch = branches[who % len(branches)]
        if type_ != "vote_on_branch":
            self.request(person, Request(type_, thread.id, branch.id), branch_id=branch.id)
        else:
            vote = Request(type_, thread.id, branch.id, decision)
            self.request(person, vote, branch_id=branch.id, decision=decision)

    @rule(who=ANYBODY, which=ANY_THREAD, name=st.sampled_from(("A", "Bee", ARCHIVE)))
    def rename_or_archive(self, who: int, which: int, name: str) -> None:
        """Another name, or the end of the thread."""
        thread = self._thread(which)
        if name == ARCHIVE:
            self.request(self._person(who, thread), Request("archive_thread", thread.id))
        else:
            request = Request("rename_thread", thread.id, name)
            self.request(self._person(who, thread), request, name=name)

    @rule(who=ANYBODY, which=ANY_THREAD)
    def follow(self, who: int, which: int) -> None:
        """Read a thread, and follow it if that is allowed."""
        thread = self._thread(which)
        self.follow_thread(self._person(who, thread), thread.id, None)

    @precondition(lambda self: self.last is not None)
    @rule(late=st.booleans())
    def send_again(self, *, late: bool) -> None:
        """The last request once more, perhaps over a new connection."""
        assert self.last is not None
        person, request_id, type_, data, reply = self.last
        if late:
            self.drop_and_resume(person)
        again = self.do(person.caller.ask(type_, request_id=request_id, **data))
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
                self.drop_and_resume(self.people[who % PEOPLE])
            case "restart":
                self.restart()
                for person in self.people:
                    self.do(person.caller.resume(person.token))
                    self.follow_again(person)
            case _:
                self._let_days_pass()

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
        self.restart()
        for person in self.people:
            refused = self.do(person.caller.ask("resume", token=person.token))
            assert answer_of(refused) == "auth_failed"
            self.do(person.caller.sign_in(person.identity))
            person.token = person.caller.token
            person.follows = None
        self.model.let_deadlines_pass()
        self.touched |= set(self.model.threads)
        self.do(self.until_expired())
        self.last = None


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
