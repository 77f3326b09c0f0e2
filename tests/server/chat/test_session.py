"""Every verb of the chat against a real server: what it brings about, what it shows, what it refuses."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from rich.console import Console, RenderableType

from server.chat.client import ChorusClient
from server.chat.errors import BadInput, RefusedByServer
from server.chat.frames import AcceptedReply, ChatMessage
from server.chat.keyfile import load_or_create
from server.chat.runs import ChatRunStatus
from server.chat.session import ChatSession
from server.chat.signin import parse_url
from server.chat.verbs import parse
from server.chat.view import ChatState
from tests.support.eventually import PATIENCE, eventually
from tests.support.in_process import UNLIMITED
from tests.support.obedient_model import ObedientModel, answer_to
from tests.support.served import ServerProcess

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.settings(**UNLIMITED)]


ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")


class Chat:
    """What one user types, and what comes of it; a terminal without its screen."""

    def __init__(self, client: ChorusClient) -> None:
        self.key = client.public_key
        self.client = client
        self._page = StringIO()
        self._console = Console(file=self._page, width=120)
        self.session = ChatSession(client, show=self._show)

    def _show(self, shown: RenderableType) -> None:
        self._console.print(shown)

    @property
    def state(self) -> ChatState:
        return self.session.state

    @property
    def thread_id(self) -> str:
        assert self.state.thread is not None, "no thread is open"
        return self.state.thread.id

    async def read(self) -> None:
        async for event in self.client.events():
            self.session.take(event)

    async def type(self, line: str) -> AcceptedReply | None:
        command = parse(line)
        assert command is not None
        async with asyncio.timeout(PATIENCE):
            return await self.session.do(command)

    async def refused(self, line: str) -> str:
        """Why a line is not carried out."""
        with pytest.raises((BadInput, RefusedByServer)) as refusal:
            await self.type(line)
        return str(refusal.value)

    def shown(self) -> str:
        """What was shown since the last look."""
        text = self._page.getvalue()
        self._page.seek(0)
        self._page.truncate()
        return text

    async def until(self, condition: Callable[[ChatState], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self.session.until(condition)
        except TimeoutError:
            pytest.fail(f"the chat never told {what}; it stands at {self.state}")

    async def message(self, content: str, status: str = "approved") -> ChatMessage:
        """A message of the open thread, once it has this status."""

        def found(state: ChatState) -> list[ChatMessage]:
            return [
                each for each in state.messages if each.content == content and each.status == status
            ]

        await self.until(lambda state: bool(found(state)), f"that {content!r} is {status}")
        return found(self.state)[0]

    async def no_message_waits(self) -> None:
        await self.until(lambda state: not state.pending, "that no message waits")

    async def run_is(self, run_id: str | None, status: ChatRunStatus) -> None:
        def reached(state: ChatState) -> bool:
            run = state.run(run_id or "")
            return run is not None and run.status is status

        await self.until(reached, f"that run {run_id} is {status}")


@asynccontextmanager
async def chatting(url: str, folder: Path) -> AsyncIterator[Chat]:
    identity = load_or_create(folder / f"key-{uuid4()}")
    client = ChorusClient(parse_url(url), identity, new_id=lambda: str(uuid4()), jitter=lambda: 0.5)
    async with client:
        chat = Chat(client)
        reading = asyncio.create_task(chat.read())
        try:
            yield chat
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="module")
async def alice(server: ServerProcess, tmp_path: Path) -> AsyncIterator[Chat]:
    async with chatting(server.url, tmp_path) as chat:
        yield chat


@pytest_asyncio.fixture(loop_scope="module")
async def bob(server: ServerProcess, tmp_path: Path) -> AsyncIterator[Chat]:
    async with chatting(server.url, tmp_path) as chat:
        yield chat


@pytest_asyncio.fixture(loop_scope="module")
async def carol(server: ServerProcess, tmp_path: Path) -> AsyncIterator[Chat]:
    async with chatting(server.url, tmp_path) as chat:
        yield chat


# --- Prompts and runs ----------------------------------------------------------------------------


async def test_a_prompt_where_no_thread_is_open_begins_a_private_one_named_after_it(
    alice: Chat,
) -> None:
    prompt = "Why is the sky red at dusk?"
    await alice.type(prompt)
    assert alice.state.thread is not None
    assert (alice.state.thread.name, alice.state.thread.visibility) == (prompt, "private")
    await alice.message(answer_to(prompt))


async def test_a_run_is_stopped_and_run_again(alice: Chat, model: ObedientModel) -> None:
    assert await alice.refused("/stop") == (
        "No thread is open; /threads lists yours, /new NAME starts one."
    )
    await alice.type("/new Stops")
    assert await alice.refused("/stop") == "Nothing is running here."
    assert await alice.refused("/retry") == "No run that failed or was cancelled is known here."
    prompt = "Stop me once."
    gate = model.hold(prompt, "action")
    accepted = await alice.type(prompt)
    assert accepted is not None
    await asyncio.wait_for(gate.reached.wait(), PATIENCE)
    await alice.run_is(accepted.run_id, ChatRunStatus.RUNNING)
    await alice.type("/stop")
    await alice.run_is(accepted.run_id, ChatRunStatus.CANCELLED)
    again = await alice.type("/retry")
    assert again is not None
    assert again.run_id != accepted.run_id
    await alice.run_is(again.run_id, ChatRunStatus.FINISHED)
    await alice.message(answer_to(prompt))


async def test_a_run_that_was_stopped_is_not_run_again_once_its_fork_has_answered(
    alice: Chat, model: ObedientModel
) -> None:
    await alice.type("/new Ways")
    prompt = "Stop me, and fork me."
    gate = model.hold(prompt, "experience")
    stopped = await alice.type(prompt)
    assert stopped is not None
    await asyncio.wait_for(gate.reached.wait(), PATIENCE)
    await alice.type("/stop")
    await alice.run_is(stopped.run_id, ChatRunStatus.CANCELLED)
    forked = await alice.type("/fork action text It went on.")
    assert forked is not None
    await alice.run_is(forked.run_id, ChatRunStatus.READY)
    assert (await alice.message(prompt)).run_id == stopped.run_id, "it is no answer yet"
    await alice.type("/adopt")
    await alice.until(lambda state: state.branches == (), "the adoption")
    assert await alice.refused("/retry") == "No run that failed or was cancelled is known here."
    again = await alice.type("/fork #0 yield text Further still.")
    assert again is not None
    await alice.run_is(again.run_id, ChatRunStatus.READY)
    assert alice.state.branches[0].origin_run_id == forked.run_id


async def test_why_a_run_did_what_it_did_is_told(alice: Chat) -> None:
    assert "No thread is open" in await alice.refused("/why")
    await alice.type("/new Reasons")
    assert await alice.refused("/why") == "There is no run of this thread here."
    prompt = "Why me?"
    accepted = await alice.type(prompt)
    assert accepted is not None
    await alice.run_is(accepted.run_id, ChatRunStatus.FINISHED)
    asked = await alice.message(prompt)
    for line in ("/why", f"/why #{asked.index}", f"/why {accepted.run_id}"):
        await alice.type(line)
        shown = alice.shown()
        assert "thread_is_free true  No other run of the thread is under way." in shown
        assert re.search(r"AICall brought step_completed \(\d+\) after", shown)
    assert await alice.refused("/why #99") == "There is no run of message #99 here."
    assert "neither #N nor an id" in await alice.refused("/why not")
    assert "There is nothing of this id in the thread" in await alice.refused(f"/why {uuid4()}")


async def test_the_thread_is_shown_as_it_was_and_only_read(alice: Chat) -> None:
    assert "No thread is open" in await alice.refused("/at 1")
    prompt = "What was it before?"
    accepted = await alice.type(prompt)
    assert accepted is not None
    await alice.run_is(accepted.run_id, ChatRunStatus.FINISHED)
    await alice.message(answer_to(prompt))
    alice.shown()
    await alice.type("/at 2")
    shown = alice.shown()
    assert "As it was after entry 2 of" in shown
    assert prompt in shown
    assert answer_to(prompt) not in shown
    await alice.type("/at 4")
    assert "A run is at action." in alice.shown()
    refused = "This is the past, which is only read; /now goes back."
    for line in ("Say it", "/rename It", "/leave yes", "/stop"):
        assert await alice.refused(line) == refused
    await alice.type("/why")
    await alice.type("/now")
    assert answer_to(prompt) in alice.shown()
    await alice.type("/at 2100-01-01")
    assert answer_to(prompt) in alice.shown()
    for asked, sentence in (
        ("0", "0 is before the beginning of the thread."),
        ("2001-01-01T00:00:00Z", "is before the beginning of the thread."),
        ("9999", "9999 is beyond the end of the thread"),
        ("then", "then is neither the number of an entry nor a time"),
    ):
        assert sentence in await alice.refused(f"/at {asked}")
    await alice.type("/now")
    await alice.type("And after?")
    await alice.message(answer_to("And after?"))


async def test_the_last_prompt_is_written_anew(alice: Chat, model: ObedientModel) -> None:
    assert "No thread is open" in await alice.refused("/edit Better.")
    await alice.type("/new Edits")
    assert await alice.refused("/edit Better.") == "No prompt of yours is known here."
    gate = model.hold("What do rivres do?", "action")
    first = await alice.type("What do rivres do?")
    assert first is not None
    await asyncio.wait_for(gate.reached.wait(), PATIENCE)
    second = await alice.type("/edit What do rivers do?")
    assert second is not None
    await alice.run_is(first.run_id, ChatRunStatus.CANCELLED)
    await alice.run_is(second.run_id, ChatRunStatus.FINISHED)
    await alice.message("What do rivres do?", "superseded")
    await alice.message(answer_to("What do rivers do?"))
    assert await alice.refused("/retry") == "No run that failed or was cancelled is known here."


async def test_a_run_is_forked_compared_and_its_branch_adopted_by_vote(
    alice: Chat, bob: Chat
) -> None:
    await alice.type("/new Forks")
    assert "No branch of this thread is open" in await alice.refused("/adopt")
    prompt = "What is a fork?"
    first = await alice.type(prompt)
    assert first is not None
    await alice.run_is(first.run_id, ChatRunStatus.FINISHED)
    await alice.type(f"/invite {bob.key}")
    await bob.type("/accept")
    await bob.type("/open Forks")
    assert "has not completed" in await alice.refused("/fork update.7 text More.")
    forked = await alice.type("/fork yield text A fork is a way that parts.")
    assert forked is not None
    await alice.run_is(forked.run_id, ChatRunStatus.READY)
    alice.shown()
    await alice.type("/branches")
    assert "another text, from yield" in alice.shown()
    await alice.type("/fork branch 1 experience text A fork is a tool.")  # of a step that it kept
    await alice.until(lambda state: len(state.branches) == 2, "the fork of the branch")
    assert alice.state.branches[1].origin_run_id == forked.run_id
    await alice.type("/discard 2")
    await alice.until(lambda state: len(state.branches) == 1, "its end")
    alice.shown()
    await alice.type("/compare")
    assert "{+A fork is a way that parts.+}" in alice.shown()
    await alice.type("/adopt 1")
    await bob.until(
        lambda state: [each.status for each in state.branches] == ["proposed"], "the proposal"
    )
    await bob.type("/inbox")
    assert "proposes another answer" in bob.shown()
    await bob.type("/adopt")
    await alice.message("A fork is a way that parts.")
    await alice.message(answer_to(prompt), "superseded")
    assert alice.state.branches == ()
    for chat in (alice, bob):
        await chat.message(answer_to(prompt), "superseded")
        assert (await chat.message(prompt)).run_id == forked.run_id
    again = await alice.type("/fork #0 yield text Or a spoon.")
    assert again is not None
    await bob.until(lambda state: len(state.branches) == 1, "the branch")
    assert bob.state.branches[0].origin_run_id == forked.run_id
    assert "maker asks" in await bob.refused("/discard")
    await alice.type("/adopt")
    await bob.type("/refuse")
    await alice.until(lambda state: state.branches == (), "the refusal")


# --- Threads -------------------------------------------------------------------------------------


async def test_threads_are_made_listed_closed_and_opened(alice: Chat, bob: Chat) -> None:
    await alice.type("/new Morning tea public")
    morning = alice.thread_id
    await alice.type("/new Evening")
    evening = alice.thread_id
    await alice.type("/rename Night")
    await alice.until(
        lambda state: state.thread is not None and state.thread.name == "Night", "the new name"
    )
    await alice.type("/threads")
    listed = alice.shown()
    assert "Morning tea" in listed
    assert "Night" in listed
    await alice.type("/close")
    assert alice.state.thread is None
    assert "No thread is open" in await alice.refused("/rename Noon")
    await alice.type("/open 2")
    other = alice.thread_id
    await alice.type("/open 1")
    assert {alice.thread_id, other} == {morning, evening}
    assert await alice.refused("/open 9") == "The last list has no thread 9; /threads shows it."
    await alice.type(f"/open {morning[:13]}")
    assert alice.thread_id == morning
    assert await alice.refused(f"/open {uuid4()}")
    await alice.type("/open NIGHT")
    assert alice.thread_id == evening
    await alice.type("/open orni")
    assert alice.thread_id == morning
    assert await alice.refused("/open n") == "Several threads are called n; /threads numbers them."
    assert "No thread of yours is called Dusk;" in await alice.refused("/open Dusk")
    assert alice.thread_id == morning, "what could not be opened leaves the open thread as it was"
    await bob.type("/public")
    public = bob.shown()
    assert "Morning tea" in public
    assert "Night" not in public


async def test_a_thread_is_given_instructions_and_a_model(alice: Chat) -> None:
    assert "No thread is open" in await alice.refused("/instructions Be brief.")
    await alice.type("/new House style")
    await alice.type("/instructions")
    assert "no instructions" in alice.shown()
    await alice.type("/instructions Answer in one sentence.")
    await alice.until(
        lambda state: state.thread is not None and bool(state.thread.instructions),
        "the instructions",
    )
    await alice.type("/instructions")
    assert "Answer in one sentence." in alice.shown()
    await alice.type("/model")
    assert "the server's own" in alice.shown()
    assert "no model that may be chosen" in await alice.refused("/model gpt-elsewhere")
    await alice.type("/model scripted-1")
    await alice.until(
        lambda state: state.thread is not None and state.thread.model == "scripted-1", "the model"
    )
    assert alice.state.thread is not None
    assert alice.state.thread.instructions == "Answer in one sentence."
    await alice.type("/instructions none")
    await alice.type("/model default")
    await alice.until(
        lambda state: (
            state.thread is not None
            and (state.thread.instructions, state.thread.model) == ("", None)
        ),
        "that both are gone",
    )


async def test_who_is_invited_is_shown_by_whom_and_joins_or_stays_outside(
    alice: Chat, bob: Chat
) -> None:
    await alice.type("/name Alice")
    await alice.type("/new Shared")
    await bob.type("/invitations")
    assert "no thread" in bob.shown()
    assert "/invitations" in await bob.refused("/accept")
    for answer in ("/decline", "/decline 1"):
        await alice.type(f"/invite {bob.key}")
        await bob.type("/invitations")
        shown = bob.shown()
        assert "Shared" in shown
        assert "from Alice" in shown
        await bob.type(answer)
    await alice.type(f"/invite {bob.key}")
    await alice.type(f"/revoke {bob.key}")
    assert "/invitations" in await bob.refused("/accept")
    await alice.type(f"/invite {bob.key}")
    await bob.type("/accept")
    assert bob.thread_id == alice.thread_id
    assert bob.state.thread is not None
    assert bob.state.thread.co_authors == (alice.key, bob.key)


async def test_the_inbox_is_shown_and_opened_by_number_and_what_it_told_is_read_then(
    alice: Chat, bob: Chat
) -> None:
    await alice.type("/inbox")
    assert "Nothing waits for you." in alice.shown()
    await bob.type("/name Robert Inbox")
    await alice.type("/name Alice Inbox")
    await alice.type("/new Council")
    council = alice.thread_id
    await alice.type(f"/invite {bob.key}")
    await bob.type("/inbox")
    assert re.search("1 +Alice Inbox invites you +Council", bob.shown())
    await bob.type("/accept")
    await bob.type("/close")
    await alice.type("What of it, @robert inbox?")
    await bob.type("/inbox")
    assert re.search("1 +Alice Inbox mentions you +Council +What of it", bob.shown())
    assert (await bob.client.inbox()).count == 1
    await bob.type("/open 1")
    assert bob.thread_id == council
    assert (await bob.client.inbox()).count == 0
    assert await bob.type("/close") is None
    await bob.type("/inbox")
    await bob.type("/open 1")
    assert bob.thread_id == council, "what was read is opened as well"


async def test_a_link_is_made_listed_taken_back_and_joined_by_its_address(
    alice: Chat, bob: Chat
) -> None:
    await alice.type("/name Alice")
    await alice.type("/new Shared")
    assert "[HOURS]" in await alice.refused("/link soon")
    await alice.type("/link 2")
    (address,) = re.findall(r"http://\S+", alice.shown())
    await alice.until(lambda state: len(state.links) == 1, "that the link is open")
    await alice.type("/links")
    assert "made by you" in alice.shown()
    assert "/links" in await alice.refused("/revoke 2")
    await alice.type("/revoke 1")
    await alice.until(lambda state: not state.links, "that it is open no more")
    assert "leads nowhere" in await bob.refused(f"/accept {address}")
    await alice.type("/link")
    (address,) = re.findall(r"http://\S+", alice.shown())
    await bob.type(f"/accept {address}")
    assert "Alice invites you into Shared" in bob.shown()
    assert bob.thread_id == alice.thread_id
    await alice.until(lambda state: not state.links, "that it was used")
    await alice.type("/links")
    assert "No link" in alice.shown()


async def test_lists_and_results_are_opened_by_number_and_show_no_ids(alice: Chat) -> None:
    told = "Herons stand at the weir at dawn."
    await alice.type("/new Herons")
    herons = alice.thread_id
    await alice.type(told)
    await alice.message(answer_to(told))
    await alice.type("/new Gulls")
    await alice.type("/threads")
    assert not ID.search(alice.shown())

    seen: list[str] = []

    async def is_found() -> bool:
        await alice.type("/search herons at the weir")
        seen.append(alice.shown())
        return told in seen[-1]

    await eventually(is_found, "the memory holds what was said")
    assert not ID.search(seen[-1])
    number = next(line.split()[0] for line in seen[-1].splitlines() if told in line)
    await alice.type(f"/open {number}")
    assert alice.thread_id == herons


async def test_a_co_author_is_removed_by_key_once_all_the_others_say_so(
    alice: Chat, bob: Chat, carol: Chat
) -> None:
    await alice.type("/new Crowded")
    for guest in (bob, carol):
        await alice.type(f"/invite {guest.key}")
        await guest.type("/accept")
    for each in (alice, carol):
        await each.until(
            lambda state: state.thread is not None and len(state.thread.co_authors) == 3,
            "that three are in the thread",
        )
    assert await alice.refused(f"/keep {bob.key}")
    await alice.type(f"/remove {bob.key}")
    await carol.until(lambda state: bool(state.removals), "that the others are asked")
    await carol.type(f"/remove {bob.key}")
    await bob.until(lambda state: state.thread is None, "that the thread is closed to them")
    await alice.until(
        lambda state: state.thread is not None and bob.key not in state.thread.co_authors,
        "that a co-author was removed",
    )


async def test_of_two_co_authors_the_one_who_says_something_is_kept(alice: Chat, bob: Chat) -> None:
    await alice.type("/new Of two")
    await alice.type(f"/invite {bob.key}")
    await bob.type("/accept")
    await alice.until(
        lambda state: state.thread is not None and bob.key in state.thread.co_authors,
        "that a co-author joined",
    )
    await alice.type(f"/remove {bob.key}")
    await bob.type("/rename Still here")
    assert await alice.refused(f"/keep {bob.key}"), "the proposal is over"
    assert alice.state.thread is not None
    assert bob.key in alice.state.thread.co_authors


async def test_the_threads_of_a_user_who_has_listed_none_are_looked_up(
    alice: Chat, bob: Chat
) -> None:
    await alice.type("/new Shared")
    await alice.type(f"/invite {bob.key}")
    await bob.type("/accept")
    await bob.type("/close")
    await bob.type("/open 1")
    assert bob.thread_id == alice.thread_id


async def test_what_cannot_be_undone_is_done_only_where_it_is_confirmed(
    alice: Chat, bob: Chat
) -> None:
    await alice.type("/new Ends public")
    await alice.type(f"/invite {bob.key}")
    await bob.type("/accept")
    assert (await bob.refused("/leave")).endswith("If you mean it: /leave yes")
    assert (await bob.refused("/archive no")).endswith("If you mean it: /archive yes")
    await bob.type("/leave yes")
    await alice.until(
        lambda state: state.thread is not None and state.thread.co_authors == (alice.key,),
        "that a co-author left",
    )
    await alice.type("/archive yes")
    assert "archived" in await alice.refused("One more thing?")


# --- Messages that wait --------------------------------------------------------------------------


async def test_a_message_from_outside_is_approved_and_answered(alice: Chat, bob: Chat) -> None:
    await alice.type("/new Open house public")
    await bob.type(f"/open {alice.thread_id}")
    prompt = "May I come in?"
    assert await alice.refused("/approve") == "No message waits for your vote."
    await bob.type(prompt)
    assert "waits for the approval of the co-authors" in bob.shown()
    message = await alice.message(prompt, "pending")
    assert await alice.refused("/approve #99") == "No message #99 waits for your vote."
    await alice.type(f"/approve #{message.index}")
    await bob.message(prompt)
    await bob.message(answer_to(prompt))


async def test_a_message_from_outside_is_rejected_or_taken_back(alice: Chat, bob: Chat) -> None:
    await alice.type("/new Quiet house public")
    await bob.type(f"/open {alice.thread_id}")
    assert await bob.refused("/withdraw") == "No message of yours is waiting."
    await bob.type("Too loud?")
    await alice.message("Too loud?", "pending")
    await alice.type("/reject it is too loud")
    await alice.no_message_waits()
    await bob.no_message_waits()
    await bob.type("Never mind?")
    waiting = await bob.message("Never mind?", "pending")
    await bob.type(f"/withdraw #{waiting.index}")
    await alice.no_message_waits()
    await bob.no_message_waits()
    assert not alice.state.live_runs, "neither of them is run"


# --- The rest ------------------------------------------------------------------------------------


async def test_a_user_is_told_who_they_are_what_there_is_and_what_was_found(alice: Chat) -> None:
    await alice.type("/name Ada")
    assert "You are called Ada now." in alice.shown()
    await alice.type("/whoami")
    told = alice.shown()
    assert "Ada" in told
    assert alice.key in told
    await alice.type("/help")
    assert "/withdraw" in alice.shown()
    await alice.type("/search herons at the lake")
    assert alice.shown().strip(), "that nothing was found is told as well"
    assert await alice.type("/quit") is None
