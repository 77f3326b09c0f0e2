"""One connection: its frozen state, the interpreter of its effects, and its place as a follower.

`Session.handle` takes a decoded frame: the pure handler gives a new state and effects, the effects
are performed one after the other, and what they bring back goes into the chart as events. A failure
is an `error` frame on this connection and nothing else.
"""

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import assert_never

from machines.decisions.connections import (
    handle_client_message,
    handle_connection_error,
    handle_disconnect,
    handle_event,
    hash_token,
    new_connection,
)
from machines.decisions.views import user_view
from machines.models import effects
from machines.models.connection import (
    AccessChecked,
    ChallengeIssued,
    ConnectionEvent,
    ConnectionState,
    ConnectionStatus,
    SessionExpired,
    SessionLookedUp,
    SignatureChecked,
    ThreadLost,
)
from machines.models.effects import ConnectionEffect
from machines.models.errors import (
    AuthError,
    ChorusError,
    InvalidTransition,
    StorageError,
    ThreadError,
)
from machines.models.ids import ClientId, PublicKey, RequestId, ThreadId
from machines.models.wire import frames, requests, views
from machines.models.wire.close_codes import CloseCode
from machines.models.wire.requests import ClientMessage
from server.sessions import signatures
from server.sessions.admission import Admission
from server.sessions.pages import (
    FRAME_ROOM,
    INVITATIONS_ROOM,
    invitations_that_fit,
    threads_that_fit,
)
from server.sessions.ports import CloseSocket, ConnectionOrigin, FrameSink
from server.sessions.quotas import is_read
from server.sessions.registry import Sessions
from server.wire.codec import encode_server_frame, error_frame

log = logging.getLogger(__name__)


