"""The connection chart: one client session, from the socket to its end. Declared here, only here.

    signing_in( connecting --> authenticating ) --> signed_in( ready <--> in_thread )
    signed_in --socket gone--> interrupted --resume--> signed_in
    any --> closed

What stands on the edges is in `machines.connection_rules`. An error on one connection is a value in
that connection.
"""

from functools import cache
from typing import ClassVar

from statemachine import State

from machines import connection_rules as rules
from machines.models.connection import (
    AccessChecked,
    AuthenticateRequested,
    AuthFailed,
    ChallengeIssued,
    ConnectionEvent,
    ConnectionState,
    ConnectionStatus,
    ConnectRequested,
    LeaveRequested,
    NetworkLost,
    RequestMade,
    ResumeRequested,
    SessionExpired,
    SessionLookedUp,
    SignatureChecked,
    SignedOut,
    ThreadLost,
    ThreadRequested,
)
from machines.models.effects import ConnectionEffect
from machines.statechart import Chart, Configuration, EdgeKind, Edges, Machine

on = Edges[ConnectionState, object, ConnectionEffect]()


class ConnectionChart(Chart[ConnectionState]):
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

    class signing_in(State.Compound):  # noqa: N801 - a state, named as it is drawn
        connecting = State(initial=True)
        authenticating = State()

        connect = on(ConnectRequested, connecting.to(authenticating), do=[rules.ask_for_challenge])
        challenge_issued = on(
            ChallengeIssued,
            authenticating.to(authenticating),
            when=[rules.challenge_is_awaited],
            do=[rules.send_challenge],
        )
        authenticate = on(
            AuthenticateRequested,
            authenticating.to(authenticating),
            when=[rules.challenge_is_open, rules.challenge_is_in_time],
            do=[rules.verify_signature],
        )
        signature_checked = on(
            SignatureChecked,
            authenticating.to(connecting),
            when=[rules.signature_is_being_checked, rules.failures_left],
            unless=[rules.signature_is_valid],
            do=[rules.count_failure, rules.refuse_sign_in],
        )
        resume = on(ResumeRequested, connecting.to(connecting), do=[rules.look_up_session])
        session_looked_up = on(
            SessionLookedUp,
            connecting.to(connecting),
            when=[rules.session_is_the_one_looked_up, rules.failures_left],
            unless=[rules.session_is_valid],
            do=[rules.count_failure, rules.refuse_sign_in],
        )

    class signed_in(State.Compound):  # noqa: N801
        ready = State(initial=True)
        in_thread = State()

        open_thread = on(
            ThreadRequested, ready.to(ready) | in_thread.to(in_thread), do=[rules.check_access]
        )
        access_checked = (
            on(
                AccessChecked,
                ready.to(in_thread),
                when=[rules.thread_is_the_one_asked_for, rules.thread_is_readable],
                do=[rules.follow],
            )
            | on(
                AccessChecked,
                in_thread.to(in_thread),
                when=[rules.thread_is_the_one_asked_for, rules.thread_is_readable],
                do=[rules.unfollow, rules.follow],
            )
            | on(
                AccessChecked,
                ready.to(ready) | in_thread.to(in_thread),
                when=[rules.thread_is_the_one_asked_for],
                unless=[rules.thread_is_readable],
                do=[rules.refuse_thread],
            )
        )
        leave_thread = (
            on(
                LeaveRequested,
                in_thread.to(ready),
                when=[rules.thread_is_the_followed_one],
                do=[rules.unfollow, rules.say_left],
            )
            | on(
                LeaveRequested,
                in_thread.to(in_thread),
                unless=[rules.thread_is_the_followed_one],
                do=[rules.say_left],
            )
            | on(LeaveRequested, ready.to(ready), do=[rules.say_left])
        )
        thread_lost = on(
            ThreadLost,
            in_thread.to(ready),
            when=[rules.thread_is_the_followed_one],
            do=[rules.unfollow],
        )
        request = on(
            RequestMade, ready.to(ready) | in_thread.to(in_thread), do=[rules.perform_request]
        )

    interrupted = State()
    closed = State(final=True)

    authenticate = on(
        AuthenticateRequested,
        signing_in.connecting.from_(signing_in),
        when=[rules.failures_left],
        do=[rules.count_failure, rules.refuse_sign_in],
    ) | on(
        AuthenticateRequested,
        closed.from_(signing_in),
        unless=[rules.failures_left],
        do=[rules.count_failure, rules.refuse_sign_in, rules.turn_away],
    )
    signature_checked = on(
        SignatureChecked,
        signing_in.authenticating.to(signed_in.ready),
        when=[rules.signature_is_being_checked, rules.signature_is_valid],
        do=[rules.sign_in, rules.welcome],
    ) | on(
        SignatureChecked,
        signing_in.authenticating.to(closed),
        when=[rules.signature_is_being_checked],
        unless=[rules.signature_is_valid, rules.failures_left],
        do=[rules.count_failure, rules.refuse_sign_in, rules.turn_away],
    )
    resume = on(
        ResumeRequested,
        interrupted.to(interrupted),
        when=[rules.token_is_of_this_session],
        do=[rules.look_up_session],
    )
    session_looked_up = (
        on(
            SessionLookedUp,
            signing_in.connecting.to(signed_in.ready) | interrupted.to(signed_in.ready),
            when=[rules.session_is_the_one_looked_up, rules.session_is_valid],
            do=[rules.sign_in, rules.welcome_back],
        )
        | on(
            SessionLookedUp,
            signing_in.connecting.to(closed),
            when=[rules.session_is_the_one_looked_up],
            unless=[rules.session_is_valid, rules.failures_left],
            do=[rules.count_failure, rules.refuse_sign_in, rules.turn_away],
        )
        | on(
            SessionLookedUp,
            interrupted.to(signing_in.connecting),
            when=[rules.session_is_the_one_looked_up],
            unless=[rules.session_is_valid],
            do=[rules.forget, rules.count_failure, rules.refuse_sign_in],
        )
    )
    auth_failed = on(
        AuthFailed, signing_in.connecting.from_(signed_in), do=[rules.unfollow, rules.forget]
    )
    network_lost = on(NetworkLost, closed.from_(signing_in), do=[rules.forget]) | on(
        NetworkLost, interrupted.from_(signed_in), do=[rules.unfollow, rules.keep_session]
    )
    sign_out = on(
        SignedOut, closed.from_(signed_in), do=[rules.unfollow, rules.end_session, rules.forget]
    )
    session_expired = on(
        SessionExpired,
        closed.from_(signed_in),
        do=[rules.unfollow, rules.say_expired, rules.forget],
    ) | on(SessionExpired, interrupted.to(closed), do=[rules.forget])


ConnectionMachine = Machine[ConnectionState, ConnectionEvent, object, ConnectionEffect]


@cache
def connection_machine() -> ConnectionMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(
        ConnectionChart, states_of=lambda connection: (connection.status.value,), place=_place
    )


def _place(
    connection: ConnectionState, _: ConnectionEvent, states: Configuration
) -> ConnectionState:
    if states[0] == connection.status.value:
        return connection
    return connection.changed(status=ConnectionStatus(states[0]))
