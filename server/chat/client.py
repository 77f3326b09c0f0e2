"""The protocol: one session with a server that outlives its sockets.

A supervising task keeps one socket signed in. Everything that is promised to a caller survives the
loss of that socket: requests wait and are sent again (mutating ones with their own id, so that the
server carries them out once), and the followed thread is caught up from the last `seq` that was
told. What happened is told in order by `events`. Nothing here prints, and nothing here folds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self, TypeVar, assert_never

from pydantic import ValidationError

from server.chat.branches import ChatComparison
from server.chat.errors import ChatError, LineLost, RefusedByServer, SessionEnded, Unreachable
from server.chat.events import CaughtUp, ClientEvent, Gone, Live, Offline, Online, Opened, Skipped
from server.chat.explained import RunExplanation
from server.chat.frames import (
    AcceptedReply,
    ChatInbox,
    ErrorReply,
    Frame,
    Limits,
    LinkReply,
    Notice,
    SearchResults,
    StepDeltaEvent,
    StepThinkingEvent,
    ThreadMessages,
    ThreadPast,
    Threads,
    WireValue,
    parse_live,
)
from server.chat.keyfile import Identity
from server.chat.line import Line, dial, read_data
from server.chat.pending import RESENDABLE, Pending, Purpose
from server.chat.signin import ServerAddress

V = TypeVar("V", bound=WireValue)

STEADY_SECONDS = 5.0
"""A socket that lived this long ends a row of failures."""

PASSING_FRAMES_KEPT = 1_000
"""Past so many untold events, passing text is skipped: its entry follows in any case."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait before dialling again; seconds."""

    first: float = 0.25
    longest: float = 15.0
    give_up_after: int = 60
    """Failures in a row, about a quarter of an hour."""

    def wait(self, failures: int, jitter: float) -> float:
        """Between half and the whole of the doubled wait; `jitter` is from 0 to 1."""
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 16))
        return whole * (0.5 + 0.5 * jitter)


@dataclass(frozen=True)
class FollowedThread:
    """The followed thread and how far it was told."""

    thread_id: str
    seq: int
    epoch: str | int
    catching_up: ThreadMessages | None = None
    """The snapshot to tell of once `seq` reached its head."""


@dataclass
class _Mailbox:
    """Events not yet told, and how the session ended."""

    waiting: asyncio.Queue[ClientEvent | None] = field(default_factory=asyncio.Queue)
    ended: ChatError | None = None


