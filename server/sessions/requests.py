"""Requests of people who are signed in: each becomes a command or a query, and one reply.

A mutating request may come again with the same id: what was accepted once is answered alike and
carried out once; a duplicate that arrives while the first is under way waits for it; access is
checked again before the answer; the same id with another type or data is `conflict`.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from machines.decisions.connections import hash_token
from machines.decisions.invitations import no_such_invitation
from machines.decisions.rights import co_author_of
from machines.models import commands
from machines.models.commands import ThreadCommand
from machines.models.errors import (
    ErrorCode,
    InvalidTransition,
    JournalConflict,
    RequestRefused,
)
from machines.models.ids import MessageId, PublicKey, RequestId, ThreadId
from machines.models.journal import RememberedReply
from machines.models.wire import envelope, frames, membership_requests, request_data, requests
from machines.models.wire.request_base import MutatingRequest
from machines.models.wire.requests import ClientMessage
from server.environment import Environment
from server.memory.recall import MemoryService
from server.runs.interpreter import Chorus
from server.sessions.accounts import Accounts
from server.sessions.commands import command_of
from server.sessions.comparisons import Comparisons
from server.sessions.explanations import Explanations
from server.sessions.heat import heat_of
from server.sessions.links import InviteLinks
from server.sessions.lists import inbox, list_people, list_threads
from server.sessions.pages import first_that_fit
from server.sessions.past import PastThreads
from server.sessions.quotas import Allowances, too_many
from server.sessions.reads import Reads
from server.threads.broadcast import Broadcast
from server.threads.service import Outcome, ThreadService
from server.wire.codec import encode_server_frame
from server.wire.presenter import hidden_notice, read_notice
from server.wire.renderer import Renderer
from storage.journal.port import Journal

_RUNS: Final = (
    requests.SubmitPromptRequest,
    requests.RetryRunRequest,
    requests.ForkRunRequest,
)
"""Requests that begin a run."""


class Requests:
    """Carries out requests."""

    def __init__(
        self,
        *,
        environment: Environment,
        journal: Journal,
        broadcast: Broadcast,
        thread_service: ThreadService,
        chorus: Chorus,
        accounts: Accounts,
        memory_service: MemoryService,
        allowances: Allowances,
        renderer: Renderer,
        on_client_ahead: Callable[[], None],
    ) -> None:
        """
        Args:
            on_client_ahead: As `on_ahead` of `Reads`.
        """
        self._environment = environment
        self._journal = journal
        self._broadcast = broadcast
        self._thread_service = thread_service
        self._accounts = accounts
        self._memory_service = memory_service
        self._allowances = allowances
        self._links = InviteLinks(environment, journal)
        self.reads = Reads(journal, thread_service, chorus, renderer, on_client_ahead)
        looking_back = asyncio.Lock()
        self._explanations = Explanations(journal, looking_back)
        self._past = PastThreads(journal, renderer, looking_back)
        self._comparisons = Comparisons(journal, renderer)
        self._under_way: dict[tuple[PublicKey, RequestId], asyncio.Future[None]] = {}

    async def perform(
        self, message: ClientMessage, caller: PublicKey, address: str, token: str
    ) -> str:
        """The encoded reply to a request that came from `address`, in the session of `token`.

        Raises:
            ChorusError: the request was refused or failed, and changed nothing.
        """
        if isinstance(message, MutatingRequest):
            return _encode(await self._once(message, caller, address, token), message.id)
        match message:
            case requests.GetThreadRequest():
                _, text = await self.reads.snapshot(message, caller)
                return text
            case requests.GetEventsRequest():
                return await self.reads.events(message, caller)
            case requests.GetPastRequest(data=data):
                thread = await self.reads.readable(data.thread_id, caller)
                past = await self._past.told(data, caller, thread)
                now = await self.reads.readable(data.thread_id, caller)
                if (caller in thread.co_authors) is not (caller in now.co_authors):
                    return await self.perform(message, caller, address, token)
                return _encode(past, message.id)
            case requests.ExplainRunRequest() | requests.ExplainValueRequest():
                return await self._explain(message, caller)
            case requests.GetHeatRequest(data=data):
                co_author_of(await self.reads.readable(data.thread_id, caller), caller)
                heat = await heat_of(self._journal, data)
                co_author_of(await self.reads.readable(data.thread_id, caller), caller)  # as above
                return _encode(heat, message.id)
            case requests.ListThreadsRequest():
                return _encode(await list_threads(self._journal, message.data, caller), message.id)
            case requests.ListPeopleRequest():
                return _encode(await list_people(self._journal, caller), message.id)
            case membership_requests.ViewInviteLinkRequest(data=data):
                return _encode(await self._links.view(data.secret, caller), message.id)
            case requests.GetInboxRequest():
                return _encode(await inbox(self._journal, message.data, caller), message.id)
            case requests.TypingRequest(data=data):
                thread = await self.reads.readable(data.thread_id, caller)
                self._broadcast.presence.types(thread, co_author_of(thread, caller))
                accepted = frames.AcceptedData(thread_id=thread.id)
                return _encode(frames.AcceptedFrame(data=accepted), message.id)
            case requests.CompareRunsRequest(data=data):
                thread = await self.reads.readable(data.thread_id, caller)
                co_author_of(thread, caller)
                text = await self._comparisons.compare(message)
                # Rights are read last as well: who left meanwhile is told nothing.
                co_author_of(await self.reads.readable(data.thread_id, caller), caller)
                return text
            case requests.SearchRequest():
                return _encode(await self._search(message, caller), message.id)
            case _:
                raise AssertionError(f"{message.type} is the connection's to handle")

    # Mutating requests

    async def _once(
        self, message: MutatingRequest, caller: PublicKey, address: str, token: str
    ) -> frames.AcceptedFrame:
        key = (caller, message.id)
        while (first := self._under_way.get(key)) is not None:
            await asyncio.shield(first)
        done = self._under_way[key] = asyncio.get_running_loop().create_future()
        is_charged = False
        try:
            try:
                if isinstance(message, _RUNS):
                    await self._take_prompt(message, caller, address)
                    is_charged = True
                return await self._mutate(message, caller, token)
            except (JournalConflict, InvalidTransition, RequestRefused):
                # A request that was carried out once is refused, at the latest by the key of its
                # remembered reply: then this is its echo, and no refusal. Most are new, so nobody
                # asks beforehand, but for what an echo would cost.
                known = await self._journal.reply(caller, message.id)
                if known is None:
                    raise
                if is_charged:
                    # It reached another server at the same moment, and was charged there.
                    await self._allowances.give_prompt_back(caller, address)
                return await self._again(message, caller, token, known)
        finally:
            del self._under_way[key]
            done.set_result(None)

    async def _again(
        self,
        message: MutatingRequest,
        caller: PublicKey,
        token: str,
        known: RememberedReply,
    ) -> frames.AcceptedFrame:
        """The answer that the request got; access is checked as it is now."""
        if known.digest != message.fingerprint():
            raise RequestRefused(
                ErrorCode.CONFLICT, "Another request was made with this id; use a new one."
            )
        if known.thread_id is not None and not isinstance(
            message,
            membership_requests.LeaveCoAuthorshipRequest
            | membership_requests.DeclineInvitationRequest,
        ):
            await self.reads.readable(known.thread_id, caller)
        if known.thread_id is None:
            return _accepted(None)
        outcome = Outcome(
            known.thread_id, known.seq or 0, known.message_id, known.run_id, known.branch_id
        )
        return await self._with_link(_accepted(outcome), message, token)

    async def _mutate(
        self, message: MutatingRequest, caller: PublicKey, token: str
    ) -> frames.AcceptedFrame:
        reply = RememberedReply(
            public_key=caller,
            request_id=message.id,
            digest=message.fingerprint(),
            thread_id=None,
            at=self._environment.now(),
        )
        match message:
            case requests.SetNameRequest(data=data):
                await self._accounts.set_name(caller, data.name, reply)
                return _accepted(None)
            case requests.SetPresenceRequest(data=data):
                hides = not data.shown
                await self._accounts.set_presence(caller, hides=hides, reply=reply)
                self._broadcast.presence.heed(caller, hides=hides)
                return _accepted(None)
            case requests.MarkReadRequest(data=data):
                await self._mark_read(data, caller, reply)
                return _accepted(None)
            case requests.HideThreadRequest(data=data):
                await self._hide(data.thread_id, None, caller, reply, hidden=data.hidden)
                return _accepted(None)
            case requests.HideMessageRequest(data=data):
                await self._hide(data.thread_id, data.message_id, caller, reply, hidden=data.hidden)
                return _accepted(None)
            case requests.CreateThreadRequest():
                return _accepted(await self._create_thread(message, caller, reply))
            case _:
                thread_id = await self._thread_of(message)
                command = command_of(message, token)

                def make(ids: tuple[str, ...]) -> ThreadCommand:
                    return command(
                        thread_id=thread_id,
                        at=self._environment.now(),
                        by=caller,
                        ids=ids,
                        request_id=message.id,
                    )

                await self._require_access(message, thread_id, caller)
                outcome = await self._thread_service.perform(thread_id, make, reply)
        if outcome.refused is not None:
            raise outcome.refused
        return await self._with_link(_accepted(outcome), message, token)

    async def _with_link(
        self, frame: frames.AcceptedFrame, message: MutatingRequest, token: str
    ) -> frames.AcceptedFrame:
        """The reply with the link that the request made, if it made one."""
        if not isinstance(message, membership_requests.CreateInviteLinkRequest):
            return frame
        link = await self._links.made_by(token, message.id)
        return frame.model_copy(update={"data": frame.data.model_copy(update={"link": link})})

    async def _create_thread(
        self, message: requests.CreateThreadRequest, caller: PublicKey, reply: RememberedReply
    ) -> Outcome:
        user = await self._journal.user(caller)
        wanted = message.data.user_id
        if user is None or (wanted is not None and wanted != user.id):
            raise RequestRefused(ErrorCode.FORBIDDEN, "A thread is created for oneself.")
        command = commands.OpenThread(
            thread_id=ThreadId(self._environment.new_id()),
            at=self._environment.now(),
            by=caller,
            request_id=message.id,
            name=message.data.name,
            visibility=message.data.visibility,
        )
        return await self._thread_service.open_thread(command, reply)

    async def _mark_read(
        self, data: request_data.MarkReadData, caller: PublicKey, reply: RememberedReply
    ) -> None:
        await self.reads.readable(data.thread_id, caller)
        await self.reads.head_with(data.thread_id, "seq", data.seq)
        if await self._accounts.mark_read(caller, data.thread_id, data.seq, reply):
            self._broadcast.users.tell(caller, read_notice(data.thread_id, data.seq))

    async def _hide(
        self,
        thread_id: ThreadId,
        message_id: MessageId | None,
        caller: PublicKey,
        reply: RememberedReply,
        *,
        hidden: bool,
    ) -> None:
        """Raises RequestRefused: not_found, too_large."""
        await self.reads.readable(thread_id, caller)
        if message_id is not None:
            message = await self._journal.message(message_id)
            if message is None or message.thread_id != thread_id:
                raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such message.")
        if await self._accounts.hide(caller, thread_id, message_id, hidden=hidden, reply=reply):
            notice = hidden_notice(thread_id, message_id, hidden=hidden)
            self._broadcast.users.tell(caller, notice)

    async def _thread_of(self, message: MutatingRequest) -> ThreadId:
        """The thread that a request is about."""
        match message.data:
            case request_data.ThreadRef(thread_id=thread_id):
                return thread_id
            case request_data.InviteLinkRef(secret=secret):
                return await self._links.thread_of(hash_token(secret))
            case _:
                raise AssertionError(f"{message.type} is about no thread")

    async def _take_prompt(self, message: MutatingRequest, caller: PublicKey, address: str) -> None:
        """Charge a new run. Raises RequestRefused where it is one too many; JournalConflict, and
        charges nothing, where the request was carried out before."""
        if await self._journal.reply(caller, message.id) is not None:
            raise JournalConflict("The request was carried out before.")
        wait = await self._allowances.try_take_prompt(caller, address)
        if wait is not None:
            raise too_many("Too many prompts; wait a moment.", wait)

    # Queries

    async def _explain(
        self, message: requests.ExplainRunRequest | requests.ExplainValueRequest, caller: PublicKey
    ) -> str:
        data = message.data
        is_inside = caller in (await self.reads.readable(data.thread_id, caller)).co_authors
        explained: frames.RunExplanationFrame | frames.ValueExplanationFrame
        if isinstance(data, request_data.ExplainRunData):
            explained = await self._explanations.explained(data, is_inside=is_inside)
        else:
            explained = await self._explanations.value(data, is_inside=is_inside)
        now = await self.reads.readable(data.thread_id, caller)  # it may have taken its time
        if is_inside is not (caller in now.co_authors):
            return await self._explain(message, caller)
        return _encode(explained, message.id)

    async def _search(
        self, message: requests.SearchRequest, caller: PublicKey
    ) -> frames.SearchResultsFrame:
        data = message.data
        if data.thread_id is not None:
            await self.reads.readable(data.thread_id, caller)
        results = await self._memory_service.search(
            caller, data.query, thread_id=data.thread_id, limit=data.limit
        )
        return frames.SearchResultsFrame(
            data=frames.SearchResultsData(results=first_that_fit(results))
        )

    async def _require_access(
        self, message: MutatingRequest, thread_id: ThreadId, caller: PublicKey
    ) -> None:
        """Before anything else is done. For who may not know of a thread it asks the journal one thing,
        whether the thread is there or not.

        Raises RequestRefused: not_found.
        """
        match message:
            case (
                membership_requests.AcceptInvitationRequest()
                | membership_requests.DeclineInvitationRequest()
            ):
                if not await self._journal.is_invited(thread_id, caller):
                    raise no_such_invitation()
            case membership_requests.AcceptInviteLinkRequest():
                pass  # The thread was found by the link that the caller knows.
            case _:
                await self.reads.readable(thread_id, caller)


def _accepted(outcome: Outcome | None) -> frames.AcceptedFrame:
    if outcome is None:
        return frames.AcceptedFrame(data=frames.AcceptedData())
    return frames.AcceptedFrame(
        data=frames.AcceptedData(
            thread_id=outcome.thread_id,
            seq=outcome.seq,
            message_id=outcome.message_id,
            run_id=outcome.run_id,
            branch_id=outcome.branch_id,
        )
    )


def _encode(frame: envelope.ServerFrame, re: RequestId) -> str:
    return encode_server_frame(frame, re=re)
