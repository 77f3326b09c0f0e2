"""The product: message, thread, run, branch and connection together, as `machines.decisions` moves them.

A world is one thread with what is in it, and a connection of Alice. What may happen is decided by the
functions that the server decides with, so that the product has no rule of its own. Runs are short, have
one attempt, and there are few of everything; times are left out of the key, two moments tell what is
early and what is late.
"""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from machines.chorus import chorus_machine
from machines.connection import connection_machine
from machines.decisions.forks import completed
from machines.decisions.threads import decide
from machines.models.branch import Branch, BranchStatus
from machines.models.chorus import Awaited, ChorusState, EffectResult, LoopMode, RunStatus
from machines.models.commands import (
    AcceptInvitation,
    Adoptable,
    AdvanceRun,
    Archive,
    DiscardBranch,
    Expire,
    ExpireBranch,
    ExpireInvitation,
    ExpireRemoval,
    Facts,
    ForkRun,
    Invite,
    LeaveCoAuthorship,
    Origin,
    Policy,
    ProposeAdoption,
    ProposeRemoval,
    RetryRun,
    StopRun,
    SubmitMessage,
    ThreadCommand,
    Vote,
    VoteOnBranch,
    Withdraw,
)
from machines.models.connection import (
    ConnectionEvent,
    ConnectionState,
    ConnectionStatus,
    NetworkLost,
    SessionExpired,
)
from machines.models.domain import Created, Role, Updated
from machines.models.errors import ChorusError
from machines.models.fork import Change, ChangeKind
from machines.models.ids import BranchId, MessageId, PublicKey, RunId
from machines.models.journal import ChorusFired, DecisionView, JournalEntry
from machines.models.message import Decision, Message, MessageStatus
from machines.models.outputs import StepEnum
from machines.models.thread import Thread, Visibility
from machines.outcomes import recorded
from machines.properties.assured import is_assured
from machines.properties.checking import Graph, Move
from machines.properties.steps import Step
from machines.statechart import Accepted
from tests.machines.transitions import chorus_scenarios as run
from tests.machines.transitions import connection_scenarios as link
from tests.machines.transitions.values import ALICE, BOB, NOW, SOON, THREAD, uuid

LATE: Final = SOON + timedelta(days=8)

_BALLOTS: Final = (
    (SOON, Decision.APPROVE),
    (SOON, Decision.REJECT),
    (LATE, Decision.APPROVE),
)
POLICY: Final = Policy(loop=LoopMode.SHORT, max_iterations=1, max_attempts=1)
MOST_RUNS: Final = 2
_ANSWERS: Final = AdvanceRun | Expire | ExpireInvitation | ExpireRemoval | ExpireBranch
"""What the endpoint and timers bring about."""
OTHER_TEXT: Final = "Another text"
"""Of a fork's changed step; its answer is it, or says that it is a fork's."""


@dataclass(frozen=True)
class World:
    """A thread with what is in it."""

    facts: Facts
    messages: dict[MessageId, Message] = field(default_factory=dict)
    ended: dict[RunId, ChorusState] = field(default_factory=dict)
    """Runs that are over."""
    proposals: int = 0
    adopted: frozenset[RunId] = frozenset()
    """Forked runs whose branches were adopted."""

    @property
    def thread(self) -> Thread:
        return self.facts.view.thread

    @property
    def runs(self) -> tuple[ChorusState, ...]:
        """All of them, in the order in which they were made."""
        live = {each.id: each for each in self.facts.view.runs}
        return tuple(sorted({**self.ended, **live}.values(), key=lambda each: each.id))

    @property
    def key(self) -> Hashable:
        """What a decision reads, without times and texts."""
        view = self.facts.view
        return (
            view.thread.status,
            view.thread.co_authors,
            tuple(
                (each.id, each.author, each.status, each.electors, _votes(each))
                for each in self.messages.values()
            ),
            tuple(
                (
                    each.id,
                    each.message_id,
                    each.status,
                    each.status.final or (each.current_step, each.awaiting),
                    self.messages[each.message_id].run_id == each.id,
                )
                for each in self.runs
            ),
            tuple((each.id, each.public_key, each.electors) for each in view.removals),
            tuple(each.public_key for each in view.invitations),
            tuple(
                (each.run_id, each.status, each.electors, _ballots(each)) for each in view.branches
            ),
            self.proposals,
        )


