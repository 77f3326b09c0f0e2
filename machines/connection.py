"""The connection chart: one client session, from the socket to its end. Declared here, only here.

    connecting --> authenticating --> ready <--> in_thread
    ready | in_thread --socket gone--> interrupted --resume--> ready
    any --> closed

Guards read what effects brought back (`VerifySignature`, `CheckAccess`, `LookUpSession`): the chart
knows no cryptography and no storage. An error on one connection is a value in that connection.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import ClassVar

from statemachine import State

from machines.chart import Chart, EdgeKind
from machines.models import effects
from machines.models.connection import (
    Challenge,
    ConnectionFault,
    ConnectionState,
    ConnectionStatus,
)
from machines.models.effects import ConnectionEffect
from machines.models.errors import ErrorCode
from machines.models.events import ConnectionEvent
from machines.models.wire import frames
from machines.runtime import Machine
from machines.table import Configuration

MAX_SIGN_IN_FAILURES = 3
"""The third failed sign-in closes the socket."""

_NOTHING_ASKED: Mapping[str, bool | None] = MappingProxyType(
    {
        "claimed_key": None,
        "challenge": None,
        "checking": False,
        "looked_up": None,
        "wanted_thread": None,
    }
)
"""Fields of a connection that waits for nothing."""

CLOSE_SIGNED_OUT = 1000
CLOSE_NOT_AUTHENTICATED = 4001


class ConnectionChart(Chart):
    """Connection: one client session, from the socket to its end"""

    machine = "connection"
    edge_kinds: ClassVar = {
        "auth_failed": EdgeKind.FAILURE,
        "network_lost": EdgeKind.FAILURE,
        "session_expired": EdgeKind.FAILURE,
        "thread_lost": EdgeKind.FAILURE,
        "resume": EdgeKind.RETRY,
        "session_looked_up": EdgeKind.RETRY,
        "sign_out": EdgeKind.CANCEL,
    }

    class connection(State.Compound):  # noqa: N801 - a state, named as it is drawn
        connecting = State(initial=True)
        authenticating = State()
        ready = State()
        in_thread = State()
        interrupted = State()
        closed = State(final=True)

        connect = connecting.to(authenticating, on="ask_for_challenge")
        challenge_issued = authenticating.to(
            authenticating, cond="challenge_is_awaited", on="send_challenge"
        )
        authenticate = (
            authenticating.to(
                authenticating,
                cond=["challenge_is_open", "challenge_is_in_time"],
                on="verify_signature",
            )
            | authenticating.to(
                connecting, cond="failures_left", on=["count_failure", "refuse_sign_in"]
            )
            | authenticating.to(
                closed, unless="failures_left", on=["count_failure", "refuse_sign_in", "turn_away"]
            )
            | connecting.to(
                connecting, cond="failures_left", on=["count_failure", "refuse_sign_in"]
            )
            | connecting.to(
                closed, unless="failures_left", on=["count_failure", "refuse_sign_in", "turn_away"]
            )
        )
        signature_checked = (
            authenticating.to(
                ready,
                cond=["signature_is_being_checked", "signature_is_valid"],
                on=["sign_in", "welcome"],
            )
            | authenticating.to(
                connecting,
                cond=["signature_is_being_checked", "failures_left"],
                unless="signature_is_valid",
                on=["count_failure", "refuse_sign_in"],
            )
            | authenticating.to(
                closed,
                cond="signature_is_being_checked",
                unless=["signature_is_valid", "failures_left"],
                on=["count_failure", "refuse_sign_in", "turn_away"],
            )
        )
        resume = connecting.to(connecting, on="look_up_session") | interrupted.to(
            interrupted, cond="token_is_of_this_session", on="look_up_session"
        )
        session_looked_up = (
            connecting.to(
                ready,
                cond=["session_is_the_one_looked_up", "session_is_valid"],
                on=["sign_in", "welcome_back"],
            )
            | connecting.to(
                connecting,
                cond=["session_is_the_one_looked_up", "failures_left"],
                unless="session_is_valid",
                on=["count_failure", "refuse_sign_in"],
            )
            | connecting.to(
                closed,
                cond="session_is_the_one_looked_up",
                unless=["session_is_valid", "failures_left"],
                on=["count_failure", "refuse_sign_in", "turn_away"],
            )
            | interrupted.to(
                ready,
                cond=["session_is_the_one_looked_up", "session_is_valid"],
                on=["sign_in", "welcome_back"],
            )
            | interrupted.to(
                connecting,
                cond="session_is_the_one_looked_up",
                unless="session_is_valid",
                on=["forget", "count_failure", "refuse_sign_in"],
            )
        )

        open_thread = ready.to(ready, on="check_access") | in_thread.to(
            in_thread, on="check_access"
        )
        access_checked = (
            ready.to(
                in_thread, cond=["thread_is_the_one_asked_for", "thread_is_readable"], on="follow"
            )
            | ready.to(
                ready,
                cond="thread_is_the_one_asked_for",
                unless="thread_is_readable",
                on="refuse_thread",
            )
            | in_thread.to(
                in_thread,
                cond=["thread_is_the_one_asked_for", "thread_is_readable"],
                on=["unfollow", "follow"],
            )
            | in_thread.to(
                in_thread,
                cond="thread_is_the_one_asked_for",
                unless="thread_is_readable",
                on="refuse_thread",
            )
        )
        leave_thread = (
            in_thread.to(ready, cond="thread_is_the_followed_one", on=["unfollow", "say_left"])
            | in_thread.to(in_thread, unless="thread_is_the_followed_one", on="say_left")
            | ready.to(ready, on="say_left")
        )
        thread_lost = in_thread.to(ready, cond="thread_is_the_followed_one", on="unfollow")
        request = ready.to(ready, on="perform_request") | in_thread.to(
            in_thread, on="perform_request"
        )

        auth_failed = ready.to(connecting, on="forget") | in_thread.to(
            connecting, on=["unfollow", "forget"]
        )
        network_lost = (
            connecting.to(closed, on="forget")
            | authenticating.to(closed, on="forget")
            | ready.to(interrupted, on="keep_session")
            | in_thread.to(interrupted, on=["unfollow", "keep_session"])
        )
        sign_out = ready.to(closed, on=["end_session", "forget"]) | in_thread.to(
            closed, on=["unfollow", "end_session", "forget"]
        )
        session_expired = (
            ready.to(closed, on=["say_expired", "forget"])
            | in_thread.to(closed, on=["unfollow", "say_expired", "forget"])
            | interrupted.to(closed, on="forget")
        )

    # Guards: results are of what was asked last, so that a late one signs nobody in

    def challenge_is_awaited(self) -> bool:
        return self.model.state.claimed_key is not None

    def signature_is_being_checked(self) -> bool:
        return bool(self.model.state.checking)

    def token_is_of_this_session(self) -> bool:
        return bool(self.model.event.token_hash == self.model.state.token_hash)

    def session_is_the_one_looked_up(self) -> bool:
        return bool(self.model.event.token_hash == self.model.state.looked_up)

    def challenge_is_open(self) -> bool:
        """A nonce serves once."""
        return self.model.state.challenge is not None

    def challenge_is_in_time(self) -> bool:
        challenge: Challenge | None = self.model.state.challenge
        return challenge is not None and self.model.event.at < challenge.expires_at

    def failures_left(self) -> bool:
        return bool(self.model.state.failures + 1 < MAX_SIGN_IN_FAILURES)

    def signature_is_valid(self) -> bool:
        event = self.model.event
        return bool(event.valid and event.user is not None and event.session is not None)

    def session_is_valid(self) -> bool:
        event = self.model.event
        return (
            event.session is not None
            and event.session.id == event.token_hash
            and event.user is not None
            and event.user.public_key == event.session.public_key
            and event.at < event.session.expires_at
        )

    def thread_is_the_one_asked_for(self) -> bool:
        return bool(self.model.event.thread_id == self.model.state.wanted_thread)

    def thread_is_readable(self) -> bool:
        return bool(self.model.event.readable)

    def thread_is_the_followed_one(self) -> bool:
        return bool(self.model.event.thread_id == self.model.state.thread_id)

    # Callbacks

    def ask_for_challenge(self) -> None:
        key = self.model.event.public_key
        self._set(ConnectionStatus.AUTHENTICATING, claimed_key=key)
        self._emit(effects.IssueChallenge(public_key=key))

    def send_challenge(self) -> None:
        event = self.model.event
        state: ConnectionState = self.model.state
        assert state.claimed_key is not None  # noqa: S101 - authenticating begins with a key
        self._set(
            claimed_key=None,
            challenge=Challenge(
                public_key=state.claimed_key,
                statement=event.statement,
                nonce=event.nonce,
                expires_at=event.expires_at,
            ),
        )
        self._send(
            frames.ChallengeFrame(
                data=frames.Challenge(
                    statement=event.statement, nonce=event.nonce, expires_at=event.expires_at
                )
            )
        )

    def verify_signature(self) -> None:
        challenge: Challenge = self.model.state.challenge
        self._set(challenge=None, checking=True)
        self._emit(
            effects.VerifySignature(
                public_key=challenge.public_key,
                statement=challenge.statement,
                signature=self.model.event.signature,
            )
        )

    def count_failure(self) -> None:
        state: ConnectionState = self.model.state
        self._set(
            ConnectionStatus.CONNECTING,
            failures=state.failures + 1,
            **_NOTHING_ASKED,
        )

    def refuse_sign_in(self) -> None:
        self._fault(
            ErrorCode.AUTH_FAILED, "The sign-in was not accepted; begin again with connect."
        )

    def turn_away(self) -> None:
        self._set(ConnectionStatus.CLOSED)
        self._close(CLOSE_NOT_AUTHENTICATED, "not authenticated")

    def sign_in(self) -> None:
        session, user = self.model.event.session, self.model.event.user
        self._set(
            ConnectionStatus.READY,
            user=user,
            token_hash=session.id,
            session_expires_at=session.expires_at,
            failures=0,
            thread_id=None,
            error_state=None,
            **_NOTHING_ASKED,
        )

    def welcome(self) -> None:
        self._emit(effects.Welcome(resumed=False))

    def welcome_back(self) -> None:
        self._emit(effects.Welcome(resumed=True))

    def look_up_session(self) -> None:
        token_hash = self.model.event.token_hash
        self._set(looked_up=token_hash)
        self._emit(effects.LookUpSession(token_hash=token_hash))

    def check_access(self) -> None:
        state: ConnectionState = self.model.state
        assert state.user is not None  # noqa: S101 - nobody is ready without a user
        wanted = self.model.event.thread_id
        self._set(wanted_thread=wanted)
        self._emit(effects.CheckAccess(thread_id=wanted, public_key=state.user.public_key))

    def follow(self) -> None:
        thread_id = self.model.event.thread_id
        self._set(ConnectionStatus.IN_THREAD, thread_id=thread_id, wanted_thread=None)
        self._emit(effects.FollowThread(thread_id=thread_id))

    def unfollow(self) -> None:
        state: ConnectionState = self.model.state
        assert state.thread_id is not None  # noqa: S101 - in_thread names its thread
        self._set(ConnectionStatus.READY, thread_id=None)
        self._emit(effects.UnfollowThread(thread_id=state.thread_id))

    def say_left(self) -> None:
        accepted = frames.Accepted(thread_id=self.model.event.thread_id)
        self._send(frames.AcceptedFrame(data=accepted))

    def refuse_thread(self) -> None:
        self._set(wanted_thread=None)
        self._fault(ErrorCode.NOT_FOUND, "There is no such thread.")

    def perform_request(self) -> None:
        state: ConnectionState = self.model.state
        assert state.user is not None  # noqa: S101 - nobody is ready without a user
        self._emit(
            effects.PerformRequest(
                message=self.model.event.message, public_key=state.user.public_key
            )
        )

    def keep_session(self) -> None:
        self._set(ConnectionStatus.INTERRUPTED, wanted_thread=None)

    def end_session(self) -> None:
        state: ConnectionState = self.model.state
        assert state.user is not None  # noqa: S101 - as above
        assert state.token_hash is not None  # noqa: S101 - as above
        self._emit(
            effects.EndSession(token_hash=state.token_hash, public_key=state.user.public_key)
        )
        self._send(frames.AcceptedFrame(data=frames.Accepted()))
        self._close(CLOSE_SIGNED_OUT, "signed out")

    def say_expired(self) -> None:
        self._fault(ErrorCode.AUTH_FAILED, "The session is over; sign in again.")
        self._close(CLOSE_NOT_AUTHENTICATED, "session over")

    def forget(self) -> None:
        """Whoever this was: the connection knows no person and no session any more."""
        target = (
            ConnectionStatus.CONNECTING
            if self.model.event.event in {"auth_failed", "session_looked_up"}
            else ConnectionStatus.CLOSED
        )
        self._set(
            target,
            user=None,
            token_hash=None,
            session_expires_at=None,
            thread_id=None,
            **_NOTHING_ASKED,
        )

    def _set(self, status: ConnectionStatus | None = None, **changes: object) -> None:
        if status is not None:
            changes["status"] = status
        self.model.state = self.model.state.changed(**changes)

    def _emit(self, effect: ConnectionEffect) -> None:
        self.model.effects.append(effect)

    def _send(self, frame: frames.ServerMessage) -> None:
        self._emit(effects.WebSocketEvent(frame=frame))

    def _fault(self, code: ErrorCode, message: str) -> None:
        self._set(error_state=ConnectionFault(code=code, message=message))
        error = frames.ErrorData(code=code, message=message, retryable=False)
        self._send(frames.ErrorFrame(data=error))

    def _close(self, code: int, reason: str) -> None:
        self._emit(effects.CloseConnection(code=code, reason=reason))


ConnectionMachine = Machine[ConnectionState, ConnectionEvent, object, ConnectionEffect]

_CONFIGURATIONS: Mapping[ConnectionStatus, Configuration] = MappingProxyType(
    {status: ("connection", status.value) for status in ConnectionStatus}
)


@cache
def connection_machine() -> ConnectionMachine:
    """The chart's one machine; its table is compiled at the first event."""
    return Machine(
        ConnectionChart,
        instance_of=lambda state: state.client_id,
        configuration_of=lambda state: _CONFIGURATIONS[state.status],
    )
