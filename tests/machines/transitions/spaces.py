"""The space of each chart: what its guards read of a value, and everything that may happen to one.

An alphabet holds each kind of event with every outcome of every guard, late and foreign results
among them. The search takes all of them in every state, random walks some.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from machines.branch import branch_machine
from machines.breaker import breaker_machine
from machines.chorus import chorus_machine
from machines.connection import connection_machine
from machines.invitation import invitation_machine
from machines.invite_link import invite_link_machine
from machines.lease import lease_machine
from machines.loop.recovery import MAX_REBUILDS
from machines.message import message_machine
from machines.models.branch import Branch, BranchEvent, BranchPromptSuperseded, BranchRunEnded
from machines.models.breaker import BreakerEvent, BreakerState, EndpointDropped
from machines.models.chorus import (
    Awaited,
    ChartOutcome,
    ChorusEvent,
    ChorusState,
    Health,
    LoopMode,
    RunStatus,
)
from machines.models.connection import (
    AuthFailed,
    ConnectionEvent,
    ConnectionState,
    ConnectionStatus,
    NetworkLost,
    SessionExpired,
    SignedOut,
)
from machines.models.domain import Role, Valid
from machines.models.invitation import Invitation, InvitationEvent
from machines.models.invite_link import InviteLink, InviteLinkEvent
from machines.models.lease import Lease
from machines.models.message import (
    AnswerGiven,
    AnswerReplaced,
    Message,
    MessageEvent,
    PromptSuperseded,
)
from machines.models.outputs import StepEnum, StepOutput
from machines.models.removal import Removal, RemovalEvent
from machines.models.thread import Thread, ThreadOperation
from machines.removal import removal_machine
from machines.statechart.coverage import Key, Reached, Space, explore
from machines.statechart.engine import AnyMachine
from machines.thread import thread_machine
from tests.machines.transitions import branch_scenarios as other_way
from tests.machines.transitions import breaker_scenarios as breaker
from tests.machines.transitions import chorus_scenarios as run
from tests.machines.transitions import connection_scenarios as link
from tests.machines.transitions import invitation_scenarios as ask
from tests.machines.transitions import lease_scenarios as tenure
from tests.machines.transitions import link_scenarios as address
from tests.machines.transitions import message_scenarios as message
from tests.machines.transitions import removal_scenarios as expel
from tests.machines.transitions import thread_scenarios as thread
from tests.machines.transitions.answers import answers_to
from tests.machines.transitions.values import (
    ALICE,
    BOB,
    CAROL,
    DEADLINE,
    MESSAGE,
    NOW,
    OTHER_THREAD,
    SOON,
    THREAD,
)


@dataclass(frozen=True, slots=True)
class RunKey:
    """What the guards of the chorus chart read of a run that is not final."""

    status: RunStatus
    step: StepEnum
    health: Health
    awaiting: Awaited
    iteration: int
    failures: int
    has_waited: bool
    rebuilds: int
    context_is_halved: bool
    loop: LoopMode
    begins_with: str | None
    """What a fork that waits goes on with; None where it has begun, or is no fork."""


def run_key(state: ChorusState) -> Key:
    if state.status.final:
        return state.status  # no edge leaves it, so no guard reads more
    return RunKey(
        state.status,
        state.current_step,
        state.health,
        state.awaiting,
        state.iteration,
        state.failures,
        state.has_waited,
        state.rebuilds,
        state.context_is_halved,
        state.loop,
        _begins_with(state),
    )


def _begins_with(state: ChorusState) -> str | None:
    if state.prefix is None or state.status is not RunStatus.QUEUED:
        return None
    return state.prefix.goes_on_with or "nothing"


def run_events(state: ChorusState) -> Iterator[ChorusEvent]:
    yield run.started()
    yield run.started(busy=True)
    yield run.recalled(state)
    yield run.recalled(state, (), available=False)
    yield run.answered(state)
    yield run.answered(state, loop=True)
    yield run.answered(state, enough=True)
    yield run.answered(state, output=_foreign_output(state.current_step))
    for failure in (run.ai_failed, run.network_failed):
        yield failure(state)
        yield failure(state, retryable=False)
    yield run.ai_failed(state, retryable=False, context_exceeded=True)
    yield run.delayed(state)
    yield run.state_lost(state)
    yield run.carrier_lost(state)
    for outcome in ChartOutcome:
        yield run.chart_changed(state, outcome)
    yield run.retry_due(state)
    yield run.cancelled()
    for wrong in run.stale(state):
        yield run.answered(state, **wrong)
        yield run.retry_due(state, **wrong)
    late: dict[str, Any] = {"attempt": state.attempt - 1}
    yield run.recalled(state, **late)
    yield run.ai_failed(state, **late)
    yield run.network_failed(state, **late)
    yield run.delayed(state, **late)
    yield run.state_lost(state, **late)
    yield run.carrier_lost(state, **late)
    yield run.chart_changed(state, **late)


def likely_run_events(state: ChorusState) -> Iterator[ChorusEvent]:
    """What takes a run far: a random choice of everything cancels it soon."""
    if state.status is RunStatus.QUEUED:
        yield run.started()
    elif state.health is Health.RECOVERING:
        yield run.retry_due(state)
    elif state.awaiting is Awaited.PRIORS:
        yield run.recalled(state)
        yield run.recalled(state, (), available=False)
        yield run.network_failed(state)
    else:
        yield run.answered(state)
        yield run.answered(state, loop=True)
        yield run.answered(state, enough=True)
        yield run.ai_failed(state)
        yield run.network_failed(state)
        yield run.delayed(state)
    yield run.state_lost(state)
    yield run.carrier_lost(state)
    if state.status is RunStatus.RUNNING:
        yield run.chart_changed(state)


@cache
def _foreign_output(step: StepEnum) -> StepOutput:
    return run.output_of(run.running(run.STEPS[run.STEPS.index(step) - 1]))


def message_key(state: Message) -> Key:
    return (
        state.status,
        frozenset(state.electors),
        frozenset((vote.co_author, vote.decision) for vote in state.approvals),
        state.role,
    )


def message_events(_: Message) -> Iterator[MessageEvent]:
    yield message.submit(ALICE, BOB, CAROL)
    yield message.submit(ALICE, BOB, CAROL, author_is_co_author=True)
    yield AnswerGiven(at=NOW)
    for person in (ALICE, BOB, CAROL, message.AUTHOR):
        for at in (SOON, DEADLINE):
            yield message.vote("approve", person, at)
            yield message.vote("reject", person, at)
            yield message.left(person, at)
        yield message.withdraw(by=person)
        for newest in (MESSAGE, message.NEXT_MESSAGE):
            yield message.supersede(person, newest)
            yield message.supersede(person, newest, by_co_author=False)
    yield PromptSuperseded(at=SOON)
    yield AnswerReplaced(at=SOON, successor=message.NEXT_MESSAGE)
    for at in (SOON, DEADLINE):
        for archived in (False, True):
            yield message.expire(at, archived=archived)


def link_key(state: ConnectionState) -> Key:
    return (
        state.status,
        state.user is not None,
        state.thread_id,
        state.wanted_thread,
        state.claimed_key is not None,
        state.challenge is not None,
        state.checking,
        state.looked_up,
        state.failures,
    )


def link_events(_: ConnectionState) -> Iterator[ConnectionEvent]:
    yield link.connect()
    yield link.challenge()
    yield link.authenticate()
    yield link.authenticate(link.NONCE_EXPIRES)
    yield link.checked()
    yield link.checked(valid=False)
    yield link.checked(complete=False)
    yield link.resume()
    yield link.resume(link.OTHER_HASH)
    yield link.looked_up(token_hash=link.OTHER_HASH)
    yield link.found()
    yield link.looked_up()
    yield link.looked_up(link.session(public_key=BOB), link.user())
    yield link.looked_up(link.session(), link.user(), link.SESSION_EXPIRES)
    for thread_id in (THREAD, OTHER_THREAD):
        yield link.opened(thread_id)
        yield link.access(thread_id)
        yield link.access(thread_id, readable=False)
        yield link.leave(thread_id)
        yield link.lost(thread_id)
    yield link.request()
    yield AuthFailed()
    yield NetworkLost()
    yield SignedOut()
    yield SessionExpired()


RICH = 3
"""The search credits up to here, which covers every debit that it tries."""


def thread_key(state: Thread) -> Key:
    return (state.status, frozenset(state.co_authors), state.token_balance)


def thread_events(state: Thread) -> Iterator[ThreadOperation]:
    yield thread.add_message()
    for person in (ALICE, BOB, CAROL):
        yield thread.join(person)
        yield thread.join(person, actor=person)
        yield thread.leave(person)
        yield thread.remove(person)
        yield thread.remove(person, actor=ALICE)
        yield thread.rename(person)
        yield thread.configure(person)
        yield thread.archive(person)
    yield thread.rename(None)
    yield thread.configure(None)
    yield thread.archive(None)
    if state.token_balance < RICH:
        yield thread.credit(1)
    for amount in range(1, RICH + 1):
        yield thread.debit(amount)


def invitation_key(state: Invitation) -> Key:
    return (state.status,)


def invitation_events(_: Invitation) -> Iterator[InvitationEvent]:
    for co_authors in (ask.CO_AUTHORS, (BOB, CAROL), (ALICE, ask.GUEST)):
        for invited in ((), (ask.GUEST,)):
            yield ask.invite(co_authors, invited)
    for person in (ALICE, BOB, CAROL, ask.GUEST):
        for at in (SOON, DEADLINE):
            yield ask.accept(person, at)
        yield ask.decline(person)
        yield ask.revoke(person)
        yield ask.left(person)
        yield ask.admitted(person)
    for at in (SOON, DEADLINE):
        for archived in (False, True):
            yield ask.expire(at, archived=archived)


def invite_link_key(state: InviteLink) -> Key:
    return (state.status, state.used_by)


def invite_link_events(_: InviteLink) -> Iterator[InviteLinkEvent]:
    yield address.make()
    yield address.make(BOB, CAROL)
    for person in (ALICE, BOB, CAROL, address.GUEST):
        for at in (SOON, DEADLINE):
            yield address.use(person, at)
        yield address.revoke(person)
        yield address.left(person)
    for at in (SOON, DEADLINE):
        for archived in (False, True):
            yield address.expire(at, archived=archived)


def removal_key(state: Removal) -> Key:
    return (
        state.status,
        frozenset(state.electors),
        frozenset((vote.co_author, vote.decision) for vote in state.votes),
    )


def removal_events(_: Removal) -> Iterator[RemovalEvent]:
    yield expel.propose(ALICE, BOB, CAROL, expel.NAMED)
    yield expel.propose(ALICE, expel.NAMED)
    yield expel.propose(BOB, expel.NAMED)
    yield expel.propose(ALICE, BOB, CAROL)
    yield expel.propose(ALICE, BOB, expel.NAMED, named=(expel.NAMED,))
    for person in (ALICE, BOB, CAROL, expel.NAMED):
        yield expel.appear(person)
        for at in (SOON, DEADLINE):
            yield expel.vote("remove", person, at)
            yield expel.vote("keep", person, at)
            yield expel.elector_left(person, at)
        yield expel.withdraw(person)
        yield expel.named_left(person)
    for at in (SOON, DEADLINE):
        for archived in (False, True):
            yield expel.expire(at, archived=archived)


def branch_key(state: Branch) -> Key:
    return (
        state.status,
        frozenset(state.electors),
        frozenset((vote.co_author, vote.decision) for vote in state.votes),
    )


def branch_events(_: Branch) -> Iterator[BranchEvent]:
    yield other_way.fork()
    yield other_way.fork(BOB, CAROL)
    yield other_way.answered()
    yield BranchRunEnded(at=SOON)
    yield BranchPromptSuperseded(at=SOON)
    for person in (ALICE, BOB, CAROL):
        for at in (SOON, DEADLINE):
            yield other_way.propose(person, at=at)
            yield other_way.propose(person, ALICE, BOB, at=at)
            yield other_way.propose(person, person, at=at)
            yield other_way.vote("approve", person, at)
            yield other_way.vote("reject", person, at)
            yield other_way.elector_left(person, at)
        yield other_way.discard(person)
        yield other_way.maker_left(person)
    for at in (SOON, DEADLINE):
        for archived in (False, True):
            yield other_way.expire(at, archived=archived)


def breaker_key(state: BreakerState) -> Key:
    return (state.status, state.failures, state.probe)


def breaker_events(state: BreakerState) -> Iterator[BreakerEvent]:
    due = state.probe_at if state.probe_at is not None else breaker.PROBE_AT
    for at in (due - 0.5, due):
        for has_waited in (False, True):
            yield breaker.asked(at, has_waited=has_waited)
    for attempt in (breaker.PROBE, breaker.OTHER):
        yield breaker.answered(attempt)
        yield breaker.failed(attempt)
        yield breaker.abandoned(attempt)
    yield EndpointDropped()


def lease_key(lease: Lease) -> Key:
    return (lease.status, lease.renewed_at)


def likely_link_events(state: ConnectionState) -> Iterator[ConnectionEvent]:
    """What signs a person in and leads them through threads: a random choice of all rarely does."""
    match state.status:
        case ConnectionStatus.CONNECTING:
            yield link.connect()
            yield link.resume()
            yield link.found()
        case ConnectionStatus.AUTHENTICATING if state.challenge is not None:
            yield link.authenticate()
        case ConnectionStatus.AUTHENTICATING if state.checking:
            yield link.checked()
        case ConnectionStatus.AUTHENTICATING:
            yield link.challenge()
        case ConnectionStatus.READY | ConnectionStatus.IN_THREAD:
            for thread_id in (THREAD, OTHER_THREAD):
                yield link.opened(thread_id)
                yield link.access(thread_id)
            yield link.leave(state.thread_id or THREAD)
        case ConnectionStatus.INTERRUPTED:
            yield link.resume()
            yield link.found()
        case ConnectionStatus.CLOSED:
            yield link.connect()


# --- The spaces ----------------------------------------------------------------------------------


def chorus() -> Space:
    """Runs of two iterations and two attempts, and forks of them."""
    # Fifty rebuilds behave like one: the search begins where one is left.
    worn: dict[str, Any] = {"rebuilds": MAX_REBUILDS - 1}
    begin = (
        *(run.queued(loop=loop, **worn) for loop in LoopMode),
        *(run.forked(step, **worn) for step in (*StepEnum, None)),
        run.forked(StepEnum.YIELD, loop=LoopMode.SHORT, **worn),
    )
    return _space(chorus_machine(), begin, run_key, run_events)


def messages() -> Space:
    """A message before three electors, and an answer."""
    answer = message.submitted(role=Role.CHORUS, author=None)
    return _space(message_machine(), (message.submitted(), answer), message_key, message_events)


def connections() -> Space:
    """A session of one person that follows one of two threads."""
    return _space(connection_machine(), (link.connecting(),), link_key, link_events)


def threads() -> Space:
    """A thread that three people come to and leave."""
    return _space(thread_machine(), (thread.thread(ALICE),), thread_key, thread_events)


def invitations() -> Space:
    """An invitation of one of four users into a thread of two of them."""
    return _space(invitation_machine(), (ask.named(),), invitation_key, invitation_events)


def invite_links() -> Space:
    """A link that Alice makes."""
    return _space(invite_link_machine(), (address.drafted(),), invite_link_key, invite_link_events)


def removals() -> Space:
    """A removal before three electors, or before its proposer alone."""
    return _space(removal_machine(), (expel.raised(),), removal_key, removal_events)


def branches() -> Space:
    """A branch that Alice made, before three electors, two, or one alone."""
    return _space(branch_machine(), (other_way.forked(),), branch_key, branch_events)


def breakers() -> Space:
    """A breaker that two failures open."""
    return _space(breaker_machine(), (breaker.closed(),), breaker_key, breaker_events)


def leases() -> Space:
    """A lease of one server, until its end."""
    return _space(lease_machine(), (tenure.joining(),), lease_key, tenure.events_at)


def _space(
    machine: AnyMachine,
    initial: tuple[Any, ...],
    key_of: Callable[[Any], Key],
    events_at: Callable[[Any], Iterable[Any]],
) -> Space:
    return Space(machine, initial, events_at, key_of, answers_to, _keeps_its_rules)


def _keeps_its_rules(value: Any) -> None:
    assert value.validate_state() == Valid(), f"{value}: {value.validate_state()}"


SPACES: Final[Mapping[str, Callable[[], Space]]] = {
    "chorus": chorus,
    "message": messages,
    "connection": connections,
    "thread": threads,
    "invitation": invitations,
    "invite_link": invite_links,
    "removal": removals,
    "branch": branches,
    "breaker": breakers,
    "lease": leases,
}


@cache
def searched(name: str) -> Reached:
    """Everything that can be reached in a space; each is searched once for all tests."""
    return explore(SPACES[name]())