@dataclass(frozen=True)
class Product:
    """Which product is searched."""

    visibility: Visibility
    co_authors: tuple[PublicKey, ...]
    most_messages: int
    most_proposals: int = 0
    rewrites: bool = False
    """Whether what was said may be written anew."""
    invites: bool = False
    """Whether who is out may be asked in again."""
    most_forks: int = 0


VOTING: Final = Product(Visibility.PUBLIC, (ALICE,), most_messages=2)
"""Bob is an outsider whom Alice may let in."""
LEAVING: Final = Product(Visibility.PRIVATE, (ALICE, BOB), most_messages=1, most_proposals=1)
"""Two co-authors of a private thread, of whom each may leave, or remove the other who is silent."""

REWRITING: Final = Product(Visibility.PRIVATE, (ALICE,), most_messages=2, rewrites=True)
"""Alice alone, who may write a prompt anew, whatever became of its run."""

RETURNING: Final = Product(Visibility.PRIVATE, (ALICE, BOB), most_messages=0, invites=True)
"""Two co-authors of whom each may leave, and be asked in again."""

FORKING: Final = Product(Visibility.PRIVATE, (ALICE, BOB), most_messages=1, most_forks=1)
"""Two co-authors, of whom Alice may fork a run of a prompt, and each propose or refuse what comes of it."""


def searched(product: Product) -> tuple[Graph, list[World]]:
    """The reachable worlds of a thread: as a graph of their keys, and one for each key."""
    thread = Thread(
        id=THREAD,
        name="A thread",
        visibility=product.visibility,
        co_authors=product.co_authors,
        created_at=NOW,
        updated_at=NOW,
    )
    begin = World(Facts(view=DecisionView(head_seq=1, thread=thread)))
    graph = Graph(initial=[begin.key])
    known, waiting = {begin.key: begin}, deque([begin])
    while waiting:
        world = waiting.popleft()
        moves = graph.moves.setdefault(world.key, [])
        for command in _commands(world, product):
            after = _decided(world, command)
            if after is None:
                continue
            entries, reached = after
            steps = tuple(_steps(entries))
            assured = next((each.instance for each in steps if is_assured(each)), None)
            answers = isinstance(command, _ANSWERS)
            moves.append(Move(steps, reached.key, assured if answers else None))
            if reached.key not in known:
                known[reached.key] = reached
                waiting.append(reached)
    return graph, list(known.values())


def with_connection(threads: Graph) -> Graph:
    """Each world of a thread, with a connection of Alice that may follow it."""
    begin = link.ready()
    graph = Graph(initial=[(node, _seen(begin)) for node in threads.initial])
    waiting = deque((node, begin) for node in threads.initial)
    known = set(graph.initial)
    while waiting:
        node, connection = waiting.popleft()
        here = (node, _seen(connection))
        moves = graph.moves.setdefault(here, [])
        reached: list[tuple[Hashable, ConnectionState]] = []
        for move in threads.moves[node]:
            moves.append(replace(move, target=(move.target, here[1])))
            reached.append((move.target, connection))
        for event in _connection_events(connection, may_see=ALICE in _co_authors(node)):
            match connection_machine().fire(connection, event):
                case Accepted(state=after) as accepted:
                    step = _step(accepted, event, connection)
                    assured = step.machine if is_assured(step) else None
                    moves.append(Move((step,), (node, _seen(after)), assured))
                    reached.append((node, after))
        for target, after in reached:
            if (target, _seen(after)) not in known:
                known.add((target, _seen(after)))
                waiting.append((target, after))
    return graph


# --- A thread ------------------------------------------------------------------------------------


def _votes(message: Message) -> frozenset[tuple[PublicKey, Decision]]:
    return frozenset((vote.co_author, vote.decision) for vote in message.approvals)


def _ballots(branch: Branch) -> frozenset[tuple[PublicKey, Decision]]:
    return frozenset((vote.co_author, vote.decision) for vote in branch.votes)


