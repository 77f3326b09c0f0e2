"""One person's chat: the folded state, and what each verb asks of the server.

Both user interfaces stand on it. Results are given to `show` as rich renderables of `render`;
refusals are raised, and the user interface says them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never
from uuid import UUID

from rich.console import RenderableType

from server.chat import branches, listings, pieces, render
from server.chat.client import ChorusClient
from server.chat.errors import BadInput, RefusedByServer
from server.chat.events import ClientEvent
from server.chat.explained import RunExplanation, explanation
from server.chat.frames import (
    AcceptedReply,
    ChatInvitation,
    ChatMessage,
    ChatThread,
    ChatThreadSummary,
    OpenBranch,
    OpenLink,
    OpenRemoval,
)
from server.chat.past import Moment, moment_asked, moment_of, no_moment
from server.chat.text import one_line
from server.chat.verbs import Command, Verb, secret_of, split_index, split_visibility
from server.chat.view import ChatState, close, expect, fold

THREAD_NAME_CHARS = 60

_IN_THE_PAST = frozenset(
    {
        Verb.AT,
        Verb.BRANCHES,
        Verb.CLOSE,
        Verb.HELP,
        Verb.INBOX,
        Verb.INVITATIONS,
        Verb.LINKS,
        Verb.NOW,
        Verb.OPEN,
        Verb.PUBLIC,
        Verb.QUIT,
        Verb.SEARCH,
        Verb.THREADS,
        Verb.WHOAMI,
        Verb.WHY,
    }
)
"""Verbs that change nothing of the thread."""


@dataclass(frozen=True)
class _Waiter:
    until: Callable[[ChatState], bool]
    reached: asyncio.Future[ChatState]


class ChatSession:
    """Feed it every client event by `take`; carry out what a person typed by `do`."""

    def __init__(self, client: ChorusClient, show: Callable[[RenderableType], None]) -> None:
        self.state = ChatState(me=client.public_key)
        self._client = client
        self._show = show
        self._listed: tuple[tuple[str, str], ...] = ()
        """Id and name of each thread of the last list, or of what the last search or the inbox found,
        where the name is not told."""
        self._unread: dict[str, int] = {}
        """Of the last inbox, by thread: the entry of the last mention that was not read."""
        self._invited: tuple[ChatInvitation, ...] = ()
        self._branches: tuple[str, tuple[str, ...]] = ("", ())
        """The thread of the last list of branches, and their ids in its order."""
        self._waiters: list[_Waiter] = []
        self.past: Moment | None = None
        """The open thread as it was, while that is looked at."""

    def take(self, event: ClientEvent) -> tuple[ChatState, ChatState]:
        """Fold one event; returns the states before and after it."""
        before, self.state = self.state, fold(self.state, event)
        for waiter in list(self._waiters):
            if waiter.reached.done():
                self._waiters.remove(waiter)
            elif waiter.until(self.state):
                self._waiters.remove(waiter)
                waiter.reached.set_result(self.state)
        return before, self.state

    async def until(self, condition: Callable[[ChatState], bool]) -> ChatState:
        """The first state, from now on, that `condition` holds of.

        No state comes any more once the client's events ended: a caller that waits here watches those too.
        """
        if condition(self.state):
            return self.state
        reached: asyncio.Future[ChatState] = asyncio.get_running_loop().create_future()
        self._waiters.append(_Waiter(condition, reached))
        return await reached

    async def open(self, thread_id: str) -> None:
        """Open a thread; returns when its snapshot is in the state."""
        await self._client.follow(thread_id)
        await self.until(lambda state: state.thread is not None and state.thread.id == thread_id)
        if (seq := self._unread.pop(thread_id, None)) is not None:
            await self._client.act("mark_read", thread_id=thread_id, seq=seq)

    async def do(self, command: Command) -> AcceptedReply | None:
        """Carry out one command; returns what the server accepted, once it holds it.

        Raises RefusedByServer, BadInput, or what ended the session. Quitting is the user
        interface's own affair: here it does nothing.
        """
        argument = command.argument
        if self.past is not None and command.verb not in _IN_THE_PAST:
            raise BadInput("This is the past, which is only read; /now goes back.")
        match command.verb:
            case Verb.SAY:
                return await self._say(argument)
            case Verb.HELP:
                self._show(listings.usage())
            case Verb.THREADS:
                await self._list("mine")
            case Verb.PUBLIC:
                await self._list("public")
            case Verb.INBOX:
                await self._inbox()
            case Verb.OPEN:
                self.past = None
                await self.open(await self._find(argument))
            case Verb.CLOSE:
                self.past = None
                await self._close()
            case Verb.NEW:
                return await self._new(*split_visibility(argument))
            case Verb.RENAME:
                return await self._act("rename_thread", name=argument)
            case Verb.INSTRUCTIONS:
                return await self._instruct(argument)
            case Verb.MODEL:
                return await self._choose_model(argument)
            case Verb.INVITE:
                return await self._act("invite_co_author", public_key=argument)
            case Verb.REVOKE:
                if _is_number(argument):
                    return await self._act("revoke_invite_link", link_id=self._link(argument).id)
                return await self._act("revoke_invitation", public_key=argument)
            case Verb.LINK:
                return await self._make_link(argument)
            case Verb.LINKS:
                self._thread_id()
                self._show(listings.links(self.state.links, self.state))
            case Verb.INVITATIONS:
                self._invited = (await self._client.threads("invited")).invitations
                self._show(listings.invitations(self._invited, self.state))
            case Verb.ACCEPT if (secret := secret_of(argument)) is not None:
                return await self._join_by_link(secret)
            case Verb.ACCEPT:
                return await self._accept(await self._invitation(argument))
            case Verb.DECLINE:
                thread_id = await self._invitation(argument)
                return await self._client.act("decline_invitation", thread_id=thread_id)
            case Verb.APPROVE:
                message, _ = self._choose(argument, self.state.to_vote_on, "waits for your vote")
                return await self._act("approve_message", message_id=message.id)
            case Verb.REJECT:
                message, reason = self._choose(
                    argument, self.state.to_vote_on, "waits for your vote"
                )
                given = {"reason": reason} if reason else {}
                return await self._act("reject_message", message_id=message.id, **given)
            case Verb.WITHDRAW:
                own = tuple(m for m in self.state.pending if m.author == self.state.me)
                message, _ = self._choose(argument, own, "of yours is waiting")
                return await self._act("withdraw_message", message_id=message.id)
            case Verb.STOP:
                return await self._stop()
            case Verb.RETRY:
                return await self._retry()
            case Verb.EDIT:
                return await self._edit(argument)
            case Verb.FORK:
                number, rest = branches.split_branch(argument)
                if number is not None:
                    run_id = self._branch(number).run_id
                else:
                    index, rest = split_index(rest)
                    run_id = self._run("" if index is None else f"#{index}")
                return await self._act("fork_run", run_id=run_id, **branches.fork_of(rest))
            case Verb.BRANCHES:
                open_ = self.state.branches
                self._branches = self._thread_id(), tuple(each.id for each in open_)
                self._show(branches.listed(open_, self.state))
            case Verb.COMPARE:
                branch = self._branch(argument)
                runs = (branch.origin_run_id, branch.run_id)
                self._show(
                    branches.compared(await self._client.comparison(self._thread_id(), *runs))
                )
            case Verb.ADOPT:
                branch = self._branch(argument)
                if branch.status != "proposed":
                    return await self._act("propose_adoption", branch_id=branch.id)
                return await self._act("vote_on_branch", branch_id=branch.id, decision="approve")
            case Verb.REFUSE:
                branch_id = self._branch(argument).id
                return await self._act("vote_on_branch", branch_id=branch_id, decision="reject")
            case Verb.DISCARD:
                branch_id = self._branch(argument).id
                return await self._act("discard_branch", branch_id=branch_id)
            case Verb.WHY:
                self._show(explanation(await self._why(argument)))
            case Verb.AT:
                self.past = await self._look_back(argument)
                self._show(render.as_it_was(self.past))
            case Verb.NOW:
                self.past = None
                self._thread_id()
                self._show(render.opened(self.state))
            case Verb.SEARCH:
                found = await self._client.search(argument)
                self._listed = tuple((prior.thread_id, "") for prior in found.results)
                self._show(listings.results(found.results, self.state))
            case Verb.NAME:
                accepted = await self._client.act("set_name", name=argument)
                self.state = replace(self.state, my_name=argument)
                self._show(pieces.note(f"You are called {argument} now."))
                return accepted
            case Verb.WHOAMI:
                self._show(listings.whoami(self.state))
            case Verb.REMOVE:
                if self._removal_of(argument) is None:
                    return await self._act("propose_removal", public_key=argument)
                return await self._act("vote_on_removal", public_key=argument, decision="remove")
            case Verb.KEEP:
                removal = self._removal_of(argument)
                if removal is not None and removal.proposed_by == self.state.me:
                    return await self._act("withdraw_removal", public_key=argument)
                return await self._act("vote_on_removal", public_key=argument, decision="keep")
            case Verb.LEAVE:
                self._confirm(command, "You stop being a co-author, and cannot undo it yourself.")
                return await self._act("leave_co_authorship")
            case Verb.ARCHIVE:
                self._confirm(command, "The thread ends for everyone; its runs are cancelled.")
                return await self._act("archive_thread")
            case Verb.QUIT:
                return None
            case _:
                assert_never(command.verb)
        return None

    # -- parts of verbs --------------------------------------------------------------------------

    def _thread_id(self) -> str:
        return self._thread().id

    def _branch(self, argument: str) -> OpenBranch:
        thread_id, shown = self._branches
        if thread_id != self._thread_id():
            shown = ()
        return branches.chosen(self.state.branches, argument, shown)

    def _run(self, argument: str) -> str:
        """The run that `#N` or an id names; the newest of the thread where nothing does."""
        index, rest = split_index(argument)
        if rest:
            return _id_of(rest)
        found = self.state.run_of(index)
        if found is None:
            where = "this thread" if index is None else f"message #{index}"
            raise BadInput(f"There is no run of {where} here.")
        return found

    async def _why(self, argument: str) -> RunExplanation:
        """Why a run, or what an id names, became what it is; a message that began no run explains itself."""
        thread_id = self._thread_id()
        index, rest = split_index(argument)
        if rest:
            return await self._client.explanation_of(thread_id, _id_of(rest))
        message = next((each for each in self.state.messages if each.index == index), None)
        try:
            run_id = self._run(argument)
        except BadInput:
            if message is None:
                raise
            return await self._client.explanation_of(thread_id, message.id)
        return await self._client.explanation(thread_id, run_id)

    async def _look_back(self, argument: str) -> Moment:
        thread_id, moment = self._thread_id(), moment_asked(argument)
        while True:
            try:
                return moment_of(await self._client.past(thread_id, moment), self.state)
            except RefusedByServer as refused:
                if refused.code == "invalid_field":
                    raise no_moment(argument, moment) from None
                if refused.code != "thread_busy":
                    raise
                self._show(pieces.note(str(refused)))
                await asyncio.sleep((refused.retry_after_ms or 0) / 1000)

    async def _act(self, request: str, **data: object) -> AcceptedReply:
        accepted = await self._client.act(request, thread_id=self._thread_id(), **data)
        if accepted.run_id is not None and request != "cancel_run":
            self.state = expect(
                self.state, accepted.run_id, accepted.message_id or "", accepted.branch_id
            )
        return accepted

    async def _say(self, prompt: str) -> AcceptedReply:
        """Submit a prompt; where no thread is open, a private one named after it is begun."""
        if self.state.thread is None:
            await self._new(one_line(prompt, THREAD_NAME_CHARS), "private")
        return await self._submit(prompt)

    async def _submit(self, prompt: str, **more: str) -> AcceptedReply:
        accepted = await self._act("submit_prompt", prompt=prompt, **more)
        if accepted.run_id is None:
            self._show(pieces.note("Your message waits for the approval of the co-authors."))
        return accepted

    def _thread(self) -> ChatThread:
        if self.state.thread is None:
            raise BadInput("No thread is open; /threads lists yours, /new NAME starts one.")
        return self.state.thread

    async def _instruct(self, argument: str) -> AcceptedReply | None:
        """Give the thread other instructions, or show those that it has."""
        thread = self._thread()
        if not argument:
            self._show(listings.instructions(thread))
            return None
        text = "" if argument.lower() == "none" else argument
        return await self._act("configure_thread", instructions=text, model=thread.model)

    async def _choose_model(self, argument: str) -> AcceptedReply | None:
        """Give the thread another model, or show which there are."""
        thread = self._thread()
        if not argument:
            self._show(listings.models(self.state))
            return None
        model = None if argument.lower() == "default" else argument
        return await self._act("configure_thread", instructions=thread.instructions, model=model)

    async def _edit(self, prompt: str) -> AcceptedReply:
        """Write the user's newest message anew."""
        self._thread()
        own = [
            each
            for each in self.state.messages
            if each.author == self.state.me and each.status in {"approved", "pending"}
        ]
        if not own:
            raise BadInput("No prompt of yours is known here.")
        return await self._submit(prompt, supersedes=own[-1].id)

    async def _new(self, name: str, visibility: str) -> AcceptedReply:
        accepted = await self._client.act("create_thread", name=name, visibility=visibility)
        if accepted.thread_id is not None:
            await self.open(accepted.thread_id)
        return accepted

    async def _close(self) -> None:
        self._thread_id()
        await self._client.unfollow()
        self.state = close(self.state)

    async def _list(self, scope: str) -> None:
        threads = (await self._client.threads(scope)).threads
        self._listed = _named(threads)
        self._show(listings.threads(threads, scope))

    async def _inbox(self) -> None:
        """Show the inbox. Its mentions are read once their thread is opened."""
        found = await self._client.inbox()
        self._listed = tuple((item.thread_id, "") for item in found.items)
        self._unread = {}
        for item in found.items:
            if item.unread:
                self._unread[item.thread_id] = max(item.seq, self._unread.get(item.thread_id, 0))
        self._show(listings.inbox(found.items, self.state))

    async def _find(self, wanted: str) -> str:
        """The id of a thread: its number in the last list, its name or a part of it, or its id."""
        mine = (await self._client.threads("mine")).threads
        listed = self._listed or _named(mine)
        if _is_number(wanted):
            if 1 <= int(wanted) <= len(listed):
                return listed[int(wanted) - 1][0]
            raise BadInput(f"The last list has no thread {wanted}; /threads shows it.")
        known, folded = dict((*listed, *_named(mine))), wanted.casefold()
        for found in (
            [each for each in known if each.startswith(wanted)],
            [each for each, name in known.items() if name.casefold() == folded],
            [each for each, name in known.items() if folded in name.casefold()],
        ):
            if len(found) == 1:
                return found[0]
            if found:
                raise BadInput(f"Several threads are called {wanted}; /threads numbers them.")
        if _is_id(wanted):
            return wanted
        raise BadInput(f"No thread of yours is called {wanted}; /threads lists them.")

    def _removal_of(self, key: str) -> OpenRemoval | None:
        """The open vote on a co-author."""
        return next((each for each in self.state.removals if each.public_key == key), None)

    async def _invitation(self, wanted: str) -> str:
        """The thread of an invitation: its number in the last list, or that of the only one."""
        if not self._invited or not wanted:
            self._invited = (await self._client.threads("invited")).invitations
        if not wanted and len(self._invited) == 1:
            return self._invited[0].thread_id
        numbers = {str(number): each for number, each in enumerate(self._invited, start=1)}
        if wanted not in numbers:
            raise BadInput("Which one? /invitations numbers them.")
        return numbers[wanted].thread_id

    async def _make_link(self, hours: str) -> AcceptedReply:
        if hours and not _is_number(hours):
            raise BadInput("Usage: /link [HOURS]")
        given = {"expires_in_hours": int(hours)} if hours else {}
        accepted = await self._act("create_invite_link", **given)
        if accepted.link is not None:
            self._show(listings.made_link(self._client.page_url, accepted.link))
        return accepted

    def _link(self, number: str) -> OpenLink:
        """The open link of this number in `/links`."""
        self._thread_id()
        if not 1 <= int(number) <= len(self.state.links):
            raise BadInput(f"There is no link {number}; /links numbers them.")
        return self.state.links[int(number) - 1]

    async def _join_by_link(self, secret: str) -> AcceptedReply:
        self._show(listings.link_leads_to(await self._client.view_link(secret), self.state))
        accepted = await self._client.act("accept_invite_link", secret=secret)
        if accepted.thread_id is not None:
            await self.open(accepted.thread_id)
        return accepted

    async def _accept(self, thread_id: str) -> AcceptedReply:
        accepted = await self._client.act("accept_invitation", thread_id=thread_id)
        await self.open(thread_id)
        return accepted

    def _choose(
        self, argument: str, among: tuple[ChatMessage, ...], what_it_does: str
    ) -> tuple[ChatMessage, str]:
        """The message that `#N` names, else the oldest, and the rest of the argument."""
        self._thread_id()
        index, rest = split_index(argument)
        chosen = [message for message in among if index is None or message.index == index]
        if not chosen:
            which = "No message" if index is None else f"No message #{index}"
            raise BadInput(f"{which} {what_it_does}.")
        return chosen[0], rest

    async def _stop(self) -> AcceptedReply:
        self._thread_id()
        run = self.state.running or next(iter(self.state.live_runs), None)
        if run is None:
            raise BadInput("Nothing is running here.")
        return await self._act("cancel_run", run_id=run.run_id)

    async def _retry(self) -> AcceptedReply:
        self._thread_id()
        run = self.state.to_run_again
        if run is None:
            raise BadInput("No run that failed or was cancelled is known here.")
        return await self._act("retry_run", run_id=run.run_id)

    def _confirm(self, command: Command, consequence: str) -> None:
        self._thread_id()
        if command.argument.lower() != "yes":
            raise BadInput(f"{consequence} If you mean it: /{command.verb} yes")


def _is_number(text: str) -> bool:
    """Whether it may be a number of a list, or of hours: ids and keys are longer."""
    return text.isascii() and text.isdigit() and len(text) < 6


def _named(threads: Sequence[ChatThreadSummary]) -> tuple[tuple[str, str], ...]:
    return tuple((thread.id, thread.name) for thread in threads)


def _id_of(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise BadInput(f"{one_line(text, 60)} is neither #N nor an id.") from None


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