class ChorusClient:
    """One signed-in session; use it as an async context manager, then iterate over `events`.

    Entering dials and signs in once, and raises Unreachable, OtherProtocol or SignInRefused; later
    losses are healed. Leaving signs out.
    """

    def __init__(
        self,
        endpoint: ServerAddress,
        identity: Identity,
        *,
        new_id: Callable[[], str],
        jitter: Callable[[], float],
        backoff: Backoff = Backoff(),
    ) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._new_id = new_id
        self._jitter = jitter
        self._backoff = backoff
        self._line: Line | None = None
        """The line in use; requests are sent over it."""
        self._dialled: Line | None = None
        """The last line, in use or not; it is hung up at the end whatever became of it."""
        self._max_frame_bytes = Limits().max_frame_bytes
        self._following: FollowedThread | None = None
        self._pending: dict[str, Pending] = {}
        self._mailbox = _Mailbox()
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def public_key(self) -> str:
        return self._identity.public_key

    @property
    def page_url(self) -> str:
        """The address of the server's page, as it was dialled."""
        return self._endpoint.page_url

    async def __aenter__(self) -> Self:
        try:
            line = await self._dial(token=None)
        except LineLost as lost:
            raise Unreachable(
                f"No server answers at {self._endpoint.websocket_url}: {lost.reason}."
            ) from lost
        self._supervisor = asyncio.create_task(self._supervise(line), name="chat-supervisor")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._supervisor is None:
            return
        if self._line is not None:
            # The token lives in this process only: end it with the process, if that is quick.
            await asyncio.wait(
                {asyncio.create_task(self._sign_out()), self._supervisor},
                timeout=1.0,
                return_when=asyncio.FIRST_COMPLETED,
            )
        self._supervisor.cancel()
        (outcome,) = await asyncio.gather(self._supervisor, return_exceptions=True)
        if self._dialled is not None:
            await self._dialled.hang_up()
        if isinstance(outcome, Exception) and error is None:
            raise outcome

    async def events(self) -> AsyncIterator[ClientEvent]:
        """What happens, in order; for one reader. Raises the ChatError that ended the session."""
        while (event := await self._mailbox.waiting.get()) is not None:
            yield event
        if self._mailbox.ended is not None:
            raise self._mailbox.ended

    async def act(self, request: str, **data: object) -> AcceptedReply:
        """Ask for a change; returns when the server holds it durably. Raises RefusedByServer."""
        return read_data(AcceptedReply, await self._ask(request, data, Purpose.PLAIN))

    async def follow(self, thread_id: str) -> ThreadMessages:
        """Open a thread and follow it in place of the one before. Raises RefusedByServer."""
        frame = await self._ask("get_thread", {"thread_id": thread_id}, Purpose.FOLLOW)
        return read_data(ThreadMessages, frame)

    async def threads(self, scope: str) -> Threads:
        """The threads of `scope` (`mine` or `public`) that changed last."""
        return read_data(Threads, await self._ask("list_threads", {"scope": scope}, Purpose.PLAIN))

    async def inbox(self) -> ChatInbox:
        """What awaits the caller's answer, and where they are mentioned; the first page."""
        return read_data(ChatInbox, await self._ask("get_inbox", {}, Purpose.PLAIN))

    async def view_link(self, secret: str) -> LinkReply:
        """What an invite link leads to. Raises RefusedByServer where it leads nowhere."""
        frame = await self._ask("view_invite_link", {"secret": secret}, Purpose.PLAIN)
        return read_data(LinkReply, frame)

    async def search(self, query: str) -> SearchResults:
        """What the caller may read and what is near to `query`, best first."""
        frame = await self._ask("search", {"query": query}, Purpose.PLAIN)
        return read_data(SearchResults, frame)

    async def past(self, thread_id: str, moment: Mapping[str, object]) -> ThreadPast:
        """A thread as it was. Raises RefusedByServer.

        Args:
            moment: `at_seq`, or `at`.
        """
        data = {"thread_id": thread_id, **moment}
        return read_data(ThreadPast, await self._ask("get_past", data, Purpose.PLAIN))

    async def explanation(self, thread_id: str, run_id: str) -> RunExplanation:
        """Why a run did what it did, however many frames that takes."""
        return await self._explanation("explain_run", thread_id=thread_id, run_id=run_id)

    async def explanation_of(self, thread_id: str, value_id: str) -> RunExplanation:
        """Why a message, invitation, link, removal, branch or run became what it is."""
        return await self._explanation("explain_value", thread_id=thread_id, value_id=value_id)

    async def _explanation(self, request: str, **data: object) -> RunExplanation:
        told = read_data(RunExplanation, await self._ask(request, data, Purpose.PLAIN))
        while told.has_more and told.transitions:
            after = {"after_seq": told.transitions[-1].seq}
            frame = await self._ask(request, {**data, **after}, Purpose.PLAIN)
            told = told.followed_by(read_data(RunExplanation, frame))
        return told

    async def comparison(self, thread_id: str, run_id: str, other_run_id: str) -> ChatComparison:
        """Two runs of a thread side by side."""
        data = {"thread_id": thread_id, "run_id": run_id, "other_run_id": other_run_id}
        return read_data(ChatComparison, await self._ask("compare_runs", data, Purpose.PLAIN))

    async def unfollow(self) -> None:
        """Stop following; no frame of the thread is told from here on."""
        if (following := self._following) is not None:
            self._following = None
            await self._ask("leave_thread", {"thread_id": following.thread_id}, Purpose.PLAIN)

    # -- requests --------------------------------------------------------------------------------

    async def _ask(self, request: str, data: Mapping[str, object], purpose: Purpose) -> Frame:
        if self._mailbox.ended is not None:
            raise self._mailbox.ended
        reply: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        pending = Pending(self._new_id(), request, data, purpose, reply)
        if len(pending.encode().encode()) > self._max_frame_bytes:
            raise RefusedByServer("too_large", "That is more than the server takes in one frame.")
        self._send(pending)
        return await reply

    def _send(self, pending: Pending) -> None:
        """Remember a request, and send it now if there is a line; the next line sends it else."""
        self._pending[pending.id] = pending
        if self._line is not None:
            self._line.send(pending.encode())

    async def _sign_out(self) -> None:
        try:
            await self._ask("sign_out", {}, Purpose.PLAIN)
        except (ChatError, asyncio.CancelledError):
            return

    # -- the line --------------------------------------------------------------------------------

    async def _dial(self, token: str | None) -> Line:
        self._dialled = await dial(self._endpoint, self._identity, token=token, new_id=self._new_id)
        return self._dialled

    async def _supervise(self, line: Line) -> None:
        try:
            await self._stay_online(line)
        except ChatError as error:
            self._end(error)
        else:
            self._end(None)
        finally:
            self._end(SessionEnded("The session is closed."))

    def _end(self, error: ChatError | None) -> None:
        """Tell everyone who waits that nothing more will come; the first call counts."""
        if self._mailbox.ended is not None:
            return
        self._mailbox.ended = error or SessionEnded("Signed out.")
        self._mailbox.waiting.put_nowait(None)
        for pending in self._pending.values():
            if pending.reply is not None and not pending.reply.done():
                pending.reply.set_exception(self._mailbox.ended)
                pending.reply.exception()  # seen: its caller may have gone already
        self._pending.clear()

    async def _stay_online(self, first: Line) -> None:
        clock = asyncio.get_running_loop().time
        line: Line | None = first
        token = first.init.session.token
        failures, reason = 0, ""
        while failures < self._backoff.give_up_after:
            if line is not None:
                began = clock()
                token = line.init.session.token
                reason = await self._serve(line, resumed=line is not first)
                failures = 0 if clock() - began >= STEADY_SECONDS else failures
            failures += 1
            wait = self._backoff.wait(failures, self._jitter())
            self._tell(Offline(failures, wait, reason))
            await asyncio.sleep(wait)
            try:
                line = await self._dial(token)
            except LineLost as lost:
                line, reason = None, lost.reason
        raise Unreachable(
            f"{self._endpoint.websocket_url} was not reached in {failures} attempts: {reason}."
        )

    async def _serve(self, line: Line, *, resumed: bool) -> str:
        """Use a line until it is lost; returns the reason."""
        self._line = line
        self._max_frame_bytes = line.hello.limits.max_frame_bytes
        self._tell(
            Online(
                line.init.user,
                line.init.threads,
                line.init.invitations,
                line.hello.model,
                line.hello.models,
                resumed,
            )
        )
        try:
            async with line:
                self._send_again()
                async for frame in line:
                    self._take(frame)
        except LineLost as lost:
            return lost.reason
        finally:
            self._line = None
        return "closed"

    def _send_again(self) -> None:
        """After a resume the server follows nothing: catch up first, then what waits."""
        waiting, self._pending = list(self._pending.values()), {}
        if self._following is not None:
            self._catch_up(self._following)
        for pending in waiting:
            if pending.reply is None or pending.reply.done():
                continue
            same = pending.type in RESENDABLE
            self._send(pending if same else replace(pending, id=self._new_id()))

    def _catch_up(self, following: FollowedThread) -> None:
        self._following = replace(following, catching_up=None)
        data = {
            "thread_id": following.thread_id,
            "after_seq": following.seq,
            "epoch": following.epoch,
        }
        self._send(Pending(self._new_id(), "get_thread", data, Purpose.CATCH_UP, None))

    # -- what comes in ---------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if frame.re is not None:
            if (pending := self._pending.pop(frame.re, None)) is not None:
                self._answer(pending, frame)
        elif frame.type == "notice":
            data = {"thread_id": frame.thread_id, **frame.data}
            try:
                self._tell(Notice.model_validate(data))
            except ValidationError:
                self._tell(Skipped("notice"))
        elif frame.type == "error":
            self._tell(Skipped(read_data(ErrorReply, frame).message))
        elif self._following is not None and frame.thread_id == self._following.thread_id:
            self._advance(self._following, frame)

    def _advance(self, following: FollowedThread, frame: Frame) -> None:
        if frame.seq is not None:
            if frame.seq <= following.seq:
                return  # a repeat: told already
            if frame.seq != following.seq + 1:
                # Dialling again asks for exactly what is missing.
                raise LineLost(f"frames {following.seq + 1} to {frame.seq - 1} are missing")
            following = replace(following, seq=frame.seq)
            self._following = following
        body = parse_live(frame)
        if body is None and frame.seq is None:
            pass  # a passing frame of a later version; nothing is lost with it
        elif body is None:
            self._tell(Skipped(f"{frame.type} {frame.seq or ''}".strip()))
        elif (
            not isinstance(body, StepDeltaEvent | StepThinkingEvent)
            or self._mailbox.waiting.qsize() < PASSING_FRAMES_KEPT
        ):
            self._tell(Live(following.thread_id, frame.seq, body))
        self._tell_if_caught_up()

    def _tell_if_caught_up(self) -> None:
        following = self._following
        if following is None or (snapshot := following.catching_up) is None:
            return
        if following.seq >= snapshot.head_seq:
            self._following = replace(following, catching_up=None)
            self._tell(CaughtUp(snapshot))

    def _answer(self, pending: Pending, frame: Frame) -> None:
        refusal = read_data(ErrorReply, frame) if frame.type == "error" else None
        if refusal is not None and pending.is_due_later(refusal):
            self._ask_later(pending, (refusal.retry_after_ms or 0) / 1000)
            return
        match pending.purpose:
            case Purpose.PLAIN:
                pass
            case Purpose.FOLLOW | Purpose.REOPEN:
                if refusal is None:
                    self._opened(read_data(ThreadMessages, frame))
                elif pending.purpose is Purpose.REOPEN:
                    self._lost_thread(refusal)
            case Purpose.CATCH_UP:
                self._catching_up(pending, frame, refusal)
            case _:
                assert_never(pending.purpose)
        if pending.reply is None or pending.reply.done():
            return
        if refusal is None:
            pending.reply.set_result(frame)
        else:
            pending.reply.set_exception(
                RefusedByServer(
                    refusal.code,
                    refusal.message,
                    retryable=refusal.retryable,
                    retry_after_ms=refusal.retry_after_ms,
                )
            )

    def _ask_later(self, pending: Pending, seconds: float) -> None:
        """Make a read again, under a new id."""
        again = replace(pending, id=self._new_id(), attempt=pending.attempt + 1)
        # Remembered at once: a new line sends it sooner, and the end of the session tells its caller.
        self._pending[again.id] = again
        asyncio.get_running_loop().call_later(seconds, self._send_if_waiting, again)

    def _send_if_waiting(self, pending: Pending) -> None:
        if self._pending.get(pending.id) is pending:
            self._send(pending)

    def _opened(self, snapshot: ThreadMessages) -> None:
        assert self._line is not None, "a reply comes over a line"  # noqa: S101
        self._following = FollowedThread(
            snapshot.thread.id, snapshot.head_seq, self._line.hello.epoch
        )
        self._tell(Opened(snapshot))

    def _catching_up(self, pending: Pending, frame: Frame, refusal: ErrorReply | None) -> None:
        following = self._following
        if following is None or following.thread_id != pending.data["thread_id"]:
            return  # another thread was opened meanwhile, or none is wanted
        if refusal is None:
            snapshot = read_data(ThreadMessages, frame)
            self._following = replace(following, catching_up=snapshot)
            self._tell_if_caught_up()
        elif refusal.code in {"conflict", "invalid_field"}:
            # Another epoch, or too much to catch up: what is remembered of `seq` is void.
            data = {"thread_id": following.thread_id}
            self._send(Pending(self._new_id(), "get_thread", data, Purpose.REOPEN, None))
        elif refusal.retryable:
            raise LineLost(refusal.message)
        else:
            self._lost_thread(refusal)

    def _lost_thread(self, refusal: ErrorReply) -> None:
        if self._following is not None:
            thread_id, self._following = self._following.thread_id, None
            self._tell(Gone(thread_id, refusal.message))

    def _tell(self, event: ClientEvent) -> None:
        self._mailbox.waiting.put_nowait(event)