def _commands(world: World, product: Product) -> Iterator[ThreadCommand]:
    """All that users, timers and the endpoint may bring about."""
    said = sum(each.role is Role.USER for each in world.messages.values())
    made = len(world.runs)
    forks = sum(each.branch_id is not None for each in world.runs)

    def base(by: PublicKey | None, at: datetime = SOON, last: int = 100 + said) -> dict[str, Any]:
        # The same world has the same ids, on whichever way it was reached.
        ids = (uuid(200 + made), uuid(300 + made), uuid(last))
        return {"thread_id": THREAD, "at": at, "by": by, "ids": ids}

    view = world.facts.view
    for by in (ALICE, BOB):
        if said < product.most_messages and made < MOST_RUNS:
            yield SubmitMessage(**base(by), content="A prompt")
            for before in world.messages if product.rewrites else ():
                yield SubmitMessage(**base(by), content="Another prompt", supersedes=before)
        for pending in view.pending:
            for at, ballot in _BALLOTS:
                yield Vote(**base(by, at), message_id=pending.id, decision=ballot)
            yield Withdraw(**base(by), message_id=pending.id)
        for live in view.runs:
            yield StopRun(**base(by), run_id=live.id)
        if made - forks < MOST_RUNS:
            for over in world.ended:
                yield RetryRun(**base(by), run_id=over)
        if forks < product.most_forks and by == ALICE:
            yield from _forks(world, base(by))
        for branch in view.branches:
            for at, ballot in _BALLOTS:
                yield VoteOnBranch(**base(by, at), branch_id=branch.id, decision=ballot)
            for at in (SOON, LATE):
                yield ProposeAdoption(**base(by, at), branch_id=branch.id)
            yield DiscardBranch(**base(by), branch_id=branch.id)
        yield LeaveCoAuthorship(**base(by))
        if product.invites:
            yield AcceptInvitation(**base(by))
            for outsider in {ALICE, BOB} - set(world.thread.co_authors):
                yield Invite(**base(by, last=500), public_key=outsider)
        if world.proposals < product.most_proposals:
            other = BOB if by == ALICE else ALICE
            yield ProposeRemoval(**base(by, last=400 + world.proposals), public_key=other)
        yield Archive(**base(by))
    for pending in view.pending:
        yield Expire(**base(None, LATE), message_id=pending.id)
    for asked in view.invitations:
        yield ExpireInvitation(**base(None, asked.expires_at), invitation_id=asked.id)
    for removal in view.removals:
        yield ExpireRemoval(**base(None, LATE), removal_id=removal.id)
    for branch in view.branches:
        yield ExpireBranch(**base(None, LATE), branch_id=branch.id)
    for live in view.runs:
        text = OTHER_TEXT if live.branch_id is not None else "Its text"
        brought: list[EffectResult] = [run.answered(live, text=text), run.ai_failed(live)]
        if live.awaiting is Awaited.PRIORS:
            brought = [run.recalled(live)]
        if live.status is not RunStatus.RUNNING:
            brought = [run.answered(live)]
        for event in brought:
            yield AdvanceRun(**base(None), run_id=live.id, event=event)


def _forks(world: World, base: dict[str, Any]) -> Iterator[ForkRun]:
    """One for each step that a run has completed."""
    change = Change(kind=ChangeKind.STEP_TEXT, text=OTHER_TEXT)
    for origin in world.runs:
        for step in (StepEnum.ACTION, StepEnum.YIELD):
            if completed(origin, step, 1) is not None:
                yield ForkRun(**base, run_id=origin.id, step=step, iteration=1, change=change)


def _origin(world: World, command: ForkRun) -> Origin:
    forked = next(each for each in world.runs if each.id == command.run_id)
    return Origin(
        run=forked,
        prompt=world.messages[forked.message_id],
        prior_count=0,
        query=forked.query,
        memory_available=True,
    )


def _adoptable(world: World) -> dict[BranchId, Adoptable]:
    """What each branch that has its answer would put into the thread."""
    found = {}
    for branch in world.facts.view.branches:
        if branch.status is not BranchStatus.GROWING:
            prompt = world.messages[branch.message_id]
            found[branch.id] = Adoptable(
                run=world.ended[branch.run_id],
                prompt=prompt,
                standing=standing_answer(prompt, world),
            )
    return found


def standing_answer(prompt: Message, world: World) -> Message | None:
    """The answer to a prompt that counts."""
    return next(iter(standing_answers(prompt, world)), None)


def standing_answers(prompt: Message, world: World) -> list[Message]:
    """All answers to a prompt that count, which may not be two."""
    runs = {each.id for each in world.runs if each.message_id == prompt.id}
    return [
        each
        for each in world.messages.values()
        if each.role is Role.CHORUS
        and each.run_id in runs
        and each.status is MessageStatus.APPROVED
    ]


