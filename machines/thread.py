"""The thread chart, its rules as named validators, and `StateManager`.

    active --archive--> archived (then it is only read)

Every operation is an event. The guards say who may and when; the `validate_*` functions check what
an operation made of the thread, so a defect in an `apply_to` is refused like a bad request.
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from statemachine import State

from machines.models.domain import Invalid, ValidationResult, validation
from machines.models.effects import RunEffect
from machines.models.errors import InvalidTransition
from machines.models.journal import MachineTransition
from machines.models.thread import (
    AddMessage,
    ArchiveThread,
    ConfigureThread,
    CreditTokens,
    DebitTokens,
    JoinCoAuthor,
    LeaveCoAuthor,
    RemoveCoAuthor,
    RenameThread,
    Thread,
    ThreadOperation,
    ThreadStatus,
)
from machines.outcomes import recorded, refused
from machines.statechart import (
    Accepted,
    Chart,
    Configuration,
    EdgeKind,
    Edges,
    Machine,
    Refusal,
)


def an_approval_or_an_acceptance_admits(_: Thread, event: JoinCoAuthor) -> bool:
    """A message was approved, or an invitation or a link accepted: no user lets a key in by themselves."""
    return event.actor is None


def newcomer_is_co_author(thread: Thread, event: JoinCoAuthor) -> bool:
    """The newcomer is a co-author already."""
    return event.public_key in thread.co_authors


def a_vote_removes(_: Thread, event: RemoveCoAuthor) -> bool:
    """All the others agreed: no user removes another by themselves."""
    return event.actor is None


def leaver_is_co_author(thread: Thread, event: LeaveCoAuthor | RemoveCoAuthor) -> bool:
    """The one who leaves, or is removed, is a co-author."""
    return event.public_key in thread.co_authors


def another_co_author_stays(thread: Thread, _: object) -> bool:
    """The last co-author cannot leave."""
    return len(thread.co_authors) > 1


def actor_is_co_author(
    thread: Thread, event: RenameThread | ConfigureThread | ArchiveThread
) -> bool:
    """A co-author asks."""
    return event.actor in thread.co_authors


def balance_covers_it(thread: Thread, event: DebitTokens) -> bool:
    """The amount is no more than the balance, which never goes below zero."""
    return event.amount <= thread.token_balance


def apply(thread: Thread, operation: ThreadOperation) -> Thread:
    """What the operation itself does to the thread."""
    return operation.apply_to(thread)


on = Edges[Thread, object, RunEffect]()


class ThreadChart(Chart[Thread]):
    """Thread: a conversation with its co-authors"""

    machine = "thread"
    edge_kinds: ClassVar = {"archive": EdgeKind.CANCEL}

    active = State(initial=True)
    archived = State(final=True)

    add_message = on(AddMessage, active.to(active), do=[apply])
    join = on(
        JoinCoAuthor,
        active.to(active),
        when=[an_approval_or_an_acceptance_admits],
        unless=[newcomer_is_co_author],
        do=[apply],
    )
    leave = on(
        LeaveCoAuthor,
        active.to(active),
        when=[leaver_is_co_author, another_co_author_stays],
        do=[apply],
    )
    remove = on(
        RemoveCoAuthor,
        active.to(active),
        when=[a_vote_removes, leaver_is_co_author, another_co_author_stays],
        do=[apply],
    )
    rename = on(RenameThread, active.to(active), when=[actor_is_co_author], do=[apply])
    configure = on(ConfigureThread, active.to(active), when=[actor_is_co_author], do=[apply])
    credit_tokens = on(CreditTokens, active.to(active), do=[apply])
    debit_tokens = on(DebitTokens, active.to(active), when=[balance_covers_it], do=[apply])
    archive = on(ArchiveThread, active.to(archived), when=[actor_is_co_author], do=[apply])


ThreadMachine = Machine[Thread, ThreadOperation, object, RunEffect]


@cache
def thread_machine() -> ThreadMachine:
    """The chart's one machine; its table is compiled by `machines.charts`, or at the first event."""
    return Machine(ThreadChart, states_of=lambda thread: (thread.status.value,), place=_place)


def _place(thread: Thread, _: ThreadOperation, states: Configuration) -> Thread:
    return thread.changed(status=ThreadStatus(states[0]))


def validate_co_author_transition(before: Thread, after: Thread) -> ValidationResult:
    """Co-authors are never empty, listed once, and at most one joins or leaves at a time."""
    moved = set(before.co_authors) ^ set(after.co_authors)
    return validation(
        {
            "a thread has at least one co-author": not after.co_authors,
            "a co-author is listed once": len(set(after.co_authors)) != len(after.co_authors),
            "one co-author joins or leaves at a time": len(moved) > 1,
        }
    )


def validate_message_transition(before: Thread, after: Thread) -> ValidationResult:
    """Messages are append-only: at most one more, never one less."""
    return validation(
        {
            "messages are append-only": after.message_count < before.message_count,
            "one message at a time": after.message_count > before.message_count + 1,
        }
    )


def validate_token_transition(
    before: Thread, after: Thread, operation: ThreadOperation
) -> ValidationResult:
    """The balance changes only by the declared operations, and is never below zero."""
    match operation:
        case CreditTokens(amount=amount):
            expected = before.token_balance + amount
        case DebitTokens(amount=amount):
            expected = before.token_balance - amount
        case _:
            expected = before.token_balance
    return validation(
        {
            "a token balance is never below zero": after.token_balance < 0,
            "a token balance changes only by what the operation says": (
                after.token_balance != expected
            ),
        }
    )


def can_transition_to(
    before: Thread, after: Thread, operation: ThreadOperation
) -> ValidationResult:
    """Every rule between a thread and what an operation made of it."""
    results = (
        validation(
            {
                "a thread keeps its id": after.id != before.id,
                "visibility is fixed for good": after.visibility is not before.visibility,
                "a version strictly increases": after.version <= before.version,
                "an archived thread is only read": before.status is ThreadStatus.ARCHIVED,
            }
        ),
        after.validate_state(),
        validate_co_author_transition(before, after),
        validate_message_transition(before, after),
        validate_token_transition(before, after, operation),
    )
    problems = [
        problem for result in results if isinstance(result, Invalid) for problem in result.problems
    ]
    return validation(dict.fromkeys(problems, True))


@dataclass(frozen=True, slots=True)
class Success:
    """The operation was applied; a kind of TransitionResult."""

    new_state: Thread
    transition: MachineTransition


@dataclass(frozen=True, slots=True)
class Failure:
    """The operation was refused, and nothing changed; a kind of TransitionResult."""

    error: InvalidTransition


TransitionResult = Success | Failure


class StateManager:
    """Applies operations to threads, through the chart."""

    @staticmethod
    def transition(current: Thread, operation: ThreadOperation) -> TransitionResult:
        """Fire the operation; refused ones name the guard or the rule."""
        match thread_machine().fire(current, operation):
            case Refusal() as refusal:
                return Failure(refused(refusal))
            case Accepted(state=new) as accepted:
                match can_transition_to(current, new, operation):
                    case Invalid(problems=problems):
                        return Failure(
                            InvalidTransition(
                                f"{operation.event} is refused: {'; '.join(problems)}",
                                machine="thread",
                                state=current.status.value,
                                event=operation.event,
                            )
                        )
                    case _:
                        return Success(new, recorded(accepted, new.id))