class Session:
    """One connection; also a follower of threads."""

    __slots__ = (
        "_admission",
        "_attached",
        "_close",
        "_holder",
        "_origin",
        "_services",
        "_sessions",
        "_token",
        "sink",
        "state",
    )

    def __init__(
        self,
        sessions: Sessions,
        sink: FrameSink,
        close: CloseSocket,
        origin: ConnectionOrigin,
        state: ConnectionState,
    ) -> None:
        self.state = state
        self._sessions = sessions
        self._services = sessions.services
        self.sink = sink
        self._close = close
        self._origin = origin
        self._admission = Admission(sessions, origin.address)
        self._token = ""
        self._holder: str | None = None
        self._attached: PublicKey | None = None
        """Whose connection this is to the broadcast; outlives the state's user by a sign-out."""

    @property
    def signed_in(self) -> bool:
        """Whether `init` was sent."""
        return self.state.user is not None

    @property
    def holder(self) -> str | None:
        """Names this connection to all servers, once it resumed its session."""
        return self._holder

    # As a follower

    @property
    def public_key(self) -> PublicKey:
        """Of the person who is signed in, or was until the connection ended."""
        assert self._attached is not None, "only signed-in sessions follow"  # noqa: S101
        return self._attached

    def lose_thread(self, thread_id: ThreadId) -> None:
        """The thread may not be read any more."""
        if self.state.thread_id == thread_id:
            self.state, _ = handle_connection_error(
                self.state, ThreadError("The thread is not to be had any more.")
            )

    def too_slow(self) -> None:
        """It takes longer to catch up than the thread takes to go on."""
        self._close(CloseCode.TOO_SLOW, "the consumer is too slow")

    # Frames

    async def handle(self, message: ClientMessage) -> None:
        """Take one frame, and reply to it.

        A session may end while a read is under way: then nothing that was read is sent any more.
        What was begun to be changed is done, and answered.
        """
        before, holder, is_answered = self.state, self._attached, False
        try:
            await self._admission.sign_in(message)
            if not is_read(message):
                await self._require_session()
            async with aclosing(self.handle_effects(self._asked(message), message)) as replies:
                async for text in replies:
                    if is_read(message) and self._attached != holder:
                        if not is_answered:
                            self._failed(_session_over(), before, message)
                        return
                    is_answered = True
                    self.sink.reply(text)
                    self._admission.charge(message, text, self._attached)
                    await self.sink.room()
        except Exception as error:  # noqa: BLE001 - it is told to the client, and logged
            self._failed(error, before, message)
        finally:
            if isinstance(message, requests.ResumeRequest):
                await self._turn_back(hash_token(message.data.token))
        if self.state.status is ConnectionStatus.CLOSED:
            self._close(CloseCode.DONE, "closed")

    def handle_at_once(self, message: ClientMessage) -> bool:
        """As `handle`, for the one frame whose effects wait for nothing: a `connect`, where sign-ins are
        counted here. False where it is another one, and nothing was done."""
        if not isinstance(message, requests.ConnectRequest) or not self._admission.is_at_once:
            return False
        before = self.state
        try:
            self._admission.sign_in_at_once()
            self._perform_at_once(self._asked(message), message.id)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error, before, message)
        return True

    def _perform_at_once(self, asked: tuple[ConnectionEffect, ...], re: RequestId) -> None:
        """What a `connect` asks for: a challenge, and the frame that brings it."""
        for effect in asked:
            match effect:
                case effects.IssueChallenge(public_key=key):
                    self.state, more = handle_event(self.state, self._issue_challenge(key))
                    self._perform_at_once(more, re)
                case effects.WebSocketEvent(frame=frame):
                    self.sink.reply(encode_server_frame(frame, re=re))
                case _:
                    raise AssertionError(f"a connect asks for {type(effect).__name__}")

    async def handle_effects(
        self, asked: tuple[ConnectionEffect, ...], message: ClientMessage
    ) -> AsyncGenerator[str, None]:
        """Perform effects in order, and what follows from them; yields encoded frames."""
        waiting = deque(asked)
        while waiting:
            effect = waiting.popleft()
            event: ConnectionEvent | None = None
            match effect:
                case effects.WebSocketEvent(frame=frame):
                    if isinstance(frame, frames.ErrorFrame):
                        self._services.on_refusal(frame.data, message)
                    yield encode_server_frame(frame, re=message.id)
                case effects.IssueChallenge(public_key=key):
                    event = self._issue_challenge(key)
                case effects.VerifySignature():
                    event = await self._verify(effect)
                case effects.LookUpSession(token_hash=token_hash):
                    event = await self._look_up(token_hash, message)
                case effects.CheckAccess():
                    event = await self._check_access(effect, message)
                case effects.Welcome(resumed=resumed):
                    yield await self._welcome(message.id, resumed=resumed)
                case effects.FollowThread(thread_id=thread_id):
                    async for text in self._follow(thread_id, message):
                        yield text
                case effects.UnfollowThread(thread_id=thread_id):
                    self._services.broadcast.unfollow(thread_id, self)
                case effects.PerformRequest(message=request, public_key=caller):
                    reply = await self._services.requests.perform(
                        request, caller, self._origin.address, self._token
                    )
                    if is_read(request):
                        await self._require_session()
                    yield reply
                case effects.EndSession(token_hash=token_hash):
                    await self._sessions.end(token_hash, by=self)
                case effects.CloseConnection(code=code, reason=reason):
                    self._close(code, reason)
                case _:
                    assert_never(effect)
            if event is not None:
                self.state, more = handle_event(self.state, event)
                waiting.extend(more)

    def disconnected(self) -> None:
        """The socket is gone."""
        self._detach()
        self.state, _ = handle_disconnect(self.state)
        token_hash = self.state.token_hash
        if token_hash is not None:
            self._sessions.gone(token_hash, self)
            if self.state.status is ConnectionStatus.INTERRUPTED:
                self._sessions.keep(token_hash, self.state)

    def replaced(self) -> None:
        """Another socket resumed this session."""
        self._end(CloseCode.REPLACED, "replaced by a resume of the same session")

    def expired(self) -> None:
        """The session's time is over."""
        if self.signed_in:
            self.sink.reply(encode_server_frame(error_frame(_session_over())))
        self._end(CloseCode.NOT_AUTHENTICATED, "session over")

    def read_anew(self) -> None:
        """What the client was shown is void: it resumes, and reads anew."""
        self._close(CloseCode.TOO_SLOW, "what was shown is void: read it anew")

    # Inside

    def _asked(self, message: ClientMessage) -> tuple[ConnectionEffect, ...]:
        """The effects that a frame asks for, once the chart has taken it."""
        self._admission.request(message, self._attached)
        self.state, asked = handle_client_message(
            self._adopted(message), message, self._services.environment.now()
        )
        return asked

    def _failed(self, error: Exception, before: ConnectionState, message: ClientMessage) -> None:
        """A frame is refused, or could not be handled: say so, and nothing else has happened."""
        if not isinstance(error, ChorusError):
            log.error("a %s failed", message.type, exc_info=error)
            error = ChorusError("Something went wrong on the server.")
        self._restore(before, message)
        self._refuse(error, message)

    def _end(self, code: CloseCode, reason: str) -> None:
        """The session is not this connection's any more."""
        if not self.signed_in:
            return
        self._detach()
        if self.state.token_hash is not None:
            self._sessions.gone(self.state.token_hash, self)
        self.state, _ = handle_event(self.state, SessionExpired())
        self._close(code, reason)

    def _detach(self) -> None:
        """Nobody sends to this connection any more."""
        if self.state.thread_id is not None:
            self._services.broadcast.unfollow(self.state.thread_id, self)
        if self._attached is not None:
            self._services.broadcast.users.detach(self)
            self._attached = None

    async def _require_session(self) -> None:
        """Who is signed in holds their session still. What is changed asks before, what is read behind.

        Raises:
            AuthError: another connection took it up, or it is over, at this server or another.
            JournalError: it cannot be known.
        """
        token_hash = self.state.token_hash
        if self._attached is None or token_hash is None:
            return
        if not await self._sessions.confirm(token_hash, self):
            raise _session_over()

    async def _turn_back(self, token_hash: str) -> None:
        """A resume is over, whatever came of it. Who took the session up meanwhile, at another server,
        has it."""
        self._sessions.turn_back(token_hash, self)
        with suppress(StorageError):
            await self._sessions.confirm(token_hash, self)

    def _adopted(self, message: ClientMessage) -> ConnectionState:
        """For a resume: the interrupted connection itself, where this process still has it."""
        if (
            isinstance(message, requests.ResumeRequest)
            and self.state.status is ConnectionStatus.CONNECTING
        ):
            kept = self._sessions.take(hash_token(message.data.token))
            if kept is not None:
                return kept
        return self.state

    def _restore(self, before: ConnectionState, message: ClientMessage) -> None:
        """A frame failed half-way, in an effect: leave the connection where it can go on."""
        if self.state is before:
            return
        match message:
            case (
                requests.ConnectRequest()
                | requests.AuthenticateRequest()
                | requests.ResumeRequest()
            ):
                # Half a sign-in is none, and its nonce is spent: begin again with connect.
                self._detach()
                fresh = new_connection(before.client_id)
                self.state = fresh.model_copy(update={"failures": before.failures})
            case requests.SignOutRequest() if self._attached is not None:
                self.state = before
                if before.thread_id and not self._services.broadcast.follows(
                    before.thread_id, self
                ):
                    self.lose_thread(before.thread_id)
            case _:
                # Requests change nothing here, and following puts right what it began.
                pass

    def _refuse(self, error: ChorusError, message: ClientMessage) -> None:
        if error.detail:
            log.info("%s: %s", error.code, error.detail)
        frame = error_frame(error)
        self._services.on_refusal(frame.data, message)
        self.sink.reply(encode_server_frame(frame, re=message.id))

    def _issue_challenge(self, public_key: PublicKey) -> ChallengeIssued:
        environment, origin = self._services.environment, self._origin
        nonce, now = signatures.new_nonce(environment.secret), environment.now()
        return signatures.new_challenge(origin.host, origin.public_url, public_key, nonce, now)

    async def _verify(self, effect: effects.VerifySignature) -> SignatureChecked:
        if not signatures.verify(effect.public_key, effect.statement, effect.signature):
            return SignatureChecked(valid=False)
        self._admission.connection_of(effect.public_key)
        signed_in = await self._services.accounts.sign_in(effect.public_key)
        self._token = signed_in.token
        return SignatureChecked(valid=True, user=signed_in.user, session=signed_in.session)

    async def _look_up(self, token_hash: str, message: ClientMessage) -> SessionLookedUp:
        journal = self._services.journal
        self._sessions.arrive(token_hash, self)
        session = await journal.session(token_hash)
        user = await journal.user(session.public_key) if session is not None else None
        if isinstance(message, requests.ResumeRequest):
            self._token = message.data.token
        if session is not None and not self._sessions.holds(token_hash):
            self._admission.connection_of(session.public_key)
        return SessionLookedUp(
            token_hash=token_hash, at=self._services.environment.now(), session=session, user=user
        )

    async def _check_access(
        self, effect: effects.CheckAccess, message: ClientMessage
    ) -> AccessChecked:
        thread = await self._services.thread_service.readable(effect.thread_id, effect.public_key)
        if thread is not None and isinstance(message, requests.GetThreadRequest):
            await self._services.requests.reads.check_catch_up(message.data)
        return AccessChecked(thread_id=effect.thread_id, readable=thread is not None)

    async def _welcome(self, re: RequestId, *, resumed: bool) -> str:
        state, services = self.state, self._services
        assert state.user is not None  # noqa: S101 - the chart welcomes people who signed in
        assert state.token_hash is not None  # noqa: S101 - as above
        assert state.session_expires_at is not None  # noqa: S101 - as above
        session = await services.journal.session(state.token_hash) if resumed else None
        arrival = await services.accounts.arrival_of(state.user.public_key)
        if resumed:
            await self._hold(state.token_hash)
        if not self._sessions.holds(state.token_hash):
            # Again, now that nothing awaits any more: many may have signed in at this moment.
            self._admission.connection_of(state.user.public_key)
        self._attached = state.user.public_key
        services.broadcast.users.attach(self)
        services.broadcast.presence.heed(self._attached, hides=state.user.hides_presence)
        self._sessions.live(state.token_hash, self)
        invitations, _ = invitations_that_fit(arrival.invitations, INVITATIONS_ROOM)
        threads, further = threads_that_fit(arrival.threads, FRAME_ROOM - INVITATIONS_ROOM)
        init = frames.InitData(
            user=user_view(state.user),
            threads=threads,
            invitations=invitations,
            session=views.SessionView(token=self._token, expires_at=state.session_expires_at),
            resumed=resumed,
            thread_id=session.thread_id if session is not None else None,
            next=further,
        )
        return encode_server_frame(frames.InitFrame(data=init), re=re)

    async def _hold(self, token_hash: str) -> None:
        """Take a session away from whoever had it, at this server or another. Raises AuthError where it
        is over."""
        services, is_there = self._services, True
        if services.journal.shared:
            self._holder = services.environment.new_id()
            is_there = await services.accounts.hold_session(token_hash, self._holder)
        if not is_there or not self._sessions.arrives(token_hash, self):
            raise _session_over()

    async def _follow(self, thread_id: ThreadId, message: ClientMessage) -> AsyncIterator[str]:
        """The snapshot, what was missed, and from there on the live frames."""
        assert isinstance(message, requests.GetThreadRequest)  # noqa: S101 - no other frame follows
        services, caller = self._services, self.public_key
        services.broadcast.follow(thread_id, self)
        is_answered = False
        try:
            view, snapshot = await services.requests.reads.snapshot(message, caller)
            await self._require_session()
            is_answered = True
            yield snapshot
            if message.data.after_seq is not None:
                async for text in services.requests.reads.catch_up(
                    thread_id, caller, after_seq=message.data.after_seq, up_to=view.head_seq
                ):
                    yield text
            now = await services.thread_service.at_head(thread_id)
            thread, head_seq = now or (view.thread, view.head_seq)
            services.broadcast.go_live(thread_id, self, thread, view.head_seq, head_seq)
        except Exception as error:
            services.broadcast.unfollow(thread_id, self)
            with suppress(InvalidTransition):
                self.state, _ = handle_event(self.state, ThreadLost(thread_id=thread_id))
            if is_answered and isinstance(error, ChorusError):
                # A request has one reply. Who resumes and asks again is told what it is now.
                self._close(CloseCode.TOO_SLOW, "the thread could not be caught up")
                return
            raise
        if self.state.token_hash is not None:
            with suppress(StorageError):
                await services.journal.touch_session(self.state.token_hash, thread_id)


def _session_over() -> AuthError:
    return AuthError("The session is over; sign in again.")


def begin_session(
    sessions: Sessions, sink: FrameSink, close: CloseSocket, origin: ConnectionOrigin
) -> Session:
    """A session for a socket that was just opened."""
    client_id = ClientId(sessions.services.environment.new_id())
    return Session(sessions, sink, close, origin, new_connection(client_id))