def _decided(world: World, command: ThreadCommand) -> tuple[tuple[JournalEntry, ...], World] | None:
    """What comes of a command; None where it is refused."""
    one = getattr(command, "run_id", None)
    ended = world.ended.get(one) if one else None
    named = getattr(command, "message_id", None) or getattr(command, "supersedes", None)
    about = ended.message_id if ended else named
    message = world.messages.get(about) if about else None
    facts = world.facts.model_copy(
        update={
            "message": message,
            "run": ended,
            "answer": _answer_to(message, world),
            "newest": _newest_of(command.by, world),
            "adoptable": _adoptable(world),
            "origin": _origin(world, command) if isinstance(command, ForkRun) else None,
        }
    )
    try:
        decided = decide(facts, command, POLICY)
    except ChorusError:
        return None
    messages, over, adopted = dict(world.messages), dict(world.ended), set(world.adopted)
    runs = {each.id: each for each in world.facts.view.runs}
    for entry in decided.batch.entries:
        for change in entry.changes:
            if change.kind == "message" and isinstance(change, Created | Updated):
                value = Message.model_validate(change.value)
                messages[value.id] = value
            elif change.kind == "run" and isinstance(change, Created):
                created = ChorusState.model_validate(change.value)
                runs[created.id] = created
            elif (
                change.kind == "branch"
                and isinstance(change, Created | Updated)
                and change.value["status"] is BranchStatus.ADOPTED
            ):
                adopted.add(RunId(str(change.value["run_id"])))
        for fired in entry.fired:
            if isinstance(fired, ChorusFired):
                taken = chorus_machine().fire(runs[RunId(fired.instance)], fired.event)
                assert isinstance(taken, Accepted)
                runs[taken.state.id] = taken.state
                if taken.state.status.final:
                    over[taken.state.id] = taken.state
    proposals = world.proposals + isinstance(command, ProposeRemoval)
    reached = World(decided.facts, messages, over, proposals, frozenset(adopted))
    return decided.batch.entries, reached


def _answer_to(message: Message | None, world: World) -> Message | None:
    given = (each for each in world.messages.values() if each.role is Role.CHORUS)
    return next((each for each in given if message and each.run_id == message.run_id), None)


def _newest_of(author: PublicKey | None, world: World) -> MessageId | None:
    counting = {MessageStatus.PENDING, MessageStatus.APPROVED}
    own = [
        id_
        for id_, each in world.messages.items()
        if each.author == author and each.status in counting
    ]
    return own[-1] if own else None


def _steps(entries: tuple[JournalEntry, ...]) -> Iterator[Step]:
    """As they are recorded."""
    for entry in entries:
        values: dict[str, list[Any]] = {}
        for change in entry.model_dump(mode="json")["changes"]:
            values.setdefault(change["id"], []).append(change["value"])
        for fired, each in zip(entry.fired, entry.transitions, strict=True):
            yield Step(
                each.machine,
                each.instance,
                each.event,
                each.source,
                each.target,
                each.edge,
                each.effects,
                fired.event.model_dump(mode="json"),
                values[each.instance].pop(0),
            )


def _co_authors(node: Hashable) -> tuple[PublicKey, ...]:
    assert isinstance(node, tuple)
    found: tuple[PublicKey, ...] = node[1]
    return found


# --- A connection --------------------------------------------------------------------------------


def _seen(connection: ConnectionState) -> Hashable:
    return (
        connection.status,
        connection.user is not None,
        connection.thread_id,
        connection.wanted_thread,
        connection.looked_up,
    )


def _connection_events(connection: ConnectionState, *, may_see: bool) -> Iterator[ConnectionEvent]:
    """What the client does, and what the server brings it of the thread."""
    yield link.opened()
    yield link.access(readable=may_see)
    yield link.leave()
    yield NetworkLost()
    yield link.resume()
    yield link.found()
    yield SessionExpired()
    if connection.status is ConnectionStatus.IN_THREAD and not may_see:
        yield link.lost()


def _step(
    accepted: Accepted[Any, Any, Any], event: ConnectionEvent, before: ConnectionState
) -> Step:
    each = recorded(accepted, "connection")
    return Step(
        each.machine,
        each.instance,
        each.event,
        each.source,
        each.target,
        each.edge,
        each.effects,
        event.model_dump(mode="json"),
        accepted.state.model_dump(mode="json"),
        before.model_dump(mode="json"),
    )
